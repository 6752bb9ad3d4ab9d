//! Arrival processes against their own moments and distributions, at 100,000 arrivals of a fixed seed.
//!
//! Rates that vary in time are tested by time rescaling: at the right times, the expected numbers of arrivals between them are
//! independent draws of the base process (Brown et al., Neural Computation 14 (2002), 325-346).

use kendall_des::{SimTime, Streams};
use statrs::distribution::{ContinuousCDF, Exp, Gamma, Weibull};

use super::clock::{Clock, Next};
use super::{Arrivals, Fluctuation, MmppState, Periods, Stage, class_purpose};

const N: u64 = 100_000;

/// Kolmogorov-Smirnov distances above 1.95 / sqrt(n) come with probability 0.001.
const KS_999: f64 = 1.95;

type Cdf = Box<dyn Fn(f64) -> f64>;

fn times(arrivals: &Arrivals, fluctuation: Option<&Fluctuation>, n: u64) -> Vec<f64> {
    let mut clock = Clock::new(arrivals, fluctuation, 0, Streams::new(42, 0)).unwrap();
    let mut now = SimTime::ZERO;
    (0..n)
        .map_while(|index| match clock.next(now, index) {
            Next::At(arrival) => {
                now = arrival;
                Some((arrival - SimTime::ZERO).as_secs_f64())
            }
            Next::Ended | Next::BeyondHorizon => None,
        })
        .collect()
}

fn gaps(times: &[f64]) -> Vec<f64> {
    let before = std::iter::once(&0.0).chain(times);
    times.iter().zip(before).map(|(time, before)| time - before).collect()
}

fn mean_and_cv(sample: &[f64]) -> (f64, f64) {
    let n = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / n;
    let variance = sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, variance.sqrt() / mean)
}

fn assert_distributed(name: &str, mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) {
    let n = sample.len() as f64;
    sample.sort_by(f64::total_cmp);
    let distances = sample.iter().enumerate().map(|(i, &x)| {
        let f = cdf(x);
        (f - i as f64 / n).max((i + 1) as f64 / n - f)
    });
    let distance = distances.fold(0.0, f64::max);
    assert!(distance < KS_999 / n.sqrt(), "{name}: Kolmogorov-Smirnov distance {distance} of {n} gaps");
}

fn unit_exponential(x: f64) -> f64 {
    Exp::new(1.0).unwrap().cdf(x)
}

/// Mean within five standard errors, coefficient of variation within 3 %.
fn assert_moments(arrivals: &Arrivals, sample: &[f64]) {
    let (mean, cv) = mean_and_cv(sample);
    let (exact_mean, exact_cv) = (1.0 / arrivals.rate_per_s().unwrap(), arrivals.gap_cv().unwrap());
    let error = 5.0 * exact_cv * exact_mean / (sample.len() as f64).sqrt();
    assert!((mean - exact_mean).abs() <= error + 1e-9, "{arrivals:?}: mean {mean}, exactly {exact_mean}");
    assert!((cv - exact_cv).abs() <= 0.03 * exact_cv + 1e-6, "{arrivals:?}: cv {cv}, exactly {exact_cv}");
}

#[test]
fn renewal_processes_have_their_distribution() {
    let rate_per_s = 4.0;
    let gamma = |burstiness, cv| Arrivals::Gamma { rate_per_s, burstiness, cv };
    let weibull = |shape, cv| Arrivals::Weibull { rate_per_s, shape, cv };
    let gamma_cdf = move |shape: f64| Gamma::new(shape, shape * rate_per_s).unwrap();
    let weibull_cdf =
        move |shape: f64| Weibull::new(shape, 1.0 / (rate_per_s * libm::tgamma(1.0 + 1.0 / shape))).unwrap();
    let cases: Vec<(Arrivals, Cdf)> = vec![
        (Arrivals::Poisson { rate_per_s }, Box::new(move |x| Exp::new(rate_per_s).unwrap().cdf(x))),
        (gamma(Some(0.25), None), Box::new(move |x| gamma_cdf(0.25).cdf(x))),
        (gamma(Some(4.0), None), Box::new(move |x| gamma_cdf(4.0).cdf(x))),
        (gamma(None, Some(2.0)), Box::new(move |x| gamma_cdf(0.25).cdf(x))),
        (weibull(Some(0.7), None), Box::new(move |x| weibull_cdf(0.7).cdf(x))),
        (weibull(None, Some(1.0)), Box::new(move |x| Exp::new(rate_per_s).unwrap().cdf(x))),
    ];
    for (arrivals, cdf) in cases {
        let sample = gaps(&times(&arrivals, None, N));
        assert_moments(&arrivals, &sample);
        assert_distributed(&format!("{arrivals:?}"), sample, cdf);
    }
    let constant = gaps(&times(&Arrivals::Constant { rate_per_s }, None, 1_000));
    assert!(constant.iter().all(|gap| (gap - 0.25).abs() < 1e-9));
}

