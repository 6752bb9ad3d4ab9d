//! The core on queues with known answers, before any LLM: mean waiting times in M/M/1, M/D/1 and M/M/3 lie within the
//! 99 % interval of the simulated mean at three loads each.
//!
//! Exact values: M/M/1 `rho/(mu - lambda)`; M/D/1 by Pollaczek-Khinchine; M/M/c by Erlang C. Gross & Harris,
//! *Fundamentals of Queueing Theory*, sections 2.2, 2.3 and 5.1.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;

use kendall_des::{
    Distribution, EventQueue, Phase, Purpose, SimDuration, SimTime, Streams, Tally, TimeWeighted,
};
use statrs::distribution::{ContinuousCDF, StudentsT};

const DEPARTURE: Phase = Phase(0);
const ARRIVAL: Phase = Phase(2);
const GAPS: Purpose = Purpose(1);
const SERVICES: Purpose = Purpose(2);

enum Event {
    Arrival(u64),
    Departure,
}

struct Outcome {
    mean_wait_s: f64,
    mean_queue: f64,
    waits: Tally,
    elapsed_s: f64,
}

/// One replication of a FCFS queue with `servers` servers, of `customers` customers; the first tenth is warm-up.
fn simulate(
    servers: usize,
    gap: &Distribution,
    service: &Distribution,
    customers: u64,
    replication: u32,
) -> Outcome {
    let streams = Streams::new(77, replication);
    let (mut gaps, mut services) = (streams.stream(GAPS), streams.stream(SERVICES));
    let duration = |d: &Distribution, stream: &mut kendall_des::Stream, i| {
        SimDuration::from_secs_f64(d.sample(&mut stream.entity(i))).unwrap()
    };
    let mut events = EventQueue::new();
    let (mut busy, mut waiting) = (0, VecDeque::new());
    let (mut after_warm_up, mut all) = (Tally::new(), Tally::new());
    let mut queue_length = TimeWeighted::new(SimTime::ZERO, 0);
    events.schedule(SimTime::ZERO + duration(gap, &mut gaps, 0), ARRIVAL, Event::Arrival(0));
    while let Some((now, event)) = events.pop() {
        match event {
            Event::Arrival(i) => {
                waiting.push_back((i, now));
                if i + 1 < customers {
                    events.schedule(now + duration(gap, &mut gaps, i + 1), ARRIVAL, Event::Arrival(i + 1));
                }
            }
            Event::Departure => busy -= 1,
        }
        while busy < servers {
            let Some((i, arrived)) = waiting.pop_front() else { break };
            busy += 1;
            all.record(now - arrived);
            if i >= customers / 10 {
                after_warm_up.record(now - arrived);
            }
            events.schedule(now + duration(service, &mut services, i), DEPARTURE, Event::Departure);
        }
        queue_length.set(now, waiting.len() as u64);
    }
    let end = events.now();
    Outcome {
        mean_wait_s: after_warm_up.mean_secs().unwrap(),
        mean_queue: queue_length.mean(end).unwrap(),
        waits: all,
        elapsed_s: end.as_secs_f64(),
    }
}

fn assert_within_99_percent(name: &str, servers: usize, service: &Distribution, rho: f64, exact_s: f64) {
    const REPLICATIONS: u32 = 40;
    let gap = Distribution::exponential(service.mean().unwrap() / (rho * servers as f64)).unwrap();
    let runs: Vec<_> = (0..REPLICATIONS).map(|r| simulate(servers, &gap, service, 100_000, r)).collect();
    for run in &runs {
        // Little's law holds exactly over a horizon that starts and ends empty: L T = sum of waits.
        let area_s = run.mean_queue * run.elapsed_s;
        let waits_s = run.waits.sum_ps() as f64 / 1e12;
        assert!(
            (area_s - waits_s).abs() <= 1e-9 * waits_s,
            "{name}: Little's law {area_s} against {waits_s}"
        );
    }
    let n = f64::from(REPLICATIONS);
    let mean = runs.iter().map(|run| run.mean_wait_s).sum::<f64>() / n;
    let variance = runs.iter().map(|run| (run.mean_wait_s - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half_width = StudentsT::new(0.0, 1.0, n - 1.0).unwrap().inverse_cdf(0.995) * (variance / n).sqrt();
    println!("{name} rho {rho}: mean wait {mean:.5} +- {half_width:.5} s (99 %), exactly {exact_s:.5} s");
    assert!(
        (mean - exact_s).abs() <= half_width,
        "{name} at rho {rho}: {mean} +- {half_width} s, exactly {exact_s} s"
    );
}

const LOADS: [f64; 3] = [0.5, 0.8, 0.9];

#[test]
fn m_m_1() {
    for rho in LOADS {
        assert_within_99_percent(
            "M/M/1",
            1,
            &Distribution::exponential(1.0).unwrap(),
            rho,
            rho / (1.0 - rho),
        );
    }
}

#[test]
fn m_d_1() {
    for rho in LOADS {
        let exact = rho / (2.0 * (1.0 - rho));
        assert_within_99_percent("M/D/1", 1, &Distribution::constant(1.0).unwrap(), rho, exact);
    }
}

#[test]
fn m_m_3() {
    for rho in LOADS {
        let a = 3.0 * rho;
        let last = a * a * a / 6.0 / (1.0 - rho);
        let erlang_c = last / (1.0 + a + a * a / 2.0 + last);
        let exact = erlang_c / (3.0 - a);
        assert_within_99_percent("M/M/3", 3, &Distribution::exponential(1.0).unwrap(), rho, exact);
    }
}
