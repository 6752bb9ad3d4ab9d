//! The front end by version of the engine: what is left of the measured TTFT when the engine's is taken away.
//!
//! A client sees one sum. Tokenising and streaming are set beforehand, and the way to the engine is the rest.

use anyhow::Result;
use kendall_serving::step_time::roofline::{Efficiencies, FrontEndTimes};

use crate::numbers::median;
use crate::rows::Experiment;
use crate::servers::simulate;

/// Tokenising on one core of a server (us a token): Hugging Face's tokenizers state a GB of text in 20 s on all cores of
/// one, a few MB a second and core; measured prompts are too alike in length to fit it better.
const TOKENISING_US: f64 = 1.0;

/// Detokenising and streaming a token (us): 10,000 a second for one API server process. Not told apart by the data.
const STREAMING_US: f64 = 100.0;

/// Oldest minor version, and what was measured of the versions from there on.
const VERSIONS: [(u32, &str); 2] =
    [(0, "0.15, clients in the cluster"), (19, "0.23, clients on the same host")];

const REQUESTS: usize = 1_000;

/// Sets the front ends, each to the median over the stages of its versions.
pub(crate) fn fit(experiments: &[&Experiment], efficiencies: &mut Efficiencies) -> Result<()> {
    efficiencies.front_ends.clear();
    let general_ms = efficiencies.engine.front_end_ms;
    let mut found = Vec::new();
    for (index, (from_minor, measured_on)) in VERSIONS.into_iter().enumerate() {
        let until = VERSIONS.get(index + 1).map_or(u32::MAX, |(next, _)| *next);
        let mut receipts_ms = Vec::new();
        for experiment in experiments {
            let minor = experiment.minor.unwrap_or(u32::MAX);
            if !(from_minor..until).contains(&minor) {
                continue;
            }
            let simulated = simulate(experiment, efficiencies, REQUESTS)?;
            for (stage, simulated) in experiment.stages.iter().zip(simulated) {
                let prompt = experiment.session.load.requests.iter().map(|(_, spec)| spec.num_prompt_tokens);
                let tokens = prompt.clone().map(f64::from).sum::<f64>() / prompt.count().max(1) as f64;
                let missing_ms = 1e3 * (stage.measured.ttft_s - simulated.ttft_s);
                receipts_ms.push(general_ms + missing_ms - (STREAMING_US + TOKENISING_US * tokens) / 1e3);
            }
        }
        if !receipts_ms.is_empty() {
            found.push(FrontEndTimes {
                from_minor,
                measured_on: measured_on.to_owned(),
                receipt_ms: median(receipts_ms).max(0.0),
                tokenising_us_per_token: TOKENISING_US,
                streaming_us_per_token: STREAMING_US,
            });
        }
    }
    efficiencies.front_ends = found;
    Ok(())
}