/// Gaps of an interrupted Poisson process are independent, and a mixture of two exponentials: Kuczura, Bell System Technical
/// Journal 52 (1973), 437-448.
#[test]
fn random_bursts_are_a_hyperexponential_renewal_process() {
    let (mean_rate, on_s, off_s) = (3.0, 2.0, 5.0);
    let arrivals = Arrivals::OnOff { rate_per_s: mean_rate, on_s, off_s, periods: None };
    let (rate, leave, back) = (mean_rate * (on_s + off_s) / on_s, 1.0 / on_s, 1.0 / off_s);
    let sum = rate + leave + back;
    let root = (sum * sum - 4.0 * rate * back).sqrt();
    let (fast, slow) = (f64::midpoint(sum, root), f64::midpoint(sum, -root));
    let weight = (rate - slow) / (fast - slow);
    let cv2 = 2.0 * (weight / (fast * fast) + (1.0 - weight) / (slow * slow)) * mean_rate * mean_rate - 1.0;
    assert!(
        (arrivals.gap_cv().unwrap() - cv2.sqrt()).abs() < 1e-9,
        "the general formula and Kuczura's agree"
    );
    // The first gap begins at time 0, not at an arrival.
    let sample = gaps(&times(&arrivals, None, N + 1)).split_off(1);
    assert_moments(&arrivals, &sample);
    assert_distributed("on-off", sample, |x| {
        1.0 - weight * libm::exp(-fast * x) - (1.0 - weight) * libm::exp(-slow * x)
    });
}

fn three_states() -> Vec<MmppState> {
    let state =
        |rate_per_s, mean_s, next: [f64; 3]| MmppState { rate_per_s, mean_s, next: Some(next.to_vec()) };
    vec![
        state(1.0, 30.0, [0.0, 3.0, 1.0]),
        state(8.0, 10.0, [1.0, 0.0, 1.0]),
        state(0.0, 4.0, [2.0, 1.0, 0.0]),
    ]
}

/// Given its path, a Markov-modulated Poisson process is a Poisson process: the path is drawn once more, by its addresses.
#[test]
fn a_modulated_poisson_process_is_one_on_its_path() {
    let states = three_states();
    let arrivals = Arrivals::Mmpp { states: states.clone() };
    let times = times(&arrivals, None, N);
    let mut path = Streams::new(42, 0).stream(class_purpose(super::ARRIVAL_STATES, 0));
    let pick = |weights: &[f64], u: f64| {
        let total: f64 = weights.iter().sum();
        let mut up_to = 0.0;
        weights.iter().position(|weight| {
            up_to += weight / total;
            u <= up_to
        })
    };
    let stationary = super::mmpp::Mmpp::new(&states).unwrap().stationary;
    let (mut state, mut start, mut jump, mut mass) = (0, 0.0, 0, 0.0);
    let mut end = 0.0;
    let mut rescaled = Vec::new();
    let mut spent = [0.0; 3];
    for &time in &times {
        while time > end {
            mass += states[state].rate_per_s * (end - start);
            let mut rng = path.entity(jump);
            let weights = if jump == 0 { &stationary } else { states[state].next.as_ref().unwrap() };
            state = pick(weights, rng.next_open01()).unwrap();
            let length = -states[state].mean_s * libm::log1p(-rng.next_open01());
            spent[state] += length;
            (start, end, jump) = (end, end + length, jump + 1);
        }
        rescaled.push(mass + states[state].rate_per_s * (time - start));
    }
    assert_distributed("mmpp", gaps(&rescaled), unit_exponential);
    // Visits of the embedded chain are in the ratio 4 : 4 : 3, so times in the ratio 120 : 40 : 12.
    for (share, exact) in stationary.iter().zip([120.0 / 172.0, 40.0 / 172.0, 12.0 / 172.0]) {
        assert!((share - exact).abs() < 1e-12, "{stationary:?}");
    }
    // Some 2,500 sojourns: a standard error of about 0.012.
    for (share, time) in stationary.iter().zip(spent) {
        assert!((share - time / end).abs() < 0.05, "{stationary:?} of time, {spent:?} s of {end}");
    }
}

