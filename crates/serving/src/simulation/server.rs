//! A replica of either kind: vLLM V1's exact model, or an engine of the zoo.

use kendall_des::{SimTime, Streams};

use crate::engine::{Arrival, ConfigError, Engine, EngineTotals, Replica, Wake};
use crate::observe::Observer;
use crate::request::RequestSpec;
use crate::router::ReplicaLoad;
use crate::zoo::{Rejection, ZooReplica};

use super::SimulationConfig;

/// One server behind the router.
#[allow(clippy::large_enum_variant, reason = "there is one a replica, and it is never moved")]
pub(super) enum Server {
    Vllm(Replica),
    Zoo(ZooReplica),
}

/// Hands a call to whichever it is.
macro_rules! each {
    ($server:expr, $replica:ident => $call:expr) => {
        match $server {
            Server::Vllm($replica) => $call,
            Server::Zoo($replica) => $call,
        }
    };
}

impl Server {
    pub(super) fn new(id: u32, config: &SimulationConfig) -> Result<Self, ConfigError> {
        let (engine, step_time) = (&config.engine, config.step_time.clone());
        Ok(match &engine.zoo {
            None => Self::Vllm(Replica::new(id, Engine::new(engine.clone(), step_time)?)),
            Some(zoo) => Self::Zoo(ZooReplica::new(id, zoo, engine, step_time)),
        })
    }

    /// No two requests that will come have tokens in common, and nobody asks for the numbers of blocks.
    pub(super) fn expect_unshared_tokens(&mut self) {
        if let Self::Vllm(replica) = self {
            replica.expect_unshared_tokens();
        }
    }

    /// What the engine draws, it draws from these streams.
    pub(super) fn draw_from(&mut self, streams: Streams) {
        if let Self::Zoo(replica) = self {
            replica.draw_from(streams);
        }
    }

    pub(super) fn totals(&self) -> EngineTotals {
        match self {
            Self::Vllm(replica) => replica.engine().totals(),
            Self::Zoo(replica) => replica.totals(),
        }
    }

    /// Why the request is turned away, if it is.
    pub(super) fn refuse(
        &mut self,
        spec: &RequestSpec,
        now: SimTime,
        observer: &mut impl Observer,
    ) -> Option<Rejection> {
        match self {
            Self::Vllm(replica) => replica.engine().rejects(spec).then_some(Rejection::TooLong),
            Self::Zoo(replica) => {
                replica.catch_up(now, observer);
                replica.refuse(spec, now)
            }
        }
    }

    pub(super) fn requests_in_system(&self) -> Vec<u64> {
        match self {
            Self::Vllm(replica) => replica.engine().requests_in_system(),
            Self::Zoo(replica) => replica.requests_in_system(),
        }
    }

    pub(super) fn submit(&mut self, arrival: Arrival) {
        each!(self, replica => replica.submit(arrival));
    }

    pub(super) fn abort(&mut self, index: u64) -> bool {
        each!(self, replica => replica.abort(index))
    }

    pub(super) fn interrupt(&mut self) -> Option<SimTime> {
        each!(self, replica => replica.interrupt())
    }

    pub(super) fn is_idle(&self) -> bool {
        each!(self, replica => replica.is_idle())
    }

    pub(super) fn sleeps_through(&self, now: SimTime) -> bool {
        each!(self, replica => replica.sleeps_through(now))
    }

    pub(super) fn load(&self) -> ReplicaLoad {
        each!(self, replica => replica.load())
    }

    pub(super) fn catch_up(&mut self, now: SimTime, observer: &mut impl Observer) {
        each!(self, replica => replica.catch_up(now, observer));
    }

    pub(super) fn complete(&mut self, now: SimTime, observer: &mut impl Observer) {
        each!(self, replica => replica.complete(now, observer));
    }

    pub(super) fn advance(&mut self, now: SimTime, observer: &mut impl Observer) -> Wake {
        each!(self, replica => replica.advance(now, observer))
    }

    pub(super) fn report_unfinished(&mut self, now: SimTime, observer: &mut impl Observer) {
        each!(self, replica => replica.report_unfinished(now, observer));
    }
}
