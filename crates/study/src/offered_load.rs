//! What no rate can exceed: each request needs time of a device that does one thing at a time.
//!
//! A step lasts `base + sum of its rows' terms`, and steps of a replica follow one another. So a request costs at least its
//! own terms, and its share of the bases of the steps that it is in. A step holds at most `max_num_seqs` rows,
//! `max_num_batched_tokens` tokens and the KV cache's blocks, and a request fills a known part of each:
//!
//! ```text
//! steps >= max(rows / max_num_seqs, tokens / max_num_batched_tokens, block-steps / usable blocks)
//! E[time of a request] >= E[own terms] + base * max of the three means
//! ```
//!
//! A rate above `replicas / E[time]` makes every queue grow, whatever the scheduler does. It is the fluid limit of Li, Dai
//! & Peng (2025) and Nie, Si & Zhou (2026), with this engine's step times. Tokens that a prefix cache may bring are taken
//! as free, and so is a request whose client may give up: the bound errs upwards only.

use kendall_theory::output::Interval;

use kendall_serving::{
    LinearCoefficients, PromptContent, RequestSpec, SimulationConfig, TokenStream, Workload, WorkloadError,
};

/// Requests whose lengths are read, where time does not matter.
pub const SAMPLE: u64 = 20_000;

/// Standard errors between the sampled mean time and the one that is used: the bound is then too low once in 30,000
/// samples.
const STANDARD_ERRORS: f64 = 4.0;
/// The two-sided confidence of so many.
const CONFIDENCE: f64 = 0.999_936_66;

/// What was learnt of a workload without playing it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OfferedLoad {
    /// Rate that the workload comes at in the long run (1/s); `None` if it all comes at once.
    pub rate_per_s: Option<f64>,
    /// Rate above which the queue grows for certain (1/s); `None` if requests may cost nothing.
    pub bound_per_s: Option<f64>,
    /// Arrivals over what device time serves at most, from below, with `STANDARD_ERRORS` of the mean time of a request; `None`
    /// where either is.
    pub load: Option<Interval>,
    /// Median of output lengths (tokens).
    pub median_output_tokens: f64,
    /// Requests that were read.
    pub requests: u64,
}

/// Reads the first `sample` requests of a workload that comes at this rate.
///
/// # Errors
/// If it cannot deliver a request.
pub fn offered_load(
    config: &SimulationConfig,
    mut workload: Box<dyn Workload + Send>,
    rate_per_s: Option<f64>,
    sample: u64,
) -> Result<OfferedLoad, WorkloadError> {
    let steps = config.step_time.at_least();
    let mut needs = Vec::new();
    let mut outputs = Vec::new();
    while (needs.len() as u64) < sample {
        let Some(spec) = workload.next_request() else { break };
        let spec = spec?;
        outputs.push(spec.max_tokens);
        needs.push(Need::of(config, &steps, &spec));
    }
    outputs.sort_unstable();
    let requests = needs.len() as u64;
    let replicas = f64::from(config.replicas);
    let time_s = shortest_mean_time_s(steps.base_ps, &needs);
    let load = |(rate, time): (f64, Interval)| Interval {
        mean: rate * time.mean / replicas,
        half_width: rate * time.half_width / replicas,
        ..time
    };
    Ok(OfferedLoad {
        rate_per_s,
        bound_per_s: time_s.filter(|time| time.low() > 0.0).map(|time| replicas / time.low()),
        load: rate_per_s.zip(time_s).map(load),
        median_output_tokens: outputs.get(outputs.len() / 2).copied().map_or(1.0, f64::from),
        requests,
    })
}

/// What one request needs at least.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    /// Its own terms (s).
    terms_s: f64,
    /// Rows of steps, as shares of `max_num_seqs`.
    rows: f64,
    /// Tokens, as shares of `max_num_batched_tokens`.
    tokens: f64,
    /// Blocks times steps, as shares of the KV cache.
    block_steps: f64,
}

impl Need {
    fn of(config: &SimulationConfig, c: &LinearCoefficients, spec: &RequestSpec) -> Self {
        let engine = &config.engine;
        let longest = f64::from(engine.max_model_len);
        let prompt = f64::from(spec.num_prompt_tokens);
        if spec.abort.is_some() || prompt >= longest {
            return Self::default();
        }
        let output = f64::from(spec.max_tokens).min(longest - prompt);
        let own = if engine.enable_prefix_caching { own_tokens(spec) } else { prompt };
        let decodes = output - 1.0;
        // Contexts after each decode: prompt + 1, prompt + 2, ...
        let contexts = decodes * prompt + decodes * (decodes + 1.0) / 2.0;
        let own_contexts = decodes * own + decodes * (decodes + 1.0) / 2.0;
        // A prompt in chunks attends to at least half of the square; own tokens come last.
        let attention = own * own / 2.0;
        let ps = c.per_prefill_token_ps as f64 * own
            + c.per_prefill_context_token_ps as f64 * own
            + c.per_prefill_attention_ps as f64 * attention
            + c.per_decode_seq_ps as f64 * decodes
            + c.per_decode_context_token_ps as f64 * contexts
            // What others may hold too is read for all of them at once, as far as the step times say so.
            - config.step_time.shared_token_ps() as f64 * (contexts - own_contexts)
            + c.per_new_seq_ps as f64;
        let block = f64::from(engine.block_size);
        Self {
            terms_s: ps / 1e12,
            rows: output / f64::from(engine.max_num_seqs),
            tokens: (own + decodes) / f64::from(engine.max_num_batched_tokens),
            block_steps: own_contexts / block / f64::from(engine.usable_blocks()),
        }
    }
}

