//! What a `vllm bench serve` command asks for, with vLLM's defaults, which are the same in 0.19 to 0.33.

use kendall_report::BenchSettings;
use kendall_serving::EngineVersion;
use kendall_serving::scenario::Scenario;
use kendall_serving::workload::Arrivals;

use super::options::{ImportError, Options, wrong};

/// Metrics that `--percentile-metrics` can name.
const METRICS: [&str; 6] =
    ["ttft", "tpot", "itl", "e2el", "client_queue_time", "e2el_including_client_queue"];
/// Endpoints to which the random dataset sends `ignore_eos`.
const OPENAI_COMPATIBLE: [&str; 4] = ["openai", "vllm", "openai-chat", "openai-responses"];
/// How the table of flags says that a flag matters only where the model may end an output.
const UNLESS_EOS_IGNORED: &str = "unless eos is ignored";

/// A benchmark: the load, what to print, what to save.
#[derive(Debug)]
pub(crate) struct Bench {
    pub settings: BenchSettings,
    /// Where the result goes, if it is saved.
    pub save: Option<Save>,
    pub seed: u64,
    /// Limits of a good request: name and milliseconds.
    pub goodput: Vec<(String, f64)>,
    pub dataset: Dataset,
}

/// Where the result goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Save {
    pub dir: String,
    /// Its name, if it was given one.
    pub file: Option<String>,
    /// Whether it is added to the end of the file.
    pub append: bool,
}

/// Where prompts come from.
#[derive(Debug, PartialEq)]
pub(crate) enum Dataset {
    /// Lengths between two bounds, both included.
    Random { prefix: u64, input: (u64, u64), output: (u64, u64) },
    /// Groups of prompts with a common beginning.
    PrefixRepetition { prefix: u64, suffix: u64, groups: u64, output: u64 },
    /// A file of lengths.
    ShareGpt { path: String, shuffled: bool, oversample: bool },
}

impl Bench {
    /// Reads the command; `model` is what the server serves.
    ///
    /// # Errors
    /// On a value that vLLM would refuse, and on a dataset that cannot be read without a tokenizer.
    pub(super) fn read(
        options: &mut Options,
        model: &str,
        version: EngineVersion,
    ) -> Result<Self, ImportError> {
        let dataset = dataset(options)?;
        ignore_what_is_not_modelled(options, &dataset)?;
        let goodput = goodput(options)?;
        let settings = settings(options, model, version, !goodput.is_empty())?;
        Ok(Self {
            save: save(options),
            seed: options.whole("--seed", 0)?.unwrap_or(0),
            goodput,
            dataset,
            settings,
        })
    }

    /// Changes of the scenario count for the result too.
    pub(super) fn follow(&mut self, scenario: &Scenario) {
        let workload = &scenario.workload;
        let settings = &mut self.settings;
        settings.num_prompts = workload.requests.unwrap_or(settings.num_prompts);
        settings.max_concurrency = workload.max_concurrency;
        settings.request_rate =
            workload.arrivals.as_ref().and_then(Arrivals::rate_per_s).unwrap_or(f64::INFINITY);
        if let Some(Arrivals::Gamma { burstiness: Some(burstiness), .. }) = workload.arrivals {
            settings.burstiness = burstiness;
        }
        settings.goodput = scenario.slo.as_ref().is_some_and(|slo| slo.goodput.is_some());
    }

    /// What the user should know about the translation.
    pub(super) fn warnings(&self, options: &Options) -> Vec<String> {
        let mut warnings = Vec::new();
        if !ignores_eos(options, &self.dataset) {
            warnings.push(
                "the bench does not say --ignore-eos: outputs are simulated at full length, though the model may end them \
                 earlier"
                    .into(),
            );
        }
        match self.dataset {
            Dataset::PrefixRepetition { groups, .. } if groups > 1 => warnings.push(format!(
                "the {groups} prefixes are drawn at random; the bench deals the same number of prompts to each"
            )),
            Dataset::ShareGpt { shuffled: true, .. } => warnings.push(
                "lengths are drawn from the file with replacement; the bench shuffles it and drops prompts under 4 or over 1024 \
                 tokens"
                    .into(),
            ),
            _ => {}
        }
        let unknown =
            self.settings.percentile_metrics.iter().filter(|name| !METRICS.contains(&name.as_str()));
        warnings.extend(unknown.map(|name| {
            format!(
                "--percentile-metrics: `{name}` is no metric, and vLLM leaves it out: it has {}",
                METRICS.join(", ")
            )
        }));
        warnings
    }
}

