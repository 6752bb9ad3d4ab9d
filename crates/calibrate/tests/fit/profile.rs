//! What is written is what the catalogue reads.

use kendall_calibrate::fit::fit;
use kendall_calibrate::{ProfileFacts, profile, profile_toml};
use kendall_serving::catalog::{Origin, Profile};
use serde::Deserialize;

use crate::{TRUTH, options, steps};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<Profile>,
}

#[test]
fn the_catalogue_reads_the_profile_that_was_written() {
    let fitted = fit(&[&steps(&TRUTH, 500, 0.02, 0.0, 1)], &options()).unwrap();
    let facts = ProfileFacts {
        name: "a10g-test".to_owned(),
        gpu: "A10G".to_owned(),
        model: "Qwen/Qwen2.5-1.5B-Instruct".to_owned(),
        engine_version: "vllm 0.22.0".to_owned(),
        tensor_parallel_size: 1,
        front_end_overhead_ms: 8.5,
        front_end_std_error_ms: Some(0.25),
        front_end_source: "given".to_owned(),
        fitted_on: "a \"quoted\" file\nof two lines".to_owned(),
        rows_met: None,
    };
    let text = profile_toml(&facts, &fitted).unwrap();
    let read: File = toml::from_str(&text).expect("the catalogue's form");
    assert_eq!(read.profile, [profile(&facts, &fitted)]);
    assert_eq!(read.profile[0].coefficients, Some(fitted.coefficients));
    let Origin::Calibrated { coefficient_sources, residuals, .. } = &read.profile[0].origin;
    assert!(coefficient_sources.starts_with("data: base_ps, "), "{coefficient_sources}");
    assert!(residuals.starts_with("500 steps: median absolute error"), "{residuals}");
    let base = text.lines().find(|line| line.starts_with("base_ps")).unwrap();
    assert!(base.contains("  # fitted, standard error "), "{base}");
}
