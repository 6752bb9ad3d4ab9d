//! Reads the command lines of `vllm serve` and `vllm bench serve` as vLLM itself does, and says of each flag whether
//! a simulation carries it over, need not care, or cannot follow it. The table is `flags.toml`.
//!
//! Knows nothing about scenarios: it returns words, and an importer gives them meaning.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use thiserror::Error;

use super::words::{program, tokenize};

/// Below this Jaro-Winkler similarity a word is no misspelling of a flag.
const SIMILAR: f64 = 0.75;

/// What a flag means to a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    /// Carried over, under the key of the flag.
    Scenario,
    /// Does not change what a simulation predicts.
    Neutral,
    /// Would change the result, and is not modelled.
    Unmodelled,
}

/// How many values follow a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TakesValue {
    /// None: the flag is a switch.
    No,
    /// Exactly one.
    One,
    /// All up to the next flag, at least one.
    Many,
    /// At most one.
    Optional,
}

/// One flag of vLLM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "the name of a flag is called so in the table")]
pub(crate) struct Flag {
    /// Canonical name, with its dashes.
    pub flag: String,
    /// Other names, short ones included.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How many values follow it.
    pub takes_value: TakesValue,
    /// Whether `--no-X` exists.
    #[serde(default)]
    pub negatable: bool,
    /// What it means to a simulation.
    pub class: Class,
    /// Where its value goes; only in class [`Class::Scenario`].
    pub key: Option<String>,
    /// How it would change the result; only in class [`Class::Unmodelled`].
    pub effect: Option<String>,
    /// Values of an unmodelled flag that say no more than its default.
    #[serde(default)]
    pub neutral_values: Vec<String>,
    /// First minor version that has the flag, such as `0.24`, if later than 0.19.
    pub since: Option<String>,
    /// Last minor version that has the flag, if earlier than 0.33.
    pub until: Option<String>,
}

/// A program whose command line can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `vllm serve`, `python -m vllm.entrypoints.openai.api_server` or an image `vllm-openai`.
    Serve,
    /// `vllm bench serve` or `benchmark_serving.py`.
    Bench,
}

/// All flags of one program.
#[derive(Debug)]
pub(crate) struct Flags {
    /// The program.
    pub program: Program,
    /// Its flags, by name.
    pub list: Vec<Flag>,
}

/// One flag of a command line, with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParsedOption {
    /// The entry of the table.
    pub flag: &'static Flag,
    /// For `--compilation-config.mode`: `mode`.
    pub path: Option<String>,
    /// As given; `true` or `false` for a switch.
    pub values: Vec<String>,
    /// Class of the flag with these values: an unmodelled flag at its default is neutral.
    pub class: Class,
}

/// A command line that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ParsedCommand {
    /// Words that belong to no flag: the model of `vllm serve MODEL`.
    pub positional: Vec<String>,
    /// In the order given; of several equal flags the last one counts, as with vLLM.
    pub options: Vec<ParsedOption>,
}

/// A command line that could not be read, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CommandError {
    /// The shell's rules are broken.
    #[error("the command has an open quote or ends in a backslash: quote it as for a shell")]
    Quoting,
    /// No words at all.
    #[error("the command is empty: give all of it, such as `vllm serve MODEL --max-num-seqs 64`")]
    Empty,
    /// Another program.
    #[error("`{word}` is not a known program: give the command from `{expected}` on, or its flags only")]
    Program {
        /// The first word.
        word: String,
        /// What is understood here.
        expected: &'static str,
    },
    /// A server's command where a benchmark's is wanted, or the reverse.
    #[error("this is a command of `{0}`, which does not belong here: swap it with the other command")]
    Swapped(&'static str),
    /// No such flag.
    #[error("`{flag}` is not a flag of `{program}`{}", nearest.as_ref().map_or_else(
        || ": leave it out or check its spelling".to_owned(), |known| format!(": did you mean `{known}`?")))]
    UnknownFlag {
        /// As given, without its value.
        flag: String,
        /// The program that was meant.
        program: &'static str,
        /// The known flag that looks most like it, if any does.
        nearest: Option<String>,
    },
    /// An abbreviation of several flags.
    #[error("`{flag}` may stand for {}: write it in full", candidates.join(", "))]
    Ambiguous {
        /// As given.
        flag: String,
        /// All flags that begin like it.
        candidates: Vec<String>,
    },
    /// A value is wanted.
    #[error("`{0}` needs a value: write `{0} VALUE`")]
    MissingValue(String),
    /// A word too many: `vllm serve` takes one model, a benchmark takes no words of its own.
    #[error("`{0}` belongs to no flag: leave it out, or quote the value that it is part of")]
    Extra(String),
    /// No value is wanted.
    #[error("`{flag}` is a switch and takes no value, but has `{value}`: leave the value out")]
    UnexpectedValue {
        /// As given.
        flag: String,
        /// The value.
        value: String,
    },
}

