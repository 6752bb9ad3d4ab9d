//! The flags of one command that are in force, with typed access to their values.

use kendall_serving::EngineVersion;
use kendall_serving::scenario::{LedgerEntry, Treatment};
use thiserror::Error;

use super::flags::{Class, CommandError, Flag, ParsedCommand, ParsedOption, Program};

/// A command that cannot be carried over, and what to do about it.
#[derive(Debug, Error)]
pub(super) enum ImportError {
    /// vLLM would not read it.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A value that the flag cannot have.
    #[error("`{flag} {value}`: {expected}")]
    Value {
        /// Canonical name of the flag.
        flag: String,
        /// As given.
        value: String,
        /// What it can have.
        expected: String,
    },
    /// The version does not have the flag.
    #[error(
        "vLLM {version} does not have `{flag}`, which exists {exists}: leave it out, or choose another --vllm-version"
    )]
    Version {
        /// Canonical name of the flag.
        flag: &'static str,
        /// As asked for.
        version: EngineVersion,
        /// `from 0.24 on` or `up to 0.31`.
        exists: String,
    },
    /// Anything else; the message names the flag and the remedy.
    #[error("{0}")]
    Other(String),
}

/// A setting that would change the result and is not modelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ignored {
    /// Canonical name of the flag.
    pub flag: &'static str,
    /// Its values, separated by blanks.
    pub value: String,
    /// How it would change the result.
    pub effect: &'static str,
}

impl Ignored {
    /// As the user wrote it, more or less.
    pub(super) fn shown(&self) -> String {
        if self.value == "true" { self.flag.to_owned() } else { format!("{} {}", self.flag, self.value) }
    }

    /// Its line in the fidelity ledger.
    pub(super) fn ledger_entry(&self) -> LedgerEntry {
        LedgerEntry {
            setting: self.flag,
            value: self.value.clone(),
            source: "vLLM command, --allow-ignored".into(),
            treatment: Treatment::Ignored,
            note: self.effect,
        }
    }
}

/// The flags of a command; of several equal ones the last, as with vLLM.
#[derive(Debug)]
pub(super) struct Options {
    /// Words that belong to no flag.
    pub positional: Vec<String>,
    in_force: Vec<ParsedOption>,
    /// What would change the result and is not modelled.
    pub ignored: Vec<Ignored>,
}

impl Options {
    /// The flags in force.
    ///
    /// # Errors
    /// On a flag that this version of vLLM does not have.
    pub(super) fn new(command: ParsedCommand, version: EngineVersion) -> Result<Self, ImportError> {
        let mut in_force: Vec<ParsedOption> = Vec::new();
        for option in command.options {
            check_version(option.flag, version)?;
            let same =
                |other: &ParsedOption| other.flag.flag == option.flag.flag && other.path == option.path;
            in_force.retain(|other| !same(other));
            in_force.push(option);
        }
        let unmodelled = |option: &ParsedOption| {
            let effect = option.flag.effect.as_deref().filter(|_| option.class == Class::Unmodelled)?;
            Some(Ignored { flag: &option.flag.flag, value: value_of(option), effect })
        };
        let ignored = in_force.iter().filter_map(unmodelled).collect();
        Ok(Self { positional: command.positional, in_force, ignored })
    }

    /// Flags that are carried over, with their keys, in the order given.
    pub(super) fn scenario(&self) -> impl Iterator<Item = (&'static str, &ParsedOption)> {
        self.in_force.iter().filter_map(|option| Some((option.flag.key.as_deref()?, option)))
    }

    /// Whether the flag is given.
    pub(super) fn given(&self, flag: &str) -> bool {
        self.option(flag).is_some()
    }

    /// The flag's value as text.
    pub(super) fn text(&self, flag: &str) -> Option<&str> {
        self.option(flag)?.values.first().map(String::as_str)
    }

    /// All values of the flag.
    pub(super) fn texts(&self, flag: &str) -> &[String] {
        self.option(flag).map_or(&[], |option| &option.values)
    }

    /// Whether the flag is switched on.
    pub(super) fn on(&self, flag: &str) -> bool {
        self.text(flag) == Some("true")
    }

    /// The flag's value as a whole number from `least` on.
    pub(super) fn whole(&self, flag: &str, least: u64) -> Result<Option<u64>, ImportError> {
        let read = |text: &str| {
            // Python reads `1_000` as a thousand too.
            let number = text.replace('_', "").parse::<u64>().ok().filter(|&number| number >= least);
            let number = number.filter(|&number| i64::try_from(number).is_ok());
            number.ok_or_else(|| wrong(flag, text, format!("it must be a whole number, at least {least}")))
        };
        self.text(flag).map(read).transpose()
    }

    /// The flag's value as a number above 0; `inf` is one.
    pub(super) fn positive(&self, flag: &str) -> Result<Option<f64>, ImportError> {
        let read = |text: &str| {
            let number = text.parse::<f64>().ok().filter(|&number| number > 0.0);
            number.ok_or_else(|| wrong(flag, text, "it must be a number above 0".into()))
        };
        self.text(flag).map(read).transpose()
    }

    /// Notes that the flag, as given, would change the result and is not modelled.
    pub(super) fn ignore(&mut self, flag: &str, effect: &'static str) {
        if let Some(option) = self.option(flag) {
            let ignored = Ignored { flag: &option.flag.flag, value: value_of(option), effect };
            self.ignored.push(ignored);
        }
    }

    fn option(&self, flag: &str) -> Option<&ParsedOption> {
        self.in_force.iter().find(|option| option.flag.flag == flag && option.path.is_none())
    }
}

/// The error for a value that the flag cannot have.
pub(super) fn wrong(flag: &str, value: &str, expected: String) -> ImportError {
    ImportError::Value { flag: flag.to_owned(), value: value.to_owned(), expected }
}

fn value_of(option: &ParsedOption) -> String {
    let values = option.values.join(" ");
    option.path.as_ref().map_or(values.clone(), |path| format!("{path}={values}"))
}

fn check_version(flag: &'static Flag, version: EngineVersion) -> Result<(), ImportError> {
    let minor = |version: &str| version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    let asked = minor(&version.to_string());
    let too_early = flag.since.as_deref().filter(|since| asked < minor(since));
    let too_late = flag.until.as_deref().filter(|until| asked > minor(until));
    let exists = match (too_early, too_late) {
        (None, None) => return Ok(()),
        (Some(since), _) => format!("from {since} on"),
        (None, Some(until)) => format!("up to {until}"),
    };
    Err(ImportError::Version { flag: &flag.flag, version, exists })
}

/// How the program's flags are called on kendall's command line.
pub(super) fn argument(program: Program) -> &'static str {
    match program {
        Program::Serve => "--vllm",
        Program::Bench => "--bench",
    }
}
