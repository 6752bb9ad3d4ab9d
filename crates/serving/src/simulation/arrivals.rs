//! How requests reach replicas: read from the workload, through the front end, past the router and the engine's door.

use kendall_des::{SimDuration, SimTime};

use super::listener::Listener;
use super::{ABORT, ARRIVAL, Event, MAX_IN_SYSTEM, REFRESH, Simulation, SimulationError};
use crate::engine::Arrival;
use crate::observe::Observer;
use crate::record::{RequestRecord, RequestStatus};
use crate::request::RequestSpec;

impl<O: Observer> Simulation<'_, O> {
    /// Schedules the arrivals of requests that clients sent because of departures.
    pub(super) fn send_follow_ups(&mut self) -> Result<(), SimulationError> {
        let mut follow_ups = std::mem::take(&mut self.follow_ups);
        for spec in follow_ups.drain(..) {
            let front_end = self.config.front_end.of_prompt(spec.num_prompt_tokens);
            let received = front_end.and_then(|front_end| spec.arrival.checked_add(front_end));
            let received = received.ok_or(SimulationError::BeyondHorizon)?;
            self.schedule_refresh(received);
            self.events.schedule(received, ARRIVAL, Event::FollowUp(Box::new(spec)));
        }
        self.follow_ups = follow_ups;
        Ok(())
    }

    /// A request reaches its replica, or is refused, and the next one of the workload is fetched.
    pub(super) fn arrive(&mut self, spec: RequestSpec, now: SimTime) -> Result<(), SimulationError> {
        let index = self.num_arrived;
        self.num_arrived += 1;
        if self.next.is_none() {
            self.fetch_next()?;
        }
        let replica = self.route(index, now)?;
        let arrival = Arrival { index, received: now, spec };
        let refusal =
            self.drive(replica, now, |driven, observer| driven.refuse(&arrival.spec, now, observer))?;
        if refusal.is_some() {
            let mut listener = Listener {
                observer: &mut self.observer,
                workload: &mut self.workload,
                follow_ups: &mut self.follow_ups,
            };
            let record = arrival.record(RequestStatus::Rejected, replica, now);
            listener.departed(&RequestRecord { rejection: refusal, ..record });
            return self.send_follow_ups();
        }
        if let Some(abort) = arrival.spec.abort {
            self.events.schedule(abort.max(now), ABORT, Event::Abort { replica, index });
        }
        self.interrupt(replica, now)?;
        self.replicas[replica as usize].submit(arrival);
        self.router.sent(replica);
        self.in_system.set(now, self.in_system.value() + 1);
        if self.in_system.value() > MAX_IN_SYSTEM {
            return Err(SimulationError::Overloaded { at: now });
        }
        if self.replicas[replica as usize].is_idle() {
            self.schedule(replica, now)?;
        }
        Ok(())
    }

    /// The replica for a request that arrives now.
    fn route(&mut self, index: u64, now: SimTime) -> Result<u32, SimulationError> {
        let router = self.config.router;
        if router.asks_replicas() && router.refresh_interval == SimDuration::ZERO {
            self.read_reports(now)?;
        }
        Ok(self.router.choose(index))
    }

    /// Every replica reports its state: after the ends of steps at this instant, before anything is scheduled in it.
    pub(super) fn read_reports(&mut self, now: SimTime) -> Result<(), SimulationError> {
        for replica in 0..self.config.replicas {
            let ends_now = self.drive(replica, now, |driven, observer| {
                driven.catch_up(now, observer);
                driven.sleeps_through(now)
            })?;
            if ends_now {
                self.alarms.set(replica, None);
                self.drive(replica, now, |driven, observer| {
                    driven.interrupt();
                    driven.complete(now, observer);
                })?;
                self.schedule_later(replica, now);
            }
            self.router.report(replica, self.replicas[replica as usize].load());
        }
        Ok(())
    }

    /// Before a request arrives replicas have reported for the last time at a multiple of the interval. Reports that no
    /// request follows need not be made.
    fn schedule_refresh(&mut self, arrival: SimTime) {
        let interval = self.config.router.refresh_interval.as_ps();
        if interval == 0 || !self.config.router.asks_replicas() {
            return;
        }
        let due = SimTime::from_ps(arrival.as_ps() / interval * interval);
        if due > self.last_refresh && due >= self.events.now() {
            self.last_refresh = due;
            self.events.schedule(due, REFRESH, Event::Refresh);
        }
    }

    /// Reads the next request from the workload and schedules its arrival.
    pub(super) fn fetch_next(&mut self) -> Result<(), SimulationError> {
        let Some(spec) = self.workload.next_request().transpose()? else { return Ok(()) };
        let (arrival, previous) = (spec.arrival, self.last_arrival);
        if arrival < previous {
            return Err(SimulationError::Unsorted { index: self.num_arrived, arrival, previous });
        }
        let mut front_end = self.config.front_end.of_prompt(spec.num_prompt_tokens);
        if self.last_received == SimTime::ZERO {
            front_end =
                front_end.and_then(|front_end| front_end.checked_add(self.config.front_end.cold_start));
        }
        let own = front_end.and_then(|front_end| arrival.checked_add(front_end));
        let own = own.ok_or(SimulationError::BeyondHorizon)?;
        let received = own.max(self.last_received).max(self.events.now());
        (self.last_arrival, self.last_received) = (arrival, received);
        self.next = Some((received, spec));
        self.schedule_refresh(received);
        Ok(())
    }
}
