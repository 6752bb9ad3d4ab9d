//! Whatever the steps, a fit or an error: coefficients at or above zero, errors finite.

use kendall_calibrate::fit::{FitOptions, fit, residual_plot};
use kendall_calibrate::{MeasuredStep, StepLog};
use kendall_serving::LinearCoefficients;
use proptest::prelude::*;

fn any_amount() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..10.0_f64, 0.0..1e6_f64, 1e-300..1e300_f64, Just(f64::NAN), Just(-1.0)]
}

fn any_step() -> impl Strategy<Value = MeasuredStep> {
    let duration = prop_oneof![5 => 1e-4..1.0_f64, 1 => any_amount()];
    (0_u32..4, duration, prop::array::uniform6(any_amount())).prop_map(|(run, duration_s, amounts)| {
        let [
            prefill_tokens,
            prefill_context_tokens,
            prefill_attention,
            decode_seqs,
            decode_context_tokens,
            new_seqs,
        ] = amounts;
        MeasuredStep {
            run,
            duration_s,
            prefill_tokens,
            prefill_context_tokens,
            prefill_attention,
            decode_seqs,
            decode_context_tokens,
            new_seqs,
        }
    })
}

proptest! {
    #[test]
    fn any_steps_are_fitted_or_refused(steps in prop::collection::vec(any_step(), 0..120), with_physics in any::<bool>()) {
        let log = StepLog { steps, ..StepLog::default() };
        let physics = with_physics.then_some(LinearCoefficients { base_ps: 1, ..LinearCoefficients::default() });
        let options = FitOptions { replicates: 5, physics, ..FitOptions::default() };
        if let Ok(fitted) = fit(&[&log], &options) {
            prop_assert!(fitted.residuals.all.median_percent.is_finite());
            prop_assert!(fitted.covariance_ps2.iter().flatten().all(|x| x.is_finite()));
            prop_assert!(fitted.identification.condition_index >= 1.0);
            prop_assert_eq!(fitted.steps + fitted.left_out, log.steps.len());
        }
        let svg = residual_plot(&[&log], &LinearCoefficients { base_ps: 10_000_000_000, ..LinearCoefficients::default() });
        prop_assert!(svg.ends_with("</svg>\n"));
    }
}
