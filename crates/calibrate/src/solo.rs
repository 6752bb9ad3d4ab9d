//! What requests show without a simulator: a request that is alone on the server makes every gap one decode step of
//! one sequence, and its time to first token one prefill and the way to the engine.

use kendall_serving::LinearCoefficients;
use serde::Serialize;

use crate::fit::{Term, predict};
use crate::measured::{COALESCED_GAP_S, Measured, MeasuredRequest};
use crate::steps::{MeasuredStep, ServerFacts, StepLog};

/// Picoseconds in a second.
const PS_PER_S: f64 = 1e12;

/// Time from the client's send until the engine has the request, and back to the client's first token, as far as no
/// other request is involved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FrontEnd {
    /// Median over the requests (ms), not below zero.
    pub median_ms: f64,
    /// Standard error of the median (ms), from order statistics.
    pub std_error_ms: f64,
    /// Requests that found the server empty.
    pub requests: usize,
}

/// Fewest requests for a front end.
const MIN_REQUESTS: usize = 8;

/// The decode steps of requests that were alone from send to end: batch 1, the context known. Each request is a run of
/// its own. Empty where the tokens' times or the sends are not known.
pub fn solo_steps(measured: &Measured) -> StepLog {
    let mut steps = Vec::new();
    for (run, (request, alone_until)) in solo_requests(&measured.requests).into_iter().enumerate() {
        let (Some(prompt), Some(output), Some(end)) =
            (request.prompt_tokens, request.output_tokens, request.e2e_s)
        else {
            continue;
        };
        let each_token = request.gaps_s.len() as u64 + 1 == output;
        if !each_token || end > alone_until || request.gaps_s.iter().any(|&gap| gap < COALESCED_GAP_S) {
            continue;
        }
        // Token number j + 2 is computed behind the prompt and the j + 1 tokens before it.
        let step = |(j, &gap): (usize, &f64)| MeasuredStep {
            run: run as u32,
            duration_s: gap,
            decode_seqs: 1.0,
            decode_context_tokens: (prompt + 1) as f64 + j as f64,
            ..MeasuredStep::default()
        };
        steps.extend(request.gaps_s.iter().enumerate().map(step));
    }
    let server = ServerFacts { model: measured.setting.model.clone(), ..ServerFacts::default() };
    StepLog { steps, server }
}

/// The front end: what is left of the time to first token of requests that found the server empty, after a prefill of
/// the whole prompt in one step under these coefficients. `None` with fewer than eight such requests.
///
/// A prompt that is longer than `max_num_batched_tokens`, or partly in the prefix cache, is not told from others.
pub fn front_end(measured: &[&Measured], coefficients: &LinearCoefficients) -> Option<FrontEnd> {
    let values = Term::ALL.map(|term| term.of(coefficients) as f64 / PS_PER_S);
    let mut rests: Vec<f64> = Vec::new();
    for run in measured {
        for (request, alone_until) in solo_requests(&run.requests) {
            let (Some(prompt), Some(ttft)) = (request.prompt_tokens, request.ttft_s) else { continue };
            if ttft > alone_until {
                continue;
            }
            let prompt = prompt as f64;
            let prefill = MeasuredStep {
                prefill_tokens: prompt,
                prefill_context_tokens: prompt,
                prefill_attention: prompt * prompt,
                new_seqs: 1.0,
                ..MeasuredStep::default()
            };
            rests.push(1e3 * (ttft - predict(&values, &prefill)));
        }
    }
    if rests.len() < MIN_REQUESTS {
        return None;
    }
    rests.sort_by(f64::total_cmp);
    // One standard deviation of the binomial rank of the median is half the square root of n.
    let (n, half) = (rests.len(), libm::ceil(libm::sqrt(rests.len() as f64) / 2.0) as usize);
    let at = |rank: usize| rests[rank.min(n - 1)];
    Some(FrontEnd {
        median_ms: crate::summary::quantile_of_sorted(&rests, 50.0).max(0.0),
        std_error_ms: (at(n / 2 + half) - at((n / 2).saturating_sub(half))) / 2.0,
        requests: n,
    })
}

/// Requests that nobody was in front of, in order of sending, each with the time after its send at which the next one
/// came (s).
fn solo_requests(requests: &[MeasuredRequest]) -> Vec<(&MeasuredRequest, f64)> {
    // A failed request was there too, for a time that is not known: nothing is alone beside one without an end.
    let mut sent: Vec<(&MeasuredRequest, f64)> =
        requests.iter().filter_map(|request| Some((request, request.send_s?))).collect();
    if sent.len() < requests.len() {
        return Vec::new();
    }
    sent.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut busy_until = f64::NEG_INFINITY;
    let mut solo = Vec::new();
    for (i, &(request, send)) in sent.iter().enumerate() {
        let next = sent.get(i + 1).map_or(f64::INFINITY, |&(_, next)| next);
        if send >= busy_until && request.succeeded() {
            solo.push((request, next - send));
        }
        busy_until = busy_until.max(send + request.e2e_s.unwrap_or(0.0));
    }
    solo
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Format;

    fn request(send_s: f64, ttft_s: f64, gaps_s: &[f64]) -> MeasuredRequest {
        let e2e_s = Some(ttft_s + gaps_s.iter().sum::<f64>());
        MeasuredRequest {
            send_s: Some(send_s),
            ttft_s: Some(ttft_s),
            last_token_s: e2e_s,
            e2e_s,
            gaps_s: gaps_s.to_vec(),
            prompt_tokens: Some(100),
            prompt_id: None,
            output_tokens: Some(gaps_s.len() as u64 + 1),
            error: None,
        }
    }

    fn measured(requests: Vec<MeasuredRequest>) -> Measured {
        Measured { requests, ..Measured::new("t", Format::OwnCsv) }
    }

    #[test]
    fn gaps_of_a_request_alone_are_steps_of_one_sequence() {
        let log = solo_steps(&measured(vec![
            request(0.0, 0.05, &[0.01, 0.02]),
            // These two overlap.
            request(1.0, 0.05, &[0.01, 0.01]),
            request(1.06, 0.05, &[0.01, 0.01]),
        ]));
        let shapes: Vec<_> =
            log.steps.iter().map(|step| (step.duration_s, step.decode_context_tokens)).collect();
        assert_eq!(shapes, [(0.01, 101.0), (0.02, 102.0)]);
    }

    #[test]
    fn a_front_end_is_what_a_prefill_leaves() {
        let coefficients = LinearCoefficients {
            base_ps: 10_000_000_000,
            per_prefill_token_ps: 100_000_000,
            ..LinearCoefficients::default()
        };
        // 10 ms and 100 tokens of 0.1 ms: 20 ms of prefill.
        let requests =
            (0..9).map(|i| request(f64::from(i), 0.025 + 0.001 * f64::from(i % 3), &[0.01])).collect();
        let found = front_end(&[&measured(requests)], &coefficients).expect("nine requests alone");
        assert!((found.median_ms - 6.0).abs() < 1e-9 && found.requests == 9, "{found:?}");
        assert!((found.std_error_ms - 1.0).abs() < 1e-9, "{found:?}");
        assert!(front_end(&[&measured(vec![request(0.0, 0.1, &[])])], &coefficients).is_none());
    }
}
