//! From the arguments of `kendall run` to a scenario.

use std::fmt::Write as _;

use kendall_serving::EngineVersion;
use kendall_serving::scenario::LedgerEntry;
use toml_edit::DocumentMut;

use crate::args::RunArgs;
use crate::exit::Failure;
use crate::scenario_file::{ScenarioFile, Source};

use super::bench::Bench;
use super::flags::{Flags, Program, bench_flags, parse, serve_flags};
use super::options::{Ignored, ImportError, Options, argument};
use super::server::ServerCommand;
use super::toml_text::TomlText;
use super::workload;

const HEAD: &str = "Made by `kendall run` from commands of vLLM. Each key says which flag it comes from.";

/// A scenario with what came along.
pub(crate) struct Imported {
    pub file: ScenarioFile,
    /// The benchmark whose output is wanted, if one was given.
    pub bench: Option<Bench>,
    /// Flags that are left out because the user allows it.
    pub ignored: Vec<LedgerEntry>,
    /// What the user should know about the translation.
    pub warnings: Vec<String>,
}

/// The scenario that `kendall run` is to play: of a file, of commands of vLLM, or of both.
///
/// # Errors
/// If a command or the scenario is invalid, or a flag would change the result and is not modelled.
pub(crate) fn import(args: &RunArgs) -> Result<Imported, Failure> {
    let open = || Source::open(args.scenario.as_deref());
    if args.vllm.is_none() && args.bench.is_none() {
        let file = ScenarioFile::of(open()?, &args.set)?;
        return Ok(Imported { file, bench: None, ignored: Vec::new(), warnings: Vec::new() });
    }
    if args.scenario.is_some() && args.vllm.is_some() && args.bench.is_some() {
        let message =
            "--vllm and --bench together replace all of a scenario: leave the scenario out, or one of them";
        return Err(Failure::Invalid(message.into()));
    }
    let base = if args.vllm.is_none() || args.bench.is_none() { Some(open()?) } else { None };
    let read = |command: &Option<String>| command.as_deref().map(text_of).transpose();
    let sets_gpu = |change: &String| change.trim_start().starts_with("server.gpu=");
    let commands = Commands {
        serve: read(&args.vllm)?,
        bench: read(&args.bench)?,
        base: base.as_ref().map(|base| base.text.as_str()),
        gpu: args.gpu.as_deref(),
        gpu_elsewhere: args.set.iter().any(sets_gpu),
        version: args.vllm_version.as_deref(),
        allowed: &args.allow_ignored,
    };
    let Translation { text, mut bench, ignored, warnings } =
        commands.translate().map_err(Failure::Invalid)?;
    let folder = base.filter(|_| args.bench.is_none()).map(|base| base.folder).unwrap_or_default();
    let source = Source { origin: "scenario of the vLLM commands".into(), text, folder, stem: "vllm".into() };
    let file = ScenarioFile::of(source, &args.set)?;
    if let Some(bench) = bench.as_mut().filter(|_| !args.set.is_empty()) {
        bench.follow(&file.scenario);
    }
    Ok(Imported { file, bench, ignored: ignored.iter().map(Ignored::ledger_entry).collect(), warnings })
}

/// A `vllm bench serve` command as a scenario.
pub(crate) struct BenchScenario {
    /// Each key with the flag that it comes from.
    pub text: String,
    /// Flags that are left out, with how they would change the result.
    pub ignored: Vec<(String, &'static str)>,
    /// What the user should know about the translation.
    pub warnings: Vec<String>,
}

/// The scenario of a benchmark against the server of another scenario. What is not modelled is left out and listed.
///
/// # Errors
/// If vLLM would not read the command, or its lengths cannot be known.
pub(crate) fn bench_as_scenario(command: &str, server: &str) -> Result<BenchScenario, String> {
    let allowed: Vec<String> = bench_flags().list.iter().map(|flag| flag.flag.clone()).collect();
    let commands = Commands {
        bench: Some(command.to_owned()),
        base: Some(server),
        allowed: &allowed,
        ..Commands::default()
    };
    let Translation { text, ignored, mut warnings, .. } = commands.translate()?;
    let start = HEAD.len() + "# \n".len();
    let text = text.get(start..).unwrap_or_default().to_owned();
    warnings.retain(|warning| !warning.contains("is ignored:"));
    Ok(BenchScenario { text, ignored: ignored.iter().map(|i| (i.shown(), i.effect)).collect(), warnings })
}

/// A command as given, or from the file behind `@`.
fn text_of(command: &str) -> Result<String, Failure> {
    let Some(path) = command.strip_prefix('@') else { return Ok(command.to_owned()) };
    std::fs::read_to_string(path).map_err(|error| {
        Failure::Invalid(format!(
            "{path}: cannot read this command: {error}; name a text file, or give the command itself"
        ))
    })
}

/// What there is to translate. A part that no command gives comes from `base`.
#[derive(Default)]
struct Commands<'a> {
    serve: Option<String>,
    bench: Option<String>,
    base: Option<&'a str>,
    gpu: Option<&'a str>,
    /// Whether a change names the GPU.
    gpu_elsewhere: bool,
    version: Option<&'a str>,
    /// Flags that may be left out.
    allowed: &'a [String],
}

/// A scenario's text with what came along.
#[derive(Debug)]
struct Translation {
    text: String,
    bench: Option<Bench>,
    ignored: Vec<Ignored>,
    warnings: Vec<String>,
}

