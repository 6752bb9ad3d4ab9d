//! Known coefficients come back.

use kendall_calibrate::fit::{FitError, FitOptions, ParameterSource, Term, fit};
use kendall_calibrate::{MeasuredStep, StepLog};
use kendall_serving::LinearCoefficients;

use crate::{TRUTH, duration_s, options, steps};

#[test]
fn noiseless_steps_give_their_coefficients_back() {
    let log = steps(&TRUTH, 500, 0.0, 0.0, 1);
    let fitted = fit(&[&log], &options()).unwrap();
    for term in Term::ALL {
        let (found, truth) = (term.of(&fitted.coefficients) as f64, term.of(&TRUTH) as f64);
        assert!((found / truth - 1.0).abs() < 1e-6, "{}: {found} against {truth}", term.key());
    }
    assert!(fitted.residuals.all.p95_percent < 1e-6 && fitted.hold_out.all.p95_percent < 1e-6);
    assert!(fitted.identification.absent.is_empty(), "{:?}", fitted.identification);
    assert_eq!((fitted.steps, fitted.left_out), (500, 0));
}

/// Over 40 servers with 5 % of noise, a part of it shared by neighbours, the error in units of its standard error has a
/// mean square near 1: a bootstrap of single steps would be far too sure of itself here.
#[test]
fn standard_errors_mean_what_they_say() {
    let (mut squares, mut count) = (0.0, 0);
    for seed in 0..40 {
        let log = steps(&TRUTH, 2_000, 0.04, 0.03, seed);
        let fitted = fit(&[&log], &options()).unwrap();
        for term in [Term::Base, Term::PrefillToken, Term::DecodeSeq, Term::DecodeContextToken] {
            let parameter = &fitted.parameters[term as usize];
            let z = (parameter.value_ps as f64 - term.of(&TRUTH) as f64) / parameter.std_error_ps.unwrap();
            squares += z * z;
            count += 1;
        }
    }
    let mean_square = squares / f64::from(count);
    println!("mean square of {count} z-scores: {mean_square:.3}");
    assert!((0.6..1.6).contains(&mean_square), "mean square of {count} z-scores: {mean_square}");
}

#[test]
fn stalls_do_not_move_the_fit() {
    let mut log = steps(&TRUTH, 2_000, 0.01, 0.0, 3);
    let clean = fit(&[&log], &options()).unwrap().coefficients;
    for step in log.steps.iter_mut().step_by(40) {
        step.duration_s *= 10.0;
    }
    let stalled = fit(&[&log], &options()).unwrap();
    assert!((0.02..0.05).contains(&stalled.down_weighted), "{}", stalled.down_weighted);
    for term in [Term::Base, Term::DecodeSeq, Term::DecodeContextToken, Term::PrefillToken] {
        let moved = term.of(&stalled.coefficients) as f64 / term.of(&clean) as f64 - 1.0;
        assert!(moved.abs() < 0.02, "{}: {moved}", term.key());
    }
}

/// Prompts of one length in one chunk: their tokens, contexts, attention and number are one and the same column.
#[test]
fn what_one_prompt_length_cannot_tell_apart_comes_from_physics() {
    let mut log = steps(&TRUTH, 1_000, 0.01, 0.0, 4);
    for step in log.steps.iter_mut().filter(|step| step.prefill_tokens > 0.0) {
        (step.prefill_tokens, step.prefill_context_tokens) = (1_000.0, 1_000.0);
        (step.prefill_attention, step.new_seqs) = (1e6, 1.0);
        step.duration_s = duration_s(&TRUTH, step);
    }
    let physics = LinearCoefficients { per_new_seq_ps: 0, ..TRUTH };
    let fitted = fit(&[&log], &FitOptions { physics: Some(physics), ..options() }).unwrap();
    let mixed = &fitted.identification.confounded[0].terms;
    assert!(mixed.contains(&Term::PrefillToken) || mixed.contains(&Term::NewSeq), "{mixed:?}");
    let source = |term: Term| fitted.parameters[term as usize].source;
    assert_eq!(source(Term::PrefillToken), ParameterSource::Data);
    for term in [Term::PrefillContextToken, Term::PrefillAttention, Term::NewSeq] {
        assert_eq!(source(term), ParameterSource::Physics, "{}", term.key());
        assert_eq!(term.of(&fitted.coefficients), term.of(&physics));
    }
    // The token's coefficient takes what a new sequence costs: 300 us over 1,000 tokens.
    let found = fitted.coefficients.per_prefill_token_ps as f64;
    assert!((found / 52_883_000.0 - 1.0).abs() < 0.01, "{found}");
}

