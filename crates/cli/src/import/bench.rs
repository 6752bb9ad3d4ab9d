//! A `vllm bench serve` command, alone or in a script.

use std::fs;

use crate::args::ImportArgs;
use crate::vllm;

use super::draft::Draft;

/// Reads the command.
///
/// # Errors
/// If vLLM would not read it, or kendall cannot know its lengths.
pub(super) fn read(args: &ImportArgs, server: &str, draft: &mut Draft) -> Result<(), String> {
    let command =
        fs::read_to_string(&args.file).map_err(|error| format!("cannot read this file: {error}"))?;
    let bench = vllm::bench_as_scenario(&command, server)?;
    for line in bench.text.lines() {
        if let Some((key, rest)) = line.split_once(" = ")
            && let Some((value, from)) = rest.rsplit_once("  # ")
        {
            draft.understood(from, value, key);
        }
        if line == "[server]" {
            break;
        }
    }
    for (flag, effect) in &bench.ignored {
        draft.lost(flag, "", effect);
    }
    for warning in &bench.warnings {
        draft.approximated("(note)", "", warning);
    }
    draft.whole(bench.text);
    Ok(())
}
