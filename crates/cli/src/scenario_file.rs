//! The scenario file with the changes of `--set`, and pictures of mistakes in it.

use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use kendall_serving::scenario::{Beside, Resolved, Scenario, ScenarioError, resolve_with_files};

use crate::changes;
use crate::exit::Failure;

/// The scenario that `kendall run` plays without arguments.
const QUICKSTART: &str = include_str!("../../../scenarios/quickstart.toml");

/// A scenario with the text that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct ScenarioFile {
    /// How messages call it.
    origin: String,
    /// Its text after `--set`.
    text: String,
    /// Paths in it are relative to this folder.
    folder: PathBuf,
    /// Name for results.
    pub name: String,
    pub scenario: Scenario,
}

/// A scenario's text before it is read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// How messages call it.
    pub origin: String,
    pub text: String,
    /// Paths in it are relative to this folder.
    pub folder: PathBuf,
    /// Its name if it does not give itself one.
    pub stem: String,
}

impl Source {
    /// The scenario in a file, or the embedded one.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self {
                origin: "quickstart.toml (embedded)".into(),
                text: QUICKSTART.to_owned(),
                folder: PathBuf::from("."),
                stem: "quickstart".into(),
            });
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::Invalid(format!(
                "{}: cannot read this scenario: {error}; name a TOML file, or none for the quick start",
                path.display()
            ))
        })?;
        Ok(Self {
            origin: path.display().to_string(),
            text,
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
            stem: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        })
    }
}

impl ScenarioFile {
    /// Reads a scenario and applies `KEY=VALUE` changes.
    pub(crate) fn of(source: Source, changes: &[String]) -> Result<Self, Failure> {
        let Source { mut origin, text: original, folder, stem } = source;
        let (text, scenario) = if changes.is_empty() {
            let scenario = Scenario::from_toml(&original);
            (original.clone(), scenario.map_err(|error| picture(&origin, &original, &error))?)
        } else {
            let with_changes = format!("{origin} with --set {}", changes.join(" --set "));
            let applied = changes::apply(&original, changes).map_err(|(error, text)| {
                // A change that cannot be made has no place in the text.
                picture(if text == original { &origin } else { &with_changes }, &text, &error)
            })?;
            origin = with_changes;
            applied
        };
        let name = scenario.name.clone().unwrap_or(stem);
        Ok(Self { origin, text, folder, name, scenario })
    }

    /// The text as it was played.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A path of the scenario from here.
    pub(crate) fn resolve_path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The trace that this scenario plays, from here.
    pub(crate) fn trace_path(&self) -> Option<PathBuf> {
        let trace = self.scenario.workload.trace.as_ref()?;
        Some(self.resolve_path(&trace.path))
    }

    /// What the simulation needs of the scenario, with the origin of every figure.
    pub(crate) fn resolve(&self) -> Result<Resolved, Failure> {
        let server = &self.scenario.server;
        let config_json = self.beside("model_config", server.model_config.as_deref(), "config.json")?;
        let profile = self.beside("profile", server.profile.as_deref(), "profile")?;
        let table = server.admission.as_ref().and_then(|admission| admission.policy_table.as_deref());
        let table = self.beside("admission.policy_table", table, "admission table")?;
        let beside = Beside {
            config_json: config_json.as_deref(),
            profile: profile.as_deref(),
            admission_table: table.as_deref(),
        };
        resolve_with_files(&self.scenario, beside).map_err(|error| self.mistake(error))
    }

    /// The text of a file that `[server]` names.
    fn beside(&self, key: &str, path: Option<&str>, what: &str) -> Result<Option<String>, Failure> {
        let Some(path) = path else { return Ok(None) };
        std::fs::read_to_string(self.resolve_path(path)).map(Some).map_err(|error| {
            let message = format!(
                "{path}: cannot read this {what}: {error}; the path is relative to the scenario file"
            );
            self.mistake(ScenarioError::at(format!("server.{key}"), message))
        })
    }

    /// The failure for a mistake in this scenario, shown in its text.
    pub(crate) fn mistake(&self, error: ScenarioError) -> Failure {
        picture(&self.origin, &self.text, &error.located_in(&self.text))
    }
}

/// The mistake with the line that it is in.
fn picture(origin: &str, text: &str, error: &ScenarioError) -> Failure {
    let title = error.to_string();
    let report = match &error.span {
        Some(span) => {
            let span = span.start.min(text.len())..span.end.min(text.len());
            let snippet = Snippet::source(text).path(origin).annotation(AnnotationKind::Primary.span(span));
            Renderer::plain().render(&[Level::ERROR.primary_title(&title).element(snippet)])
        }
        None => format!("error: {origin}: {title}"),
    };
    Failure::Invalid(report)
}
