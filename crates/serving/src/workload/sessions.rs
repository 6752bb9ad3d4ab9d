//! Conversations: each turn sends all that was said before and something new, after the client has read and thought.

use kendall_des::{Distribution, DistributionError, SimDuration, SimTime, Stream, Streams};
use rustc_hash::FxHashMap;

use crate::record::{RequestRecord, RequestStatus};
use crate::request::{PromptContent, RequestSpec, SessionTurn, TokenSegment, TokenStream};

use super::class_purpose;
use super::lengths::{LengthDraws, LengthSource, whole_tokens};

/// How conversations go on.
#[derive(Debug, Clone)]
pub struct SessionPlan {
    /// Number of turns; the floor of the draw, at least 1.
    pub turns: Distribution,
    /// Time between an answer and the next turn (s).
    pub think_time: Distribution,
}

/// A later turn is number `turn` of conversation `session` in the random streams.
const TURNS_PER_SESSION: u64 = 1 << 24;
/// Turn `turn` of conversation `session` in the random streams.
pub(super) fn turn_entity(session: u64, turn: u32) -> u64 {
    session.wrapping_mul(TURNS_PER_SESSION).wrapping_add(u64::from(turn))
}

/// Conversations end before their prompts outgrow any model.
const LONGEST_PROMPT: u32 = 1 << 30;

/// The conversations that go on.
#[derive(Debug)]
pub(super) struct OpenSessions {
    plan: SessionPlan,
    turns: Stream,
    think_times: Stream,
    lengths: LengthDraws,
    /// Only looked up, never iterated.
    open: FxHashMap<u64, Conversation>,
}

#[derive(Debug)]
struct Conversation {
    num_turns: u32,
    /// The prompt of the turn under way; its newest part is the request's own.
    said: Vec<TokenSegment>,
}

impl OpenSessions {
    pub(super) fn new(
        plan: &SessionPlan,
        lengths: &LengthSource,
        class: u16,
        streams: Streams,
    ) -> Result<Self, DistributionError> {
        Ok(Self {
            plan: plan.clone(),
            turns: streams.stream(class_purpose(super::SESSION_TURNS, class)),
            think_times: streams.stream(class_purpose(super::THINK_TIMES, class)),
            lengths: LengthDraws::with_purposes(
                lengths,
                class,
                streams,
                super::TURN_PROMPTS,
                super::TURN_OUTPUTS,
            )?,
            open: FxHashMap::default(),
        })
    }

    /// Conversation `session` begins with this request.
    pub(super) fn open(&mut self, session: u64, spec: &mut RequestSpec) {
        let num_turns = whole_tokens(self.plan.turns.sample(&mut self.turns.entity(session)));
        if num_turns < 2 {
            return;
        }
        let said = match &spec.prompt {
            PromptContent::Unique => {
                vec![TokenSegment { stream: TokenStream::Own, start: 0, len: spec.num_prompt_tokens }]
            }
            PromptContent::Segments(segments) => segments.to_vec(),
        };
        self.open.insert(session, Conversation { num_turns, said });
    }

    /// The turn after the one that just left.
    pub(super) fn next_turn(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        let SessionTurn { session, turn, .. } = record.session?;
        let conversation = self.open.get_mut(&session)?;
        let entity = turn_entity(session, turn + 1);
        let (new_tokens, output) = self.lengths.draw(entity, entity);
        let known = record.num_prompt_tokens.saturating_add(record.num_output_tokens);
        let prompt_tokens = known.saturating_add(new_tokens);
        let goes_on = record.status == RequestStatus::Finished
            && turn + 1 < conversation.num_turns
            && prompt_tokens <= LONGEST_PROMPT;
        let think_time = self.plan.think_time.sample(&mut self.think_times.entity(entity));
        if !goes_on {
            self.open.remove(&session);
            return None;
        }
        let arrival =
            SimDuration::from_secs_f64(think_time).ok().and_then(|time| record.finish.checked_add(time));
        // A turn beyond the horizon is not lost in silence: its first step ends the run with an error.
        let arrival = arrival.unwrap_or(SimTime::MAX);
        for segment in &mut conversation.said {
            if segment.stream == TokenStream::Own {
                segment.stream = TokenStream::Prompt(record.index);
            }
        }
        let said = &mut conversation.said;
        said.push(TokenSegment {
            stream: TokenStream::Output(record.index),
            start: 0,
            len: record.num_output_tokens,
        });
        said.push(TokenSegment { stream: TokenStream::Own, start: known, len: new_tokens });
        Some(RequestSpec {
            prompt: PromptContent::Segments(said.as_slice().into()),
            ..RequestSpec::new(arrival, prompt_tokens, output)
        })
    }

    /// The turn that was given up, once more. Its new part counts as tokens that no attempt before had.
    pub(super) fn same_turn(&mut self, record: &RequestRecord, arrival: SimTime) -> Option<RequestSpec> {
        let SessionTurn { session, turn, .. } = record.session?;
        let said = &self.open.get(&session)?.said;
        let entity = turn_entity(session, turn);
        let (_, output) = self.lengths.draw(entity, entity);
        Some(RequestSpec {
            prompt: PromptContent::Segments(said.as_slice().into()),
            ..RequestSpec::new(arrival, record.num_prompt_tokens, output)
        })
    }
}
