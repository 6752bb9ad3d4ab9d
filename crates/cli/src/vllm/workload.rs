//! `vllm bench serve` as the keys of `[workload]` and `[slo]`.

use std::path::Path;

use super::bench::{Bench, Dataset};
use super::options::{ImportError, Options, wrong};
use super::toml_text::{TomlText, inline};

/// Writes `[workload]` and `[slo]`; paths are relative to the current folder.
///
/// # Errors
/// On a combination that vLLM would refuse, and on a file of lengths that cannot be read.
pub(super) fn write(bench: &Bench, options: &Options, text: &mut TomlText) -> Result<(), ImportError> {
    text.table("workload");
    let from = |flag: &'static str| {
        if options.given(flag) { flag.to_owned() } else { format!("default of {flag}") }
    };
    let either = |short: &'static str, long: &'static str| {
        if options.given(short) { short.to_owned() } else { from(long) }
    };
    text.key("requests", signed(requests(bench, options)?), &from("--num-prompts"));
    write_arrivals(bench, &from, text);
    match &bench.dataset {
        Dataset::Random { prefix, input, output } => {
            if *prefix > 0 {
                text.key(
                    "shared_prefix",
                    inline([("tokens", signed(*prefix).into())]),
                    "--random-prefix-len",
                );
            }
            let ratio = if options.given("--random-range-ratio") { ", --random-range-ratio" } else { "" };
            let flag = either("--input-len", "--random-input-len");
            text.key("prompt_tokens", lengths(*input), &format!("{flag}{ratio}"));
            let flag = either("--output-len", "--random-output-len");
            text.key("output_tokens", lengths(*output), &format!("{flag}{ratio}"));
        }
        Dataset::PrefixRepetition { prefix, suffix, groups, output } => {
            let shared = inline([("tokens", signed(*prefix).into()), ("groups", signed(*groups).into())]);
            text.key(
                "shared_prefix",
                shared,
                "--prefix-repetition-prefix-len, --prefix-repetition-num-prefixes",
            );
            text.key("prompt_tokens", lengths((*suffix, *suffix)), &from("--prefix-repetition-suffix-len"));
            let flag = either("--output-len", "--prefix-repetition-output-len");
            text.key("output_tokens", lengths((*output, *output)), &flag);
        }
        Dataset::ShareGpt { path, shuffled, .. } => {
            let order = if *shuffled { "random" } else { "file" };
            let recorded = inline([("path", path.as_str().into()), ("order", order.into())]);
            text.key("lengths", recorded, "--dataset-path");
        }
    }
    if !bench.goodput.is_empty() {
        text.table("slo");
        let mut limits = toml_edit::InlineTable::new();
        for (name, ms) in &bench.goodput {
            limits.insert(format!("{name}_ms"), (*ms).into());
        }
        text.key("goodput", limits, "--goodput");
    }
    Ok(())
}

fn write_arrivals(bench: &Bench, from: &impl Fn(&'static str) -> String, text: &mut TomlText) {
    let (rate, burstiness) = (bench.settings.request_rate, bench.settings.burstiness);
    let process = |name: &str| ("process", name.into());
    let rate_per_s = ("rate_per_s", rate.into());
    let rate_flag = from("--request-rate");
    if rate.is_infinite() {
        text.key("arrivals", inline([process("at_once")]), &rate_flag);
    } else if burstiness.is_infinite() {
        text.key("arrivals", inline([process("constant"), rate_per_s]), "--request-rate, --burstiness");
    } else {
        let (arrivals, flags) = if burstiness.total_cmp(&1.0).is_eq() {
            (inline([process("poisson"), rate_per_s]), rate_flag)
        } else {
            let shape = ("burstiness", burstiness.into());
            (inline([process("gamma"), rate_per_s, shape]), "--request-rate, --burstiness".into())
        };
        text.key("arrivals", arrivals, &flags);
        text.key("rescale_arrivals", true, "the bench lets the last request arrive at requests / rate");
    }
    if let Some(most) = bench.settings.max_concurrency {
        text.key("max_concurrency", signed(most), "--max-concurrency");
    }
}

/// The number of requests that the bench sends.
fn requests(bench: &Bench, options: &Options) -> Result<u64, ImportError> {
    let asked = bench.settings.num_prompts;
    match &bench.dataset {
        Dataset::Random { .. } => Ok(asked),
        Dataset::PrefixRepetition { groups, .. } => match asked / groups {
            0 => Err(wrong(
                "--prefix-repetition-num-prefixes",
                &groups.to_string(),
                format!(
                    "there are more prefixes than prompts: raise --num-prompts above {asked}, or lower it"
                ),
            )),
            each => Ok(each * groups),
        },
        Dataset::ShareGpt { path, oversample, .. } => {
            let pairs = kendall_traces::open_lengths(Path::new(path)).map_err(|error| {
                wrong(
                    "--dataset-path",
                    path,
                    format!(
                        "{error}\nkendall has no tokenizer to count the tokens of conversations: give a JSON file of lengths, \
                         {{\"prompt_len\": [..], \"gen_len\": [..]}} or [{{\"prompt_tokens\": .., \"output_tokens\": ..}}, ..]"
                    ),
                )
            })?;
            debug_assert!(options.given("--dataset-path"));
            Ok(if *oversample { asked } else { asked.min(pairs.len() as u64) })
        }
    }
}

/// Every whole number between the bounds is equally likely.
fn lengths((low, high): (u64, u64)) -> toml_edit::Value {
    if low == high {
        inline([("dist", "constant".into()), ("tokens", signed(low).into())])
    } else {
        inline([("dist", "uniform".into()), ("low", signed(low).into()), ("high", signed(high).into())])
    }
}

/// TOML has signed numbers only; what does not fit is beyond every limit of the scenario too.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
