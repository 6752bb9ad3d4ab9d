//! Parameters behind requests come back through a simulator: here a queue of one server, one request at a time.

use kendall_calibrate::{Guess, MatchError, MeasuredRequest, Simulate, Target, latencies, match_latencies};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng};

/// First come, first served: front end, then a prefill by the token, then decodes of equal steps.
struct OneAtATime {
    requests: Vec<MeasuredRequest>,
    /// Relative deviation of each latency: what a measurement has and a simulation has not.
    noise: f64,
}

impl Simulate for OneAtATime {
    fn simulate(&mut self, values: &[f64]) -> Result<Vec<Option<f64>>, String> {
        self.answers(values).map(|answers| latencies(&answers))
    }
}

impl OneAtATime {
    fn answers(&self, values: &[f64]) -> Result<Vec<MeasuredRequest>, String> {
        let &[front_end_s, per_prompt_token_s, step_s] = values else {
            return Err("three parameters".to_owned());
        };
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut noisy = |x: f64| x * (1.0 + self.noise * rng.random_range(-1.0..1.0));
        let mut free_at = 0.0_f64;
        let mut answered = Vec::new();
        for request in &self.requests {
            let (Some(send), Some(prompt), Some(output)) =
                (request.send_s, request.prompt_tokens, request.output_tokens)
            else {
                return Err("requests without lengths".to_owned());
            };
            let start = free_at.max(send + front_end_s);
            let first = start + per_prompt_token_s * prompt as f64;
            let decode = step_s * (output - 1) as f64;
            free_at = first + decode;
            let ttft = noisy(first - send);
            let last = ttft + noisy(decode);
            answered.push(MeasuredRequest {
                ttft_s: Some(ttft),
                last_token_s: Some(last),
                e2e_s: Some(last),
                ..request.clone()
            });
        }
        Ok(answered)
    }
}

const TRUTH: [f64; 3] = [0.008, 60e-6, 0.0105];

fn requests(n: u32, utilization: f64) -> Vec<MeasuredRequest> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut send = 0.0;
    // Mean service: 500 tokens of prompt, 50 steps.
    let gap = (500.0 * TRUTH[1] + 49.0 * TRUTH[2]) / utilization;
    (0..n)
        .map(|_| {
            send += gap * rng.random_range(0.0..2.0);
            MeasuredRequest {
                send_s: Some(send),
                prompt_tokens: Some(rng.random_range(50..950)),
                output_tokens: Some(rng.random_range(2..100)),
                ..MeasuredRequest::default()
            }
        })
        .collect()
}

fn guesses(values: [f64; 3]) -> Vec<Guess> {
    let names = ["front_end_s", "per_prompt_token_s", "step_s"];
    names
        .iter()
        .zip(values)
        .map(|(name, value)| Guess { name: (*name).to_owned(), value, spread: None })
        .collect()
}

#[test]
fn parameters_come_back_from_far_guesses() {
    let mut simulator = OneAtATime { requests: requests(200, 0.5), noise: 0.0 };
    let measured = Target::of_requests(&simulator.answers(&TRUTH).unwrap());
    let found = match_latencies(&measured, &guesses([0.02, 20e-6, 0.03]), &mut simulator).unwrap();
    assert!(found.converged, "{found:?}");
    for (parameter, truth) in found.parameters.iter().zip(TRUTH) {
        assert!((parameter.value / truth - 1.0).abs() < 1e-3, "{parameter:?} against {truth}");
    }
    assert!(found.rms < 1e-3 && found.residuals == 400, "{found:?}");
}

#[test]
fn with_noise_they_come_back_within_their_errors() {
    let server = OneAtATime { requests: requests(400, 0.3), noise: 0.1 };
    let measured = Target::of_requests(&server.answers(&TRUTH).unwrap());
    let mut simulator = OneAtATime { noise: 0.0, ..server };
    let found = match_latencies(&measured, &guesses([0.004, 100e-6, 0.008]), &mut simulator).unwrap();
    for (parameter, truth) in found.parameters.iter().zip(TRUTH) {
        let z = (parameter.value - truth) / parameter.std_error;
        assert!(z.abs() < 4.0 && parameter.std_error < 0.1 * truth, "{parameter:?} against {truth}: z {z}");
    }
    // Uniform noise of 10 % has a deviation of 5.8 %.
    assert!((0.03..0.09).contains(&found.rms), "{}", found.rms);
}