static TABLES: LazyLock<(Flags, Flags)> = LazyLock::new(|| {
    let mut table: BTreeMap<String, Vec<Flag>> =
        toml::from_str(include_str!("flags.toml")).expect("flags.toml is tested");
    let mut flags =
        |program, name| Flags { program, list: table.remove(name).expect("flags.toml is tested") };
    (flags(Program::Serve, "serve"), flags(Program::Bench, "bench"))
});

/// The flags of `vllm serve`.
pub(crate) fn serve_flags() -> &'static Flags {
    &TABLES.0
}

/// The flags of `vllm bench serve`.
pub(crate) fn bench_flags() -> &'static Flags {
    &TABLES.1
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Serve => "vllm serve",
            Self::Bench => "vllm bench serve",
        }
    }
}

/// Reads a command of the program of `flags`; the program's own words may be missing.
///
/// # Errors
/// On a command that vLLM would refuse, and on a flag that no version from 0.19 to 0.33 has.
pub(crate) fn parse(command: &str, flags: &'static Flags) -> Result<ParsedCommand, CommandError> {
    let words = tokenize(command, flags.program)?;
    let mut rest = arguments(&words, flags.program)?;
    let mut parsed = ParsedCommand::default();
    while let [word, tail @ ..] = rest {
        rest = tail;
        if is_flag(word) {
            let (option, left) = flags.option(word, tail)?;
            parsed.options.push(option);
            rest = left;
        } else {
            parsed.positional.push(word.clone());
        }
    }
    let most = usize::from(flags.program == Program::Serve);
    parsed.positional.get(most).map_or(Ok(()), |word| Err(CommandError::Extra(word.clone())))?;
    Ok(parsed)
}

/// The words after the program's own; all of them if the command begins with a flag or is a model only.
fn arguments(words: &[String], wanted: Program) -> Result<&[String], CommandError> {
    let first = words[0].as_str();
    let model = wanted == Program::Serve && words.get(1).is_none_or(|word| is_flag(word)) && first != "vllm";
    match program(words) {
        _ if is_flag(first) => Ok(words),
        Some((found, skipped)) if found == wanted => Ok(&words[skipped..]),
        Some((found, _)) => Err(CommandError::Swapped(found.name())),
        None if model => Ok(words),
        None => Err(CommandError::Program { word: first.to_owned(), expected: wanted.name() }),
    }
}

