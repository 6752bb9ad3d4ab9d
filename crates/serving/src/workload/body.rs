//! One class of requests: how long they are, what they share, how their clients behave.

use kendall_des::{DistributionError, SimTime, Streams};

use crate::record::RequestRecord;
use crate::request::{RequestSpec, SessionTurn};

use super::clients::{Address, ClientPlan, Clients};
use super::contents::{ContentDraws, Contents};
use super::lengths::{LengthDraws, LengthSource};
use super::sessions::{OpenSessions, SessionPlan, turn_entity};

/// A class of requests.
#[derive(Debug, Clone)]
pub struct RequestClass {
    /// Share of requests, relative to the other classes of one arrival process.
    pub weight: f64,
    /// Smaller is more urgent; only the `priority` scheduling policy looks at it.
    pub priority: i32,
    /// How long requests are.
    pub lengths: LengthSource,
    /// What they share.
    pub contents: Contents,
    /// Whether each arrival opens a conversation.
    pub sessions: Option<SessionPlan>,
    /// Whether clients give up and try again.
    pub clients: Option<ClientPlan>,
}

impl RequestClass {
    /// A class of priority 0 whose requests share nothing and whose clients wait.
    pub fn new(lengths: LengthSource) -> Self {
        Self {
            weight: 1.0,
            priority: 0,
            lengths,
            contents: Contents::default(),
            sessions: None,
            clients: None,
        }
    }
}

/// Draws the requests of one class by their number in the workload.
#[derive(Debug)]
pub(super) struct Body {
    class: u16,
    priority: i32,
    lengths: LengthDraws,
    contents: ContentDraws,
    sessions: Option<OpenSessions>,
    clients: Option<Clients>,
    /// Whether requests say who sent them, because what follows depends on it.
    named: bool,
}

impl Body {
    /// Class number `class`. `named` if requests are to say who sent them.
    pub(super) fn new(
        plan: &RequestClass,
        class: u16,
        named: bool,
        streams: Streams,
    ) -> Result<Self, DistributionError> {
        let retries = plan.clients.as_ref().is_some_and(|clients| clients.retries.is_some());
        let sessions =
            plan.sessions.as_ref().map(|sessions| OpenSessions::new(sessions, &plan.lengths, class, streams));
        Ok(Self {
            class,
            priority: plan.priority,
            lengths: LengthDraws::new(&plan.lengths, class, streams)?,
            contents: ContentDraws::new(&plan.contents, class, retries, streams)?,
            sessions: sessions.transpose()?,
            clients: plan.clients.as_ref().map(|clients| Clients::new(clients, class, streams)),
            named: named || retries || plan.sessions.is_some(),
        })
    }

    /// Whether two requests may have tokens in common.
    pub(super) fn shares_tokens(&self) -> bool {
        self.contents.share() || self.sessions.is_some()
    }

    /// Request `number`, which opens a conversation if the class has them.
    #[inline]
    pub(super) fn request(&mut self, number: u64, arrival: SimTime) -> RequestSpec {
        let mut spec = self.first_turn(number, 0, arrival);
        if let Some(sessions) = &mut self.sessions {
            sessions.open(number, &mut spec);
        }
        spec
    }

    #[inline]
    fn first_turn(&mut self, number: u64, attempt: u16, arrival: SimTime) -> RequestSpec {
        let content = self.contents.draw(number);
        let (prompt, output) = self.lengths.draw(content.length_entity, number);
        let mut spec = RequestSpec::new(arrival, prompt, output);
        content.apply(&mut spec);
        if self.named {
            spec.session = Some(SessionTurn { session: number, turn: 0, class: self.class, attempt });
        }
        spec.priority = self.priority;
        if let Some(clients) = &mut self.clients {
            spec.abort = clients.abort(Address::First(number), attempt, arrival);
        }
        spec
    }

    /// What the client of a request that has left sends because of that.
    pub(super) fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        let SessionTurn { session, turn, attempt, .. } = record.session?;
        let entity = turn_entity(session, turn);
        if let Some(arrival) = self.clients.as_mut().and_then(|clients| clients.retry(record, entity)) {
            return if turn == 0 {
                Some(self.first_turn(session, attempt + 1, arrival))
            } else {
                let spec = self.sessions.as_mut()?.same_turn(record, arrival)?;
                Some(self.dressed(spec, session, turn, attempt + 1))
            };
        }
        let spec = self.sessions.as_mut()?.next_turn(record)?;
        Some(self.dressed(spec, session, turn + 1, 0))
    }

    /// A later turn with its sender, priority and patience.
    fn dressed(&mut self, mut spec: RequestSpec, session: u64, turn: u32, attempt: u16) -> RequestSpec {
        spec.session = Some(SessionTurn { session, turn, class: self.class, attempt });
        spec.priority = self.priority;
        if let Some(clients) = &mut self.clients {
            spec.abort = clients.abort(Address::Turn(turn_entity(session, turn)), attempt, spec.arrival);
        }
        spec
    }
}
