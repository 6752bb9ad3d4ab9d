//! What is simulated: everything about a run except its requests, and its checks.

use kendall_des::SimDuration;

use super::FrontEnd;

use crate::engine::{ConfigError, EngineConfig};
use crate::router::RouterConfig;
use crate::step_time::StepTimeModel;

/// Longest step that a configuration may lead to: a coefficient in the wrong unit shows here.
const LONGEST_STEP: SimDuration = SimDuration::from_secs(3_600);

/// Most replicas of one run; each has a KV cache of its own.
const MAX_REPLICAS: u32 = 100_000;

/// Everything about a run except its requests.
#[derive(Debug, Clone)]
pub struct SimulationConfig {
    /// The engine of every replica.
    pub engine: EngineConfig,
    /// How long its steps take.
    pub step_time: StepTimeModel,
    /// Number of replicas behind the router.
    pub replicas: u32,
    /// How requests are spread over them.
    pub router: RouterConfig,
    /// What lies between clients and the engine.
    pub front_end: FrontEnd,
}

impl SimulationConfig {
    /// Checks what vLLM checks at start, and that no step can last longer than an hour.
    ///
    /// # Errors
    /// On the first setting that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.replicas == 0 || self.replicas > MAX_REPLICAS {
            let reason = format!("it must lie between 1 and {MAX_REPLICAS}");
            return Err(ConfigError { field: "replicas", value: self.replicas.to_string(), reason });
        }
        match &self.engine.zoo {
            None => self.engine.validate()?,
            Some(zoo) => zoo.validate(&self.engine)?,
        }
        check_step_time(self)
    }
}

/// No step of this configuration may last longer than an hour.
fn check_step_time(config: &SimulationConfig) -> Result<(), ConfigError> {
    let (tokens, length) =
        (u128::from(config.engine.max_num_batched_tokens), u128::from(config.engine.max_model_len));
    // No engine of the zoo has more in memory than its KV cache holds.
    let capacity = u128::from(config.engine.usable_blocks()) * u128::from(config.engine.block_size);
    let length = if config.engine.zoo.is_some() { length.min(capacity) } else { length };
    let seqs = u128::from(config.engine.max_num_seqs);
    // A roofline is checked where it is tabulated.
    let Some(c) = config.step_time.as_linear() else { return Ok(()) };
    for (field, coefficient, most) in [
        ("base_ps", c.base_ps, 1),
        ("per_prefill_token_ps", c.per_prefill_token_ps, tokens),
        ("per_prefill_context_token_ps", c.per_prefill_context_token_ps, seqs * length),
        ("per_prefill_attention_ps", c.per_prefill_attention_ps, tokens * length),
        ("per_decode_seq_ps", c.per_decode_seq_ps, seqs),
        ("per_decode_context_token_ps", c.per_decode_context_token_ps, seqs * length),
        ("per_new_seq_ps", c.per_new_seq_ps, seqs),
    ] {
        if u128::from(coefficient) * most > u128::from(LONGEST_STEP.as_ps()) {
            let reason = "it makes a step of more than an hour possible: coefficients are picoseconds (1 ms is \
                          1_000_000_000 ps)";
            return Err(ConfigError { field, value: coefficient.to_string(), reason: reason.into() });
        }
    }
    Ok(())
}