impl Commands<'_> {
    fn translate(&self) -> Result<Translation, String> {
        let base: Option<DocumentMut> = self
            .base
            .map(|base| base.parse().map_err(|error| format!("the scenario is no TOML: {error}")))
            .transpose()?;
        let of_base = |key| base.as_ref()?.get("server")?.get(key)?.as_str();
        let version =
            match self.version.or_else(|| of_base("engine_version").filter(|_| self.serve.is_none())) {
                Some(text) => text.parse::<EngineVersion>().map_err(|error| error.to_string())?,
                None => EngineVersion::default(),
            };
        let serve = options(self.serve.as_deref(), serve_flags(), version)?;
        let server = serve.as_ref().map(|options| ServerCommand {
            options,
            version,
            version_given: self.version.is_some(),
            gpu: self.gpu,
        });
        let model = match &server {
            Some(server) => server.model().map_err(|error| located(Program::Serve, &error))?,
            None => of_base("model").unwrap_or("model"),
        };
        let of_bench = |error: ImportError| located(Program::Bench, &error);
        let mut bench = match options(self.bench.as_deref(), bench_flags(), version)? {
            Some(mut options) => {
                Some((Bench::read(&mut options, model, version).map_err(of_bench)?, options))
            }
            None => None,
        };
        let lists = [
            (Program::Serve, serve.as_ref().map(|options| &options.ignored)),
            (Program::Bench, bench.as_ref().map(|(_, options)| &options.ignored)),
        ];
        let ignored = self.allowed_of(&lists)?;
        if server.is_some() && self.gpu.is_none() && !self.gpu_elsewhere {
            let message = "a command of vLLM does not name the GPU: add --gpu NAME, such as --gpu A10G; `kendall catalog gpus` \
                           lists them";
            return Err(message.into());
        }
        let mut text = TomlText::default();
        text.comment(HEAD);
        let mut rest = base.clone();
        if let Some((bench, options)) = &bench {
            let seed = i64::try_from(bench.seed).unwrap_or(i64::MAX);
            text.key("seed", seed, if options.given("--seed") { "--seed" } else { "default of --seed" });
            workload::write(bench, options, &mut text).map_err(of_bench)?;
            keep_only_server(&mut rest);
        }
        if let (Some(_), Some(rest)) = (&server, &mut rest) {
            rest.remove("server");
        }
        text.raw(&rest.map(|rest| rest.to_string()).unwrap_or_default());
        if let Some(server) = &server {
            server.write(&mut text).map_err(|error| located(Program::Serve, &error))?;
        }
        let mut warnings: Vec<_> =
            ignored.iter().map(|i| format!("`{}` is ignored: {}", i.shown(), i.effect)).collect();
        if let Some((bench, options)) = &mut bench {
            warnings.extend(bench.warnings(options));
            warnings.extend(other_model(bench, serve.as_ref(), model));
        }
        Ok(Translation { text: text.into_string(), bench: bench.map(|(bench, _)| bench), ignored, warnings })
    }

    /// All that is not modelled, if the user allows all of it.
    fn allowed_of(&self, lists: &[(Program, Option<&Vec<Ignored>>)]) -> Result<Vec<Ignored>, String> {
        let plain = |name: &str| name.trim_start_matches('-').replace('_', "-");
        let allowed: Vec<_> = self.allowed.iter().map(|name| plain(name)).collect();
        let all = || {
            lists
                .iter()
                .flat_map(|(program, list)| list.iter().flat_map(|list| list.iter()).map(|i| (*program, i)))
        };
        let refused: Vec<_> = all().filter(|(_, ignored)| !allowed.contains(&plain(ignored.flag))).collect();
        if refused.is_empty() {
            return Ok(all().map(|(_, ignored)| ignored.clone()).collect());
        }
        let mut message =
            String::from("these flags would change the result, and kendall does not model them:\n");
        let mut remedy = String::new();
        for (program, ignored) in refused {
            // Writing to a string cannot fail.
            let _ = writeln!(message, "  {}: {}: {}", argument(program), ignored.shown(), ignored.effect);
            if !remedy.contains(&format!("{} ", ignored.flag)) {
                let _ = write!(remedy, "--allow-ignored {} ", ignored.flag);
            }
        }
        Err(format!("{message}leave them out, or go on without their effect: {}", remedy.trim_end()))
    }
}

fn options(
    command: Option<&str>,
    flags: &'static Flags,
    version: EngineVersion,
) -> Result<Option<Options>, String> {
    let read = |command| Options::new(parse(command, flags)?, version);
    command.map(read).transpose().map_err(|error| located(flags.program, &error))
}

fn located(program: Program, error: &ImportError) -> String {
    format!("{}: {error}", argument(program))
}

/// A benchmark brings all of a scenario but its server.
fn keep_only_server(document: &mut Option<DocumentMut>) {
    if let Some(document) = document {
        document.retain(|key, _| key == "server");
    }
}

/// vLLM would refuse requests to a model that it does not serve.
fn other_model(bench: &Bench, serve: Option<&Options>, model: &str) -> Option<String> {
    let asked = &bench.settings.model_id;
    let serve = serve?;
    let known = asked == model || serve.texts("--served-model-name").contains(asked);
    (!known).then(|| {
        format!("the bench asks for the model `{asked}`, but the server serves `{model}`: that is simulated")
    })
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