fn dataset(options: &Options) -> Result<Dataset, ImportError> {
    let whole = |flag: &str, least, default| options.whole(flag, least).map(|value| value.unwrap_or(default));
    let or_output_len = |flag: &str, default| match options.whole("--output-len", 1)? {
        Some(given) => Ok::<u64, ImportError>(given),
        None => whole(flag, 1, default),
    };
    let name = options.text("--dataset-name").unwrap_or("random");
    if let (Some(path), "random" | "prefix_repetition") = (options.text("--dataset-path"), name) {
        return Err(wrong("--dataset-path", path, format!("the dataset `{name}` has no file: leave it out")));
    }
    match name {
        "random" => {
            let (input_ratio, output_ratio) = range_ratios(options)?;
            let input = match options.whole("--input-len", 0)? {
                Some(given) => given,
                None => whole("--random-input-len", 0, 1024)?,
            };
            let output = bounds(or_output_len("--random-output-len", 128)?, output_ratio);
            let input = bounds(input, input_ratio);
            if input.0 == 0 {
                let message = "prompts may have no token of their own: raise it, or lower --random-range-ratio";
                return Err(wrong("--random-input-len", &input.1.to_string(), message.into()));
            }
            let prefix = whole("--random-prefix-len", 0, 0)?;
            Ok(Dataset::Random { prefix, input, output: (output.0.max(1), output.1.max(1)) })
        }
        "prefix_repetition" => Ok(Dataset::PrefixRepetition {
            prefix: whole("--prefix-repetition-prefix-len", 1, 256)?,
            suffix: whole("--prefix-repetition-suffix-len", 1, 256)?,
            groups: whole("--prefix-repetition-num-prefixes", 1, 10)?,
            output: or_output_len("--prefix-repetition-output-len", 128)?,
        }),
        "sharegpt" => {
            let path = options.text("--dataset-path").ok_or_else(|| {
                ImportError::Other("the dataset `sharegpt` needs its file: add --dataset-path FILE".into())
            })?;
            Ok(Dataset::ShareGpt {
                path: path.to_owned(),
                shuffled: !options.on("--disable-shuffle"),
                oversample: !options.on("--no-oversample"),
            })
        }
        other => Err(wrong(
            "--dataset-name",
            other,
            "kendall has no tokenizer to count its lengths: use `random`, `prefix_repetition`, or `sharegpt` with a file of \
             lengths, or write a scenario with `lengths` or `trace`"
                .into(),
        )),
    }
}

/// The shortest and longest length, as `get_sampling_params` of vLLM rounds them: outwards.
fn bounds(mean: u64, ratio: f64) -> (u64, u64) {
    let mean = mean as f64;
    ((mean * (1.0 - ratio)).floor() as u64, (mean * (1.0 + ratio)).ceil() as u64)
}

/// `--random-range-ratio`: one number, or `{"input": .., "output": ..}`.
fn range_ratios(options: &Options) -> Result<(f64, f64), ImportError> {
    let Some(text) = options.text("--random-range-ratio") else { return Ok((0.0, 0.0)) };
    let pair = match text.parse::<f64>() {
        Ok(ratio) => Some((ratio, ratio)),
        Err(_) => serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|json| Some((json.get("input")?.as_f64()?, json.get("output")?.as_f64()?))),
    };
    let valid =
        pair.filter(|(input, output)| [input, output].iter().all(|ratio| (0.0..1.0).contains(*ratio)));
    let expected = "it must be a number from 0 to below 1, or {\"input\": NUMBER, \"output\": NUMBER}";
    valid.ok_or_else(|| wrong("--random-range-ratio", text, expected.into()))
}

fn ignores_eos(options: &Options, dataset: &Dataset) -> bool {
    let random = matches!(dataset, Dataset::Random { .. });
    options.on("--ignore-eos")
        || random && OPENAI_COMPATIBLE.contains(&options.text("--backend").unwrap_or("openai"))
}

