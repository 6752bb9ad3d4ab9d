//! What clients do when answers take long: they give up, and perhaps try again.

use kendall_des::{Distribution, SimDuration, SimTime, Stream, Streams};

use crate::record::{RequestRecord, RequestStatus};

use super::class_purpose;

/// How patient clients are.
#[derive(Debug, Clone, Default)]
pub struct ClientPlan {
    /// Time after which a client gives up on a request that has not been answered in full (s); never if `None`.
    pub patience: Option<Distribution>,
    /// What it does then.
    pub retries: Option<RetryPlan>,
}

/// Retries with exponential back-off and jitter.
///
/// Before retry `k` (1, 2, ...) the client waits `min(max_backoff, backoff * factor^(k - 1))`, less a random part of it, uniform
/// from 0 to `jitter` of the whole. A jitter of 1 is "full jitter", 0.5 is "equal jitter" (Brooker, Exponential Backoff And
/// Jitter, AWS Architecture Blog, 2015).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPlan {
    /// Most retries of a request.
    pub max_retries: u16,
    /// Wait before the first retry (s).
    pub backoff_s: f64,
    /// Factor from one wait to the next, at least 1.
    pub factor: f64,
    /// Longest wait (s).
    pub max_backoff_s: f64,
    /// The part of a wait that is random, 0 to 1.
    pub jitter: f64,
}

/// Draws patience and waits by the number of the request and of the attempt.
#[derive(Debug)]
pub(super) struct Clients {
    plan: ClientPlan,
    patience: Stream,
    turn_patience: Stream,
    jitter: Stream,
}

/// A request in the random streams: the number of the first turn, or of a later one among all turns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Address {
    First(u64),
    Turn(u64),
}

impl Clients {
    pub(super) fn new(plan: &ClientPlan, class: u16, streams: Streams) -> Self {
        let stream = |purpose| streams.stream(class_purpose(purpose, class));
        Self {
            plan: plan.clone(),
            patience: stream(super::PATIENCE),
            turn_patience: stream(super::TURN_PATIENCE),
            jitter: stream(super::RETRY_JITTER),
        }
    }

    /// When the client gives up on what it sends at `arrival`: beyond the horizon, never.
    pub(super) fn abort(&mut self, address: Address, attempt: u16, arrival: SimTime) -> Option<SimTime> {
        let patience = self.plan.patience.as_ref()?;
        let mut rng = match address {
            Address::First(number) => self.patience.entity(number),
            Address::Turn(turn) => self.turn_patience.entity(turn),
        };
        let mut patient_s = patience.sample(&mut rng);
        for _ in 0..attempt {
            patient_s = patience.sample(&mut rng);
        }
        SimDuration::from_secs_f64(patient_s).ok().and_then(|patient| arrival.checked_add(patient))
    }

    /// When the client of this request, which has left, sends it again; `None` if it does not.
    pub(super) fn retry(&mut self, record: &RequestRecord, turn: u64) -> Option<SimTime> {
        let retries = self.plan.retries.filter(|_| record.status == RequestStatus::Aborted)?;
        let attempt = record.session?.attempt;
        if attempt >= retries.max_retries {
            return None;
        }
        let wait = retries.backoff_s * libm::pow(retries.factor, f64::from(attempt));
        let wait = wait.min(retries.max_backoff_s);
        let mut rng = self.jitter.entity(turn);
        for _ in 0..attempt {
            rng.next_u64();
        }
        let wait = wait * (1.0 - retries.jitter * rng.next_open01());
        SimDuration::from_secs_f64(wait).ok().and_then(|wait| record.finish.checked_add(wait))
    }
}