/// Tokens that no other request can bring into the prefix cache.
fn own_tokens(spec: &RequestSpec) -> f64 {
    match &spec.prompt {
        PromptContent::Unique => f64::from(spec.num_prompt_tokens),
        PromptContent::Segments(segments) => segments
            .iter()
            .filter(|segment| segment.stream == TokenStream::Own)
            .map(|segment| f64::from(segment.len))
            .sum(),
    }
}

/// The mean time that a request takes of a replica at least, with [`STANDARD_ERRORS`]; `None` without requests.
fn shortest_mean_time_s(base_ps: u64, needs: &[Need]) -> Option<Interval> {
    let step_s = base_ps as f64 / 1e12;
    let parts: [fn(&Need) -> f64; 3] = [|need| need.rows, |need| need.tokens, |need| need.block_steps];
    let times = parts.map(|part| {
        let times: Vec<f64> = needs.iter().map(|need| need.terms_s + step_s * part(need)).collect();
        mean(&times)
    });
    times.into_iter().flatten().reduce(|a, b| if a.low() >= b.low() { a } else { b })
}

/// The mean and some standard errors; never below 0.
fn mean(values: &[f64]) -> Option<Interval> {
    let n = values.len() as f64;
    let mean = (n > 0.0).then(|| values.iter().sum::<f64>() / n)?;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let error = if n > 1.0 { (squares / (n - 1.0) / n).sqrt() } else { mean };
    let half_width = (STANDARD_ERRORS * error).min(mean);
    Some(Interval { mean, half_width, confidence: CONFIDENCE, replications: values.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kendall_des::SimTime;
    use kendall_serving::{EngineConfig, Simulation, TokenSegment};

    const MS: u64 = 1_000_000_000;

    fn config(max_num_seqs: u32, per_prefill_token_ps: u64) -> SimulationConfig {
        SimulationConfig {
            engine: EngineConfig { max_num_seqs, enable_prefix_caching: false, ..EngineConfig::default() },
            step_time: LinearCoefficients {
                base_ps: 10 * MS,
                per_prefill_token_ps,
                ..LinearCoefficients::default()
            }
            .into(),
            replicas: 2,
            router: kendall_serving::RouterConfig::default(),
            front_end: kendall_serving::FrontEnd::default(),
        }
    }

    fn sampled(config: &SimulationConfig, prompt: u32, output: u32) -> OfferedLoad {
        let specs = (1..=100).map(move |i| Ok(RequestSpec::new(SimTime::from_ps(i * MS), prompt, output)));
        offered_load(config, Box::new(specs), Some(7.0), SAMPLE).expect("no error")
    }

    /// One seat, steps of 10 ms: each output token costs a step.
    #[test]
    fn a_seat_and_equal_steps_make_a_rate() {
        let bound = sampled(&config(1, 0), 10, 20).bound_per_s.expect("steps take time");
        assert!((bound - 2.0 / 0.2).abs() < 1e-9, "{bound}");
        let four = sampled(&config(4, 0), 10, 20).bound_per_s.expect("steps take time");
        assert!((four - 4.0 * bound).abs() < 1e-9);
    }

    #[test]
    fn own_terms_come_on_top() {
        let bound = sampled(&config(1, MS), 30, 20).bound_per_s.expect("steps take time");
        assert!((bound - 2.0 / 0.23).abs() < 1e-9, "{bound}");
    }

    #[test]
    fn the_number_and_the_median_are_read() {
        let sampled = sampled(&config(1, 0), 10, 20);
        assert_eq!((sampled.requests, sampled.rate_per_s), (100, Some(7.0)));
        assert!((sampled.median_output_tokens - 20.0).abs() < 1e-9);
    }

    /// Requests at once with one long prompt between them, whose steps read it once as far as the cache serves it.
    #[test]
    fn no_server_is_faster_than_its_bound_where_prompts_are_shared() {
        struct Nothing;
        impl kendall_serving::Observer for Nothing {
            fn token_gaps(&mut self, _gap: kendall_des::SimDuration, _n: u64) {}
            fn departed(&mut self, _record: &kendall_serving::RequestRecord) {}
            fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: kendall_serving::EngineGauges) {}
        }
        let scenario = "[workload]\n[server]\ngpu = \"H100\"\nmodel = \"Qwen/Qwen3-14B\"\nengine_version = \"0.23\"\n\
                        max_num_seqs = 256\nmax_model_len = 8192\nstep_time = { model = \"roofline\" }\n";
        let scenario = kendall_serving::scenario::Scenario::from_toml(scenario).expect("a scenario");
        let config = kendall_serving::scenario::resolve(&scenario).expect("it resolves").simulation;
        let (prompt, output, number) = (4_000, 400, 2_000_u64);
        let requests = || {
            let segment = TokenSegment { stream: TokenStream::Shared(0), start: 0, len: prompt };
            let spec = RequestSpec {
                prompt: PromptContent::Segments(Box::new([segment])),
                ..RequestSpec::new(SimTime::ZERO, prompt, output)
            };
            Box::new((0..number).map(move |_| Ok(spec.clone())))
        };
        let bound = offered_load(&config, requests(), None, SAMPLE).expect("no error").bound_per_s;
        let (end, _) = Simulation::new(&config, requests(), Nothing).expect("valid").run().expect("it ends");
        let (bound, rate) = (bound.expect("steps take time"), number as f64 / end.end.as_secs_f64());
        assert!(rate < bound && rate > 0.5 * bound, "{rate} of at most {bound} requests/s");
    }
}