/// Flags whose values would change the result in a way that a scenario cannot say.
fn ignore_what_is_not_modelled(options: &mut Options, dataset: &Dataset) -> Result<(), ImportError> {
    if ignores_eos(options, dataset) {
        options.ignored.retain(|ignored| !ignored.effect.ends_with(UNLESS_EOS_IGNORED));
    }
    if options.given("--ramp-up-strategy") {
        options.ignore("--ramp-up-strategy", "the arrival rate grows during the run");
    }
    if options.whole("--num-warmups", 0)?.is_some_and(|warmups| warmups > 0) {
        options.ignore("--num-warmups", "repeats of the first prompt fill the prefix cache before the run");
    }
    options.ignore("--self-timed", "the dataset brings its own arrival times");
    match dataset {
        Dataset::PrefixRepetition { .. } if options.on("--disable-shuffle") => {
            options.ignore("--disable-shuffle", "prompts of one prefix come one after another");
        }
        Dataset::ShareGpt { .. } => {
            let flag = if options.given("--output-len") { "--output-len" } else { "--sharegpt-output-len" };
            options.ignore(flag, "outputs of one length with recorded prompts");
        }
        _ => {}
    }
    Ok(())
}

/// `--goodput ttft:500 tpot:50`
fn goodput(options: &Options) -> Result<Vec<(String, f64)>, ImportError> {
    let read = |pair: &String| {
        let parts =
            pair.split_once(':').and_then(|(name, ms)| Some((name.to_owned(), ms.parse::<f64>().ok()?)));
        let valid = parts.filter(|(name, ms)| matches!(name.as_str(), "ttft" | "tpot" | "e2el") && *ms > 0.0);
        let expected = "write METRIC:MILLISECONDS with ttft, tpot or e2el, and a limit above 0";
        valid.ok_or_else(|| wrong("--goodput", pair, expected.into()))
    };
    options.texts("--goodput").iter().map(read).collect()
}

fn settings(
    options: &Options,
    model: &str,
    version: EngineVersion,
    goodput: bool,
) -> Result<BenchSettings, ImportError> {
    let model_id = options.text("--model").unwrap_or(model).to_owned();
    let tokenizer = options.text("--tokenizer").unwrap_or(&model_id).to_owned();
    let has_tokenizer = !options.on("--skip-tokenizer-init");
    let metrics = options.text("--percentile-metrics").unwrap_or("ttft,tpot,itl");
    let metadata = options.texts("--metadata").iter().map(|item| {
        let pair = item.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        pair.ok_or_else(|| wrong("--metadata", item, "write KEY=VALUE".into()))
    });
    Ok(BenchSettings {
        backend: options.text("--backend").unwrap_or("openai").to_owned(),
        label: options.text("--label").map(str::to_owned),
        model_id,
        tokenizer_id: has_tokenizer.then_some(tokenizer),
        num_prompts: options.whole("--num-prompts", 1)?.unwrap_or(1000),
        metadata: metadata.collect::<Result<_, _>>()?,
        request_rate: options.positive("--request-rate")?.unwrap_or(f64::INFINITY),
        burstiness: options.positive("--burstiness")?.unwrap_or(1.0),
        max_concurrency: options.whole("--max-concurrency", 1)?,
        percentile_metrics: metrics.split(',').map(str::to_owned).collect(),
        percentiles: percentiles(options)?,
        goodput,
        // vLLM 0.30 began to record how long requests waited at the client.
        client_queue: version >= "0.30".parse().expect("a version that is modelled"),
        detailed: options.on("--save-detailed"),
    })
}

fn percentiles(options: &Options) -> Result<Vec<f64>, ImportError> {
    let text = options.text("--metric-percentiles").unwrap_or("99");
    let read = |part: &str| part.trim().parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
    let percentiles: Option<_> = text.split(',').map(read).collect();
    percentiles.ok_or_else(|| {
        wrong("--metric-percentiles", text, "it must be numbers from 0 to 100, separated by commas".into())
    })
}

/// Where vLLM would write.
fn save(options: &Options) -> Option<Save> {
    let append = options.on("--append-result");
    let wanted = append || options.on("--save-result");
    wanted.then(|| {
        let file = options.text("--result-filename").filter(|name| !name.is_empty()).map(str::to_owned);
        let dir = options.text("--result-dir").filter(|dir| !dir.is_empty()).unwrap_or(".").to_owned();
        Save { dir, file, append }
    })
}