/// Twenty paths of 100,000 arrivals: standard errors of 0.6 % for the mean, which is the noisier one.
#[test]
fn a_modulated_poisson_process_has_its_mean_and_cv() {
    let arrivals = Arrivals::Mmpp { states: three_states() };
    let path = |replication| {
        let mut clock = Clock::new(&arrivals, None, 0, Streams::new(42, replication)).unwrap();
        let mut now = SimTime::ZERO;
        let mut step = |index| {
            let Next::At(arrival) = clock.next(now, index) else { panic!("the process has no end") };
            let gap = (arrival - now).as_secs_f64();
            now = arrival;
            gap
        };
        (0..N).map(&mut step).collect::<Vec<_>>()
    };
    let sample: Vec<f64> = (0..20).flat_map(path).collect();
    let (mean, cv) = mean_and_cv(&sample);
    let (rate, exact_cv) = (arrivals.rate_per_s().unwrap(), arrivals.gap_cv().unwrap());
    assert!((rate - 440.0 / 172.0).abs() < 1e-12, "rate {rate}");
    assert!((mean * rate - 1.0).abs() < 0.025, "mean {mean}, rate {rate}");
    assert!((cv / exact_cv - 1.0).abs() < 0.025, "cv {cv}, exactly {exact_cv}");
}

#[test]
fn rates_that_vary_in_time_are_right_at_each_time() {
    use std::f64::consts::TAU;
    let (rate_per_s, amplitude, period_s, phase_s) = (5.0, 0.8, 60.0, 10.0);
    let swing = |t: f64| {
        let angle = |t: f64| TAU * (t + phase_s) / period_s;
        t + amplitude * period_s / TAU * (libm::cos(angle(0.0)) - libm::cos(angle(t)))
    };
    let sinusoidal =
        |cv| Arrivals::Sinusoidal { rate_per_s, amplitude, period_s, phase_s: Some(phase_s), cv };
    let rescaled = |arrivals: &Arrivals, fluctuation: Option<&Fluctuation>, mass: &dyn Fn(f64) -> f64| {
        gaps(&times(arrivals, fluctuation, N).into_iter().map(mass).collect::<Vec<_>>())
    };
    let by_swing = |t: f64| rate_per_s * swing(t);
    assert_distributed("sinusoidal", rescaled(&sinusoidal(None), None, &by_swing), unit_exponential);
    let bursty = Gamma::new(0.25, 0.25).unwrap();
    assert_distributed("bursty sinusoidal", rescaled(&sinusoidal(Some(2.0)), None, &by_swing), |x| {
        bursty.cdf(x)
    });

    // 2/s for 10 s, up to 6/s over 5 s, a jump down to 0 for 5 s: 40 arrivals in 20 s, again and again.
    let points = vec![(0.0, 2.0), (10.0, 2.0), (15.0, 6.0), (15.0, 0.0), (20.0, 0.0)];
    let in_cycle = |t: f64| match t {
        t if t < 10.0 => 2.0 * t,
        t if t < 15.0 => 20.0 + 2.0 * (t - 10.0) + 0.4 * (t - 10.0) * (t - 10.0),
        _ => 40.0,
    };
    let by_cycle = |t: f64| 40.0 * libm::floor(t / 20.0) + in_cycle(t % 20.0);
    let piecewise = Arrivals::Piecewise { points: points.clone(), repeat: Some(true), cv: None };
    assert_eq!(piecewise.rate_per_s(), Some(2.0));
    assert_distributed("piecewise", rescaled(&piecewise, None, &by_cycle), unit_exponential);

    // The same shape as a factor on a bursty process.
    let gamma = Arrivals::Gamma { rate_per_s: 2.0, burstiness: Some(0.25), cv: None };
    let fluctuation = Fluctuation::Piecewise { points };
    assert_distributed("fluctuation", rescaled(&gamma, Some(&fluctuation), &by_cycle), |x| bursty.cdf(x));
    let swinging = Fluctuation::Sinusoidal { amplitude, period_s, phase_s: Some(phase_s) };
    let twice = |t: f64| 2.0 * swing(t);
    assert_distributed("swing over bursts", rescaled(&gamma, Some(&swinging), &twice), |x| bursty.cdf(x));

    let fixed = Arrivals::OnOff { rate_per_s: 1.0, on_s: 3.0, off_s: 9.0, periods: Some(Periods::Fixed) };
    let by_bursts = |t: f64| 12.0 * libm::floor(t / 12.0) + 4.0 * (t % 12.0).min(3.0);
    assert_distributed("fixed bursts", rescaled(&fixed, None, &by_bursts), unit_exponential);
}