impl Flags {
    /// Reads one flag and the values behind it; returns the words that are left.
    fn option<'w>(
        &'static self,
        word: &str,
        tail: &'w [String],
    ) -> Result<(ParsedOption, &'w [String]), CommandError> {
        let word = short_optimization(word);
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let (stem, path) = match name.split_once('.') {
            Some((stem, path)) => (stem, Some(path.trim_end_matches('+').to_owned())),
            None => (name, None),
        };
        // vLLM takes underscores for dashes in long flags.
        let canonical = if stem.starts_with("--") { stem.replace('_', "-") } else { stem.to_owned() };
        let (flag, on) = self.find(&canonical, name)?;
        // As argparse: a value that begins with a dash is taken for a flag, unless it is a number.
        let free = tail.iter().take_while(|value| !is_flag(value)).count();
        let used = match flag.takes_value {
            takes if takes == TakesValue::No || attached.is_some() => 0,
            TakesValue::Many if path.is_none() => free,
            _ => free.min(1),
        };
        let values = match (flag.takes_value, attached) {
            (TakesValue::No, None) => vec![on.to_string()],
            (TakesValue::No, Some(value)) => {
                return Err(CommandError::UnexpectedValue { flag: name.to_owned(), value });
            }
            (_, Some(value)) => vec![value],
            (TakesValue::One | TakesValue::Many, None) if used == 0 => {
                return Err(CommandError::MissingValue(name.to_owned()));
            }
            (_, None) => tail[..used].to_vec(),
        };
        let neutral = !values.is_empty() && values.iter().all(|value| flag.neutral_values.contains(value));
        let class = if neutral { Class::Neutral } else { flag.class };
        Ok((ParsedOption { flag, path, values, class }, &tail[used..]))
    }

    /// The flag of this name and whether it is switched on by it: an exact name, an alias, an opposite, or the
    /// beginning of one flag only.
    fn find(&'static self, name: &str, given: &str) -> Result<(&'static Flag, bool), CommandError> {
        let names = || self.list.iter().flat_map(spellings);
        if let Some((_, flag, on)) = names().find(|(known, ..)| known == name) {
            return Ok((flag, on));
        }
        let alike: Vec<_> =
            names().filter(|(known, ..)| name.starts_with("--") && known.starts_with(name)).collect();
        match alike.as_slice() {
            [(_, flag, on)] => Ok((flag, *on)),
            [] => Err(self.unknown(name, given)),
            [(_, first, on), others @ ..] if others.iter().all(|(_, flag, o)| flag == first && o == on) => {
                Ok((first, *on))
            }
            _ => {
                let candidates = alike.iter().map(|(known, ..)| format!("`{known}`")).collect();
                Err(CommandError::Ambiguous { flag: given.to_owned(), candidates })
            }
        }
    }

    fn unknown(&'static self, name: &str, given: &str) -> CommandError {
        let likeness =
            |known: &str| strsim::jaro_winkler(known.trim_start_matches('-'), name.trim_start_matches('-'));
        let names = self.list.iter().flat_map(spellings).map(|(known, ..)| known);
        let nearest = names
            .map(|known| (likeness(&known), known))
            .filter(|(likeness, _)| *likeness >= SIMILAR)
            .max_by(|left, right| left.0.total_cmp(&right.0).then_with(|| right.1.cmp(&left.1)))
            .map(|(_, known)| known);
        CommandError::UnknownFlag { flag: given.to_owned(), program: self.program.name(), nearest }
    }
}

/// Every name of a flag, with whether it switches on.
fn spellings(flag: &'static Flag) -> impl Iterator<Item = (String, &'static Flag, bool)> {
    let negated = flag.negatable.then(|| format!("--no-{}", &flag.flag[2..]));
    let opposite = flag.negatable.then(|| match flag.flag.strip_prefix("--enable-") {
        Some(what) => Some(format!("--disable-{what}")),
        None => flag.flag.strip_prefix("--disable-").map(|what| format!("--enable-{what}")),
    });
    let on = std::iter::once(&flag.flag).chain(&flag.aliases).map(move |name| (name.clone(), flag, true));
    on.chain(negated.into_iter().chain(opposite.flatten()).map(move |name| (name, flag, false)))
}

/// `-O3` and `-O=3` as `-O=3`.
fn short_optimization(word: &str) -> String {
    match word.strip_prefix("-O") {
        Some(level) if !level.is_empty() && !level.starts_with(['=', '.']) => format!("-O={level}"),
        _ => word.to_owned(),
    }
}

/// A word that argparse takes for a flag: it begins with a dash, is no number and has no space.
pub(super) fn is_flag(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && !word.contains(' ') && word.parse::<f64>().is_err()
}

#[cfg(test)]
#[path = "flags_tests.rs"]
mod tests;
