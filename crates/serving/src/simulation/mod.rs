//! The event loop: a stream of requests, a router, and replicas that wake when something happens to them.
//!
//! Order at one instant: aborts reach the input queue, then steps end and free what they held, then replicas report to
//! the router, then requests arrive, and only then does an engine schedule; replicas in the
//! order of their numbers. So a completion frees its blocks before a simultaneous arrival is admitted,
//! and simultaneous arrivals are all in the queue before the first of them is scheduled. Each engine is known to the
//! loop by three calls only: `submit`, `complete`, `advance`.

mod arrivals;
mod config;
mod front_end;
mod listener;
mod outcome;
mod server;

use kendall_des::{Alarms, EventQueue, Phase, SimTime, Streams, TimeWeighted};

use crate::engine::{ConfigError, Wake};
use crate::observe::Observer;
use crate::request::{RequestSpec, Workload};
use crate::router::Router;

use listener::Listener;
use server::Server;

pub use config::SimulationConfig;
pub use front_end::{FrontEnd, FrontEndParts, FrontEndSummary};
pub use outcome::{RunEnd, SimulationError, StalledRequests};

const ABORT: Phase = Phase(0);
const REFRESH: Phase = Phase(2 << 32);
const ARRIVAL: Phase = Phase(3 << 32);

/// Steps that end at one instant do so in the order of their replicas, however long ago that was known.
const fn step_done(replica: u32) -> Phase {
    Phase(1 << 32 | replica as u64)
}

/// Likewise replicas that schedule at one instant.
const fn schedule(replica: u32) -> Phase {
    Phase(6 << 32 | replica as u64)
}

/// Most requests in the system at once, less than a gigabyte of memory: a server so far behind is overloaded, and how far it
/// can fall is not worth waiting for.
const MAX_IN_SYSTEM: u64 = 1_000_000;

enum Event {
    /// A request that a client sent because of another one reaches its replica.
    FollowUp(Box<RequestSpec>),
    Abort {
        replica: u32,
        index: u64,
    },
    Schedule {
        replica: u32,
    },
    /// Replicas report to the router.
    Refresh,
}

/// A run in progress.
pub struct Simulation<'a, O> {
    config: &'a SimulationConfig,
    workload: Box<dyn Workload + 'a>,
    observer: O,
    events: EventQueue<Event>,
    replicas: Vec<Server>,
    router: Router,
    /// When replicas reported last, or will.
    last_refresh: SimTime,
    /// Whether a replica has a `Schedule` event at this instant already.
    schedule_pending: Vec<bool>,
    /// When each replica wakes because a batch ends.
    alarms: Alarms,
    /// The request at the head of the workload, and when it reaches its replica. It is no event of the queue: there is one
    /// at most, and every request was one.
    next: Option<(SimTime, RequestSpec)>,
    /// When the client sends that one, or sent the last one.
    last_arrival: SimTime,
    /// When the newest of them reaches its engine; none overtakes another.
    last_received: SimTime,
    /// Requests that clients sent because of departures, not yet scheduled to arrive.
    follow_ups: Vec<RequestSpec>,
    num_arrived: u64,
    in_system: TimeWeighted,
    stalled: Option<StalledRequests>,
    /// When something last happened.
    end: SimTime,
}

impl<'a, O: Observer> Simulation<'a, O> {
    /// Prepares a run.
    ///
    /// # Errors
    /// If vLLM would refuse the engine configuration, or a step could last longer than an hour.
    pub fn new(
        config: &'a SimulationConfig,
        workload: Box<dyn Workload + 'a>,
        observer: O,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let server = |id| Server::new(id, config);
        let mut replicas = (0..config.replicas).map(server).collect::<Result<Vec<_>, ConfigError>>()?;
        if !workload.shares_tokens() && !observer.wants_steps() {
            replicas.iter_mut().for_each(Server::expect_unshared_tokens);
        }
        Ok(Self {
            config,
            workload,
            observer,
            events: EventQueue::new(),
            replicas,
            router: Router::new(config.router.policy, config.replicas, Streams::new(0, 0)),
            last_refresh: SimTime::ZERO,
            schedule_pending: vec![false; config.replicas as usize],
            alarms: Alarms::new(config.replicas),
            next: None,
            last_arrival: SimTime::ZERO,
            last_received: SimTime::ZERO,
            follow_ups: Vec::new(),
            num_arrived: 0,
            in_system: TimeWeighted::new(SimTime::ZERO, 0),
            stalled: None,
            end: SimTime::ZERO,
        })
    }

    /// Lets the router and the engines draw from these streams, where they draw; without this, from those of seed 0.
    #[must_use]
    pub fn with_streams(mut self, streams: Streams) -> Self {
        self.router = Router::new(self.config.router.policy, self.config.replicas, streams);
        for replica in &mut self.replicas {
            replica.draw_from(streams);
        }
        self
    }

    /// Plays the whole workload and returns how it ended, with the observer.
    ///
    /// # Errors
    /// If the workload cannot deliver a request, is not sorted, or time runs out.
    pub fn run(mut self) -> Result<(RunEnd, O), SimulationError> {
        self.fetch_next()?;
        let mut interrupted = false;
        while self.step()? {
            if self.stalled.is_some() {
                break;
            }
            if self.observer.wants_to_stop() {
                interrupted = true;
                break;
            }
        }
        let end = self.end;
        for replica in &mut self.replicas {
            replica.catch_up(end, &mut self.observer);
            replica.report_unfinished(end, &mut self.observer);
        }
        let totals = self.replicas.iter().map(server::Server::totals).collect();
        let Self { num_arrived, in_system, stalled, observer, .. } = self;
        Ok((RunEnd { end, num_arrived, stalled, interrupted, totals, in_system }, observer))
    }

