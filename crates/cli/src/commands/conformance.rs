//! `kendall conformance`

use std::fmt::Write as _;
use std::process::ExitCode;

use kendall_conformance::{ConformanceError, Difference, replay_dir};

use crate::args::ConformanceArgs;
use crate::exit::{Failure, print};

pub(crate) fn conformance(args: &ConformanceArgs) -> Result<ExitCode, Failure> {
    let outcomes = replay_dir(&args.dir, args.one_by_one)
        .map_err(|error: ConformanceError| Failure::Invalid(error.to_string()))?;
    let identical = outcomes.iter().filter(|outcome| outcome.identical).count();
    let steps: u64 = outcomes.iter().map(|outcome| outcome.steps).sum();
    let steps_identical: u64 = outcomes.iter().map(|outcome| outcome.steps_identical).sum();
    let mut text = String::new();
    if args.json {
        let json = serde_json::json!({
            "scenarios": outcomes.len(),
            "identical": identical,
            "steps": steps,
            "steps_identical": steps_identical,
            "results": outcomes,
        });
        let _ = writeln!(text, "{json:#}");
    } else {
        for outcome in &outcomes {
            let verdict = if outcome.identical { "identical" } else { "DIFFERS" };
            let _ = writeln!(
                text,
                "{verdict:9}  {:28} vLLM {:7}  {:>6} of {:>6} steps, {:>5} of {:>5} requests",
                outcome.scenario,
                outcome.vllm_version,
                outcome.steps_identical,
                outcome.steps,
                outcome.requests_identical,
                outcome.requests
            );
            text.push_str(&outcome.first_difference.as_ref().map(Difference::explain).unwrap_or_default());
        }
        let _ = writeln!(
            text,
            "{identical} of {} recordings identical; {steps_identical} of {steps} steps identical in every field",
            outcomes.len()
        );
    }
    print(&text)?;
    Ok(if identical == outcomes.len() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