#[test]
fn terms_of_which_no_step_has_any_are_named() {
    let mut log = steps(&TRUTH, 400, 0.01, 0.0, 5);
    log.steps.retain(|step| step.prefill_tokens <= 0.0);
    let fitted = fit(&[&log], &options()).unwrap();
    let absent = [Term::PrefillToken, Term::PrefillContextToken, Term::PrefillAttention, Term::NewSeq];
    assert_eq!(fitted.identification.absent, absent);
    for term in absent {
        assert_eq!(fitted.parameters[term as usize].source, ParameterSource::Nothing);
        assert_eq!(fitted.parameters[term as usize].std_error_ps, None);
    }
    assert_eq!((fitted.range.max_prefill_tokens, fitted.range.min_decode_seqs), (0, 1));
    assert!(fitted.range.max_context_tokens < 4_000 && fitted.range.min_context_tokens >= 50);
}

#[test]
fn a_given_coefficient_stays_and_the_others_fit_around_it() {
    let log = steps(&TRUTH, 500, 0.0, 0.0, 6);
    let given = vec![(Term::DecodeContextToken, TRUTH.per_decode_context_token_ps)];
    let fitted = fit(&[&log], &FitOptions { given, ..options() }).unwrap();
    assert_eq!(fitted.coefficients.per_decode_context_token_ps, TRUTH.per_decode_context_token_ps);
    assert_eq!(fitted.parameters[Term::DecodeContextToken as usize].source, ParameterSource::Given);
    let base = fitted.coefficients.base_ps as f64 / TRUTH.base_ps as f64;
    assert!((base - 1.0).abs() < 1e-6, "{base}");
}

/// A context that would make steps shorter: not a server, so its coefficient is zero and says so.
#[test]
fn a_coefficient_below_zero_is_held_at_zero() {
    let log = StepLog {
        steps: (0..200)
            .map(|i| MeasuredStep {
                duration_s: 0.02 - 1e-6 * f64::from(i % 97),
                decode_seqs: f64::from(1 + i % 8),
                decode_context_tokens: 100.0 * f64::from(i % 97),
                ..MeasuredStep::default()
            })
            .collect(),
        ..StepLog::default()
    };
    let fitted = fit(&[&log], &options()).unwrap();
    assert_eq!(fitted.coefficients.per_decode_context_token_ps, 0);
    assert_eq!(fitted.parameters[Term::DecodeContextToken as usize].source, ParameterSource::AtZero);
}

/// Another server than the one held out: whole runs are left out, so that the hold-out error shows it.
#[test]
fn a_run_unlike_the_others_shows_in_the_hold_out_error() {
    let logs: Vec<StepLog> = (0..5)
        .map(|run| {
            let factor = if run == 4 { 1.5 } else { 1.0 };
            let mut log = steps(&TRUTH, 300, 0.01, 0.0, run);
            log.steps.iter_mut().for_each(|step| step.duration_s *= factor);
            log
        })
        .collect();
    let fitted = fit(&logs.iter().collect::<Vec<_>>(), &options()).unwrap();
    assert_eq!(fitted.hold_out_by, "each of 5 runs held out once");
    assert!(fitted.hold_out.all.p95_percent > 30.0, "{:?}", fitted.hold_out.all);
}

#[test]
fn too_little_or_foreign_data_are_errors() {
    let log = steps(&TRUTH, 19, 0.0, 0.0, 7);
    let error = fit(&[&log], &options()).unwrap_err();
    assert_eq!(error, FitError::TooFewSteps { found: 19 });
    let mut log = steps(&TRUTH, 50, 0.0, 0.0, 7);
    for step in &mut log.steps {
        step.duration_s *= 1e9;
    }
    assert_eq!(fit(&[&log], &options()).unwrap_err(), FitError::TooFewSteps { found: 0 });
}

#[test]
fn equal_seeds_give_equal_bits() {
    let log = steps(&TRUTH, 500, 0.05, 0.02, 8);
    let fits: Vec<_> =
        [1, 1, 2].map(|seed| fit(&[&log], &FitOptions { seed, ..options() }).unwrap()).to_vec();
    assert_eq!(fits[0], fits[1]);
    assert_eq!(fits[0].coefficients, fits[2].coefficients);
    assert_ne!(fits[0].covariance_ps2, fits[2].covariance_ps2);
}