    /// Handles whatever comes next; `false` if nothing does.
    fn step(&mut self) -> Result<bool, SimulationError> {
        let due = self.next_due();
        if let Some((now, replica)) = self.alarms.next()
            && due.is_none_or(|due| (now, step_done(replica)) < due)
        {
            self.events.advance_to(now);
            self.step_done(replica, now)?;
            return Ok(true);
        }
        // Among requests that arrive at one instant that of the workload is the first.
        let arrives = |next: &mut (SimTime, RequestSpec)| due == Some((next.0, ARRIVAL));
        if let Some((now, spec)) = self.next.take_if(arrives) {
            self.events.advance_to(now);
            self.arrive(spec, now)?;
            self.end = now;
            return Ok(true);
        }
        let Some((now, event)) = self.events.pop() else { return Ok(false) };
        self.handle(now, event)?;
        Ok(true)
    }

    /// When the next event is due or the next request of the workload arrives, whichever is first, and its phase.
    #[inline]
    fn next_due(&self) -> Option<(SimTime, Phase)> {
        let arrival = self.next.as_ref().map(|(received, _)| (*received, ARRIVAL));
        match (self.events.next_key(), arrival) {
            (Some(event), Some(arrival)) => Some(event.min(arrival)),
            (event, arrival) => event.or(arrival),
        }
    }

    /// A batch ends on a replica.
    fn step_done(&mut self, replica: u32, now: SimTime) -> Result<(), SimulationError> {
        self.alarms.set(replica, None);
        self.drive(replica, now, |driven, observer| {
            driven.catch_up(now, observer);
            driven.complete(now, observer);
        })?;
        self.schedule(replica, now)?;
        self.end = now;
        Ok(())
    }

    fn handle(&mut self, now: SimTime, event: Event) -> Result<(), SimulationError> {
        match event {
            Event::FollowUp(spec) => self.arrive(*spec, now)?,
            Event::Abort { replica, index } => {
                self.interrupt(replica, now)?;
                // A request that has left cannot be aborted, and its client's patience is not part of the run.
                if !self.replicas[replica as usize].abort(index) {
                    return Ok(());
                }
                if self.replicas[replica as usize].is_idle() {
                    self.schedule(replica, now)?;
                }
            }
            Event::Refresh => {
                self.read_reports(now)?;
                return Ok(());
            }
            Event::Schedule { replica } => {
                self.schedule_pending[replica as usize] = false;
                self.advance(replica, now)?;
            }
        }
        self.end = now;
        Ok(())
    }

    /// Lets a replica work, counts who left, and lets clients react.
    fn drive<T>(
        &mut self,
        replica: u32,
        now: SimTime,
        work: impl FnOnce(&mut Server, &mut Listener<'_, 'a, O>) -> T,
    ) -> Result<T, SimulationError> {
        let driven = &mut self.replicas[replica as usize];
        let before = driven.totals().num_departed;
        let mut listener = Listener {
            observer: &mut self.observer,
            workload: &mut self.workload,
            follow_ups: &mut self.follow_ups,
        };
        let result = work(driven, &mut listener);
        let left = driven.totals().num_departed - before;
        if left > 0 {
            self.in_system.set(now, self.in_system.value() - left);
            self.router.answered(replica, left);
            self.send_follow_ups()?;
        }
        Ok(result)
    }

    /// Something reaches a replica: a run of steps ends at the next step boundary.
    fn interrupt(&mut self, replica: u32, now: SimTime) -> Result<(), SimulationError> {
        let next_end = self.drive(replica, now, |driven, observer| {
            driven.catch_up(now, observer);
            driven.interrupt()
        })?;
        if let Some(end) = next_end {
            self.alarms.set(replica, Some(end));
        }
        Ok(())
    }

    /// Lets the replica schedule at this instant, after all else that happens in it.
    fn schedule(&mut self, replica: u32, now: SimTime) -> Result<(), SimulationError> {
        if self.schedule_pending[replica as usize] {
            return Ok(());
        }
        let more_to_come = self.next_due().is_some_and(|(time, _)| time == now)
            || self.alarms.next().is_some_and(|(time, _)| time == now);
        if !more_to_come {
            return self.advance(replica, now);
        }
        self.schedule_later(replica, now);
        Ok(())
    }

    fn schedule_later(&mut self, replica: u32, now: SimTime) {
        self.schedule_pending[replica as usize] = true;
        self.events.schedule(now, schedule(replica), Event::Schedule { replica });
    }

    fn advance(&mut self, replica: u32, now: SimTime) -> Result<(), SimulationError> {
        match self.drive(replica, now, |driven, observer| driven.advance(now, observer))? {
            Wake::OnArrival => {
                self.alarms.set(replica, None);
                Ok(())
            }
            Wake::At(end) => {
                self.alarms.set(replica, Some(end));
                Ok(())
            }
            Wake::Stalled => {
                let requests = self.replicas[replica as usize].requests_in_system();
                self.stalled = Some(StalledRequests { replica, requests });
                Ok(())
            }
            Wake::BeyondHorizon => Err(SimulationError::BeyondHorizon),
        }
    }
}
