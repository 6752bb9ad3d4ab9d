//! The rungs of the ladder: scenarios from one where theory is exact to a paged engine on two replicas, one assumption at
//! a time. On the way KV is first reserved at arrival (a loss system), then taken by page.

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
    /// Prompt and output are reserved at arrival, or the request is lost: `engine = "reserve"`.
    reserves: bool,
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

/// Tokens of a KV block, vLLM's default.
const BLOCK_SIZE: u32 = 16;

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
        reserves: false,
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
    (server.reserves, server.num_gpu_blocks) = (true, 600);
    add("KV is reserved", "9,600 tokens of KV, reserved at arrival or lost", server);
    server.reserves = false;
    add("reservation to paging", "the same KV, taken block by block, nobody lost", server);
    server.async_scheduling = true;
    add("asynchronous scheduling", "one step is decided ahead", server);
    server.max_num_batched_tokens = 256;
    add("chunked prefill", "at most 256 tokens a step", server);
    server.replicas = 2;
    add("two replicas", "round robin", server);
    rungs
}

impl Rung {
    /// The same with KV taken by page: the rung whose capacity a loss system is given, which has none of its own.
    pub(super) fn paged(&self) -> Self {
        Self { server: Server { reserves: false, ..self.server }, ..self.clone() }
    }

    /// The scenario as text, at a rate that is set later.
    pub(super) fn text(&self) -> String {
        let Server { prompt, output, step_time, max_num_seqs, num_gpu_blocks, .. } = self.server;
        let Server { max_num_batched_tokens, async_scheduling, replicas, .. } = self.server;
        let workload = format!(
            "[workload]\nrequests = {REQUESTS}\narrivals = {{ process = \"poisson\", rate_per_s = 1.0 }}\n\
             prompt_tokens = {prompt}\noutput_tokens = {output}\n"
        );
        if self.server.reserves {
            let kv_tokens = num_gpu_blocks * BLOCK_SIZE;
            return format!(
                "{workload}\n[server]\nengine = \"reserve\"\nreplicas = {replicas}\nstep_time = {step_time}\n\
                 reserve = {{ max_batch_size = {max_num_seqs}, kv_tokens = {kv_tokens} }}\n"
            );
        }
        format!(
            "{workload}\n[server]\nmax_model_len = 4096\nnum_gpu_blocks = {num_gpu_blocks}\nmax_num_seqs = {max_num_seqs}\n\
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
        let fields = |rung: &Rung| {
            let Server { reserves, prompt, output, max_num_seqs, max_num_batched_tokens, .. } = rung.server;
            let Server { num_gpu_blocks, async_scheduling, replicas, step_time, .. } = rung.server;
            let numbers =
                [max_num_seqs, max_num_batched_tokens, num_gpu_blocks, replicas].map(|n| n.to_string());
            let switches = [reserves, async_scheduling].map(|on| on.to_string());
            let texts = [prompt, output, step_time].map(str::to_owned);
            numbers.into_iter().chain(switches).chain(texts).collect::<Vec<_>>()
        };
        for pair in rungs.windows(2) {
            let [before, after] = [fields(&pair[0]), fields(&pair[1])];
            let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            // Prompts that cost time are a change of the prompt and of the step; KV that is reserved must be scarce.
            let allowed = match pair[1].name {
                "prefill blocks" | "KV is reserved" => 2,
                _ => 1,
            };
            assert_eq!(changed, allowed, "{}", pair[1].name);
        }
    }
}