/// A parameter that nothing depends on keeps its guess, and its error says that it is not known.
#[test]
fn a_parameter_without_effect_is_infinitely_uncertain() {
    struct Ignores(OneAtATime);
    impl Simulate for Ignores {
        fn simulate(&mut self, values: &[f64]) -> Result<Vec<Option<f64>>, String> {
            self.0.simulate(&[TRUTH[0], TRUTH[1], values[0]])
        }
    }
    let server = OneAtATime { requests: requests(100, 0.5), noise: 0.0 };
    let measured = Target::of_requests(&server.answers(&TRUTH).unwrap());
    let found = match_latencies(
        &measured,
        &[
            Guess { name: "step_s".to_owned(), value: 0.02, spread: None },
            Guess { name: "unused".to_owned(), value: 7.0, spread: None },
        ],
        &mut Ignores(server),
    )
    .unwrap();
    assert!((found.parameters[0].value / TRUTH[2] - 1.0).abs() < 1e-3, "{found:?}");
    assert!(
        (found.parameters[1].value - 7.0).abs() < 1e-9 && found.parameters[1].std_error.is_infinite(),
        "{found:?}"
    );
}

/// Where one kind of latency cannot be met together with another, the one with the smaller tolerance is met.
#[test]
fn a_latency_with_a_small_tolerance_counts_more() {
    struct Once;
    impl Simulate for Once {
        fn simulate(&mut self, values: &[f64]) -> Result<Vec<Option<f64>>, String> {
            Ok(vec![Some(values[0]); 4])
        }
    }
    let guess = [Guess { name: "latency_s".to_owned(), value: 1.0, spread: None }];
    let found = |tolerance: f64| {
        let target = |seconds, tolerance| Target { seconds: Some(seconds), tolerance };
        let measured = [target(1.0, tolerance), target(1.1, 0.1), target(1.0, tolerance), target(1.1, 0.1)];
        match_latencies(&measured, &guess, &mut Once).unwrap()
    };
    // The weighted mean of logarithms: 1 and 4 parts.
    let (alike, strict) = (found(0.1), found(0.05));
    assert!((alike.parameters[0].value - 1.1_f64.sqrt()).abs() < 1e-4, "{alike:?}");
    assert!((strict.parameters[0].value - libm::pow(1.1, 0.2)).abs() < 2e-3, "{strict:?}");
    // Errors are those of the latencies, whatever the tolerances.
    assert!((alike.rms - 0.5 * libm::log(1.1)).abs() < 1e-6, "{alike:?}");
}

/// What the latencies say no more of than the guess did, and what only together they tell, is named.
#[test]
fn what_cannot_be_told_is_named() {
    struct Sum;
    impl Simulate for Sum {
        fn simulate(&mut self, values: &[f64]) -> Result<Vec<Option<f64>>, String> {
            Ok((0..20).map(|k| Some((values[0] + values[1]) * (1.0 + 0.01 * f64::from(k % 3)))).collect())
        }
    }
    let guess = |name: &str, value| Guess { name: name.to_owned(), value, spread: Some(0.5) };
    let guesses = [guess("a_s", 1.0), guess("b_s", 1.0), guess("unused_s", 1.0)];
    let measured: Vec<Target> =
        (0..20).map(|k| Target { seconds: Some(3.0 + 0.1 * f64::from(k % 2)), tolerance: 0.1 }).collect();
    let untold = match_latencies(&measured, &guesses, &mut Sum).unwrap().untold(&guesses);
    assert_eq!(untold.parameters, ["unused_s"]);
    assert_eq!(untold.alike.len(), 1, "{untold:?}");
    assert_eq!(untold.alike[0].parameters, ["a_s", "b_s"]);
    assert!(untold.alike[0].correlation < -0.95, "{untold:?}");
}

#[test]
fn faults_are_said() {
    let mut server = OneAtATime { requests: requests(10, 0.5), noise: 0.0 };
    let measured = Target::of_requests(&server.answers(&TRUTH).unwrap());
    let zero = match_latencies(&measured, &guesses([0.0, 1e-6, 0.01]), &mut server).unwrap_err();
    assert_eq!(zero.to_string(), "front_end_s begins at 0; expected a number above zero");
    let failed = match_latencies(&measured, &guesses(TRUTH)[..2], &mut server).unwrap_err();
    assert_eq!(failed, MatchError::Simulation("three parameters".to_owned()));
    let unequal = match_latencies(&measured[..5], &guesses(TRUTH), &mut server).unwrap_err();
    assert_eq!(unequal, MatchError::Unequal { simulated: 20, measured: 5 });
    let blank = Target::of_requests(&vec![MeasuredRequest::default(); 10]);
    let too_few = match_latencies(&blank, &guesses(TRUTH), &mut server).unwrap_err();
    assert_eq!(too_few, MatchError::TooFew { found: 0, parameters: 3 });
}
