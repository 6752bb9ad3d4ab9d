//! The rungs of the ladder: scenarios from one where theory is exact to a paged engine on two replicas, one assumption at
//! a time.

/// A scenario that differs from the one before in one assumption.
#[derive(Debug, Clone)]
pub(super) struct Rung {
    /// The assumption that falls, in a few words.
    pub name: &'static str,
    /// What changed.
    pub change: &'static str,
    server: Server,
}

#[derive(Debug, Clone, Copy)]
struct Server {
    prompt: &'static str,
    output: &'static str,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    num_gpu_blocks: u32,
    async_scheduling: bool,
    replicas: u32,
    step_time: &'static str,
}

/// Requests of a run.
pub(super) const REQUESTS: u64 = 20_000;

/// Steps of 8 ms, whatever is in them.
const EQUAL_STEPS: &str = "{ model = \"linear\", base_ps = 8_000_000_000 }";
/// Decoding costs time, prompts do not.
const DECODE_STEPS: &str = "{ model = \"linear\", base_ps = 8_000_000_000, per_decode_seq_ps = 64_000_000, \
                            per_decode_context_token_ps = 60_000 }";
/// The A10G's profile, rounded.
const ALL_STEPS: &str = "{ model = \"linear\", base_ps = 8_000_000_000, per_decode_seq_ps = 64_000_000, \
                         per_decode_context_token_ps = 60_000, per_prefill_token_ps = 53_000_000 }";

const LOGNORMAL_PROMPT: &str = "{ dist = \"lognormal\", median = 256, sigma = 0.55, max = 2047 }";
const LOGNORMAL_OUTPUT: &str = "{ dist = \"lognormal\", median = 128, sigma = 0.70, max = 2048 }";

/// The ladder, from the exact case up.
pub(super) fn rungs() -> Vec<Rung> {
    let mut server = Server {
        prompt: "{ dist = \"constant\", tokens = 16 }",
        output: "{ dist = \"exponential\", mean = 160 }",
        max_num_seqs: 1,
        max_num_batched_tokens: 8_192,
        num_gpu_blocks: 40_000,
        async_scheduling: false,
        replicas: 1,
        step_time: EQUAL_STEPS,
    };
    let mut rungs = Vec::new();
    let mut add = |name, change, server: Server| rungs.push(Rung { name, change, server });
    add("exponential service, one at a time", "nothing: equal steps, prompts cost no time", server);
    server.output = LOGNORMAL_OUTPUT;
    add("law of service", "lognormal outputs", server);
    server.max_num_seqs = 32;
    add("batching", "32 at a time", server);
    server.step_time = DECODE_STEPS;
    add("steps grow", "each sequence and its context cost time", server);
    server.step_time = ALL_STEPS;
    server.prompt = LOGNORMAL_PROMPT;
    add("prefill blocks", "lognormal prompts cost time, whole", server);
    server.async_scheduling = true;
    add("asynchronous scheduling", "one step is decided ahead", server);
    server.num_gpu_blocks = 600;
    add("paging binds", "600 KV blocks, no reservation", server);
    server.max_num_batched_tokens = 256;
    add("chunked prefill", "at most 256 tokens a step", server);
    server.replicas = 2;
    add("two replicas", "round robin", server);
    rungs
}

impl Rung {
    /// The scenario as text, at a rate that is set later.
    pub(super) fn text(&self) -> String {
        let Server { prompt, output, step_time, .. } = self.server;
        let Server {
            max_num_seqs, max_num_batched_tokens, num_gpu_blocks, async_scheduling, replicas, ..
        } = self.server;
        format!(
            "[workload]\nrequests = {REQUESTS}\narrivals = {{ process = \"poisson\", rate_per_s = 1.0 }}\n\
             prompt_tokens = {prompt}\noutput_tokens = {output}\n\n\
             [server]\nmax_model_len = 4096\nnum_gpu_blocks = {num_gpu_blocks}\nmax_num_seqs = {max_num_seqs}\n\
             max_num_batched_tokens = {max_num_batched_tokens}\nenable_prefix_caching = false\n\
             async_scheduling = {async_scheduling}\nreplicas = {replicas}\nstep_time = {step_time}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rung_changes_one_thing() {
        let rungs = rungs();
        for pair in rungs.windows(2) {
            let [before, after] = [pair[0].text(), pair[1].text()];
            let changed = before.lines().zip(after.lines()).filter(|(a, b)| a != b).count();
            // Prompts that cost time are a change of the prompt and of the step.
            let allowed = if pair[1].name == "prefill blocks" { 2 } else { 1 };
            assert_eq!(changed, allowed, "{}", pair[1].name);
        }
    }
}