#[test]
fn stages_end_with_the_last_one() {
    let stage = |rate_per_s, to_rate_per_s, duration_s| Stage { rate_per_s, to_rate_per_s, duration_s };
    let stages = vec![stage(4.0, None, 6.0), stage(0.0, None, 1.0), stage(0.0, Some(20.0), 10.0)];
    let even = Arrivals::Stages { stages: stages.clone(), repeat: None, cv: Some(0.0) };
    assert_eq!(even.expected_requests(), Some(124.0));
    let at = times(&even, None, N);
    assert_eq!(at.len(), 124);
    assert!((at[23] - 6.0).abs() < 1e-9 && (at[24] - 8.0).abs() < 1e-9 && (at[123] - 17.0).abs() < 1e-9);
    // A Poisson process over the same stages: a count of mean and variance 124.
    let poisson = Arrivals::Stages { stages, repeat: None, cv: None };
    let count = |replication| {
        let mut clock = Clock::new(&poisson, None, 0, Streams::new(7, replication)).unwrap();
        let mut now = SimTime::ZERO;
        let arrivals = (0..).map_while(|index| match clock.next(now, index) {
            Next::At(arrival) => {
                now = arrival;
                Some(())
            }
            _ => None,
        });
        arrivals.count() as f64
    };
    let counts: Vec<_> = (0..2_000).map(count).collect();
    let (mean, cv) = mean_and_cv(&counts);
    // Standard errors: 0.25 of the mean, 1.6 % of the variance.
    assert!((mean - 124.0).abs() < 1.25, "mean {mean}");
    assert!((cv * mean * cv * mean / 124.0 - 1.0).abs() < 0.16, "variance {}", cv * mean * cv * mean);
}

/// A parameter is wrong at its own key.
#[test]
fn parameters_outside_their_domain_are_errors() {
    let state = |rate_per_s, mean_s, next| MmppState { rate_per_s, mean_s, next };
    let instant = Stage { rate_per_s: 1.0, to_rate_per_s: None, duration_s: 0.0 };
    for (arrivals, field) in [
        (Arrivals::Gamma { rate_per_s: 1.0, burstiness: None, cv: None }, ""),
        (Arrivals::Gamma { rate_per_s: 1.0, burstiness: Some(1.0), cv: Some(1.0) }, "cv"),
        (Arrivals::Weibull { rate_per_s: 1.0, shape: None, cv: Some(1_000.0) }, "cv"),
        (Arrivals::Mmpp { states: vec![state(1.0, 1.0, None)] }, "states"),
        (Arrivals::Mmpp { states: vec![state(1.0, 1.0, None), state(1.0, -1.0, None)] }, "states.1.mean_s"),
        (Arrivals::Mmpp { states: vec![state(0.0, 1.0, None), state(0.0, 1.0, None)] }, "states"),
        (Arrivals::Mmpp { states: vec![state(1.0, 1e-9, None), state(0.0, 1e-9, None)] }, "states"),
        (Arrivals::Stages { stages: vec![instant], repeat: None, cv: None }, "stages.0.duration_s"),
        (Arrivals::Piecewise { points: vec![(0.0, 1.0), (-1.0, 2.0)], repeat: None, cv: None }, "points.1"),
        (
            Arrivals::Sinusoidal { rate_per_s: 1.0, amplitude: 1.5, period_s: 1.0, phase_s: None, cv: None },
            "amplitude",
        ),
    ] {
        let error = arrivals.check().expect_err("a parameter outside its domain");
        assert_eq!(error.field, field, "{error}");
    }
    let stuck = vec![
        state(1.0, 1.0, Some(vec![0.0, 1.0, 0.0])),
        state(1.0, 1.0, Some(vec![1.0, 0.0, 0.0])),
        state(1.0, 1.0, Some(vec![1.0, 1.0, 0.0])),
    ];
    let message = Arrivals::Mmpp { states: stuck }.check().unwrap_err().message;
    assert!(message.contains("never reached"), "{message}");
}
