//! A pasted command or shell script as words: those of the one command in it that starts the program that is wanted.

use super::flags::{CommandError, Program, is_flag};

/// Words that end a command.
const CONTROL: [&str; 6] = ["&", "&&", "|", "||", ";", "|&"];

/// Splits a command into words as a POSIX shell would: quotes, backslashes, comments. Of several commands in one line,
/// that of the wanted program is kept, without the prompt `$`, assignments, `env` and redirections. Variables are not
/// replaced.
///
/// # Errors
/// On an open quote, and if no word is left.
pub(super) fn tokenize(command: &str, wanted: Program) -> Result<Vec<String>, CommandError> {
    let joined = command.replace("\r\n", "\n").replace("\\\n", " ");
    let words = shlex::split(&separated(&joined)).ok_or(CommandError::Quoting)?;
    let mut commands: Vec<_> = words.split(|word| CONTROL.contains(&word.as_str())).map(bare).collect();
    commands.retain(|words| !words.is_empty());
    let starts = |found: &dyn Fn(Program) -> bool| {
        commands.iter().position(|words| program(words).is_some_and(|(program, _)| found(program)))
    };
    let ours = starts(&|found| found == wanted).or_else(|| starts(&|_| true)).unwrap_or(0);
    if commands.is_empty() { Err(CommandError::Empty) } else { Ok(commands.swap_remove(ours)) }
}

/// The text of a script with its lines separated by `;`, except where a line goes on: within quotes, or where the next
/// line begins with a dash. Comments are left out.
fn separated(text: &str) -> String {
    let mut separated = String::with_capacity(text.len());
    let (mut quote, mut escaped, mut before) = (None, false, '\n');
    let mut rest = text.chars();
    while let Some(mut c) = rest.next() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '#') if before.is_whitespace() => {
                let line = rest.as_str().find('\n').map_or("", |end| &rest.as_str()[end..]);
                (rest, c) = (line.chars(), ' ');
            }
            (None, '\n') if !rest.as_str().trim_start().starts_with('-') => separated.push_str(" ;"),
            _ => {}
        }
        separated.push(c);
        before = c;
    }
    separated
}

/// One command without what stands before its program and without redirections.
fn bare(words: &[String]) -> Vec<String> {
    let before = |word: &&String| {
        matches!(word.as_str(), "$" | "env" | "exec" | "export" | "nohup" | "sudo" | "time")
            || is_assignment(word)
    };
    let mut words = words.iter().skip_while(before);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match redirection(word) {
            None => kept.push(word.clone()),
            Some(true) => _ = words.next(),
            Some(false) => {}
        }
    }
    kept
}

/// Which program a command starts, and the number of words up to its arguments.
pub(super) fn program(words: &[String]) -> Option<(Program, usize)> {
    let named = |word: &str, name| word.rsplit('/').next() == Some(name);
    let begins = |at: usize| match words.get(at..)? {
        [serve, ..] if serve == "serve" => Some((Program::Serve, at + 1)),
        [bench, serve, ..] if bench == "bench" && serve == "serve" => Some((Program::Bench, at + 2)),
        _ => None,
    };
    let command = (0..words.len()).filter(|&at| named(&words[at], "vllm")).find_map(|at| begins(at + 1));
    let module = words.iter().enumerate().find_map(|(at, word)| {
        let module = word.starts_with("vllm.entrypoints.") && word.ends_with("api_server");
        let image = word.contains("vllm-openai") && !is_flag(word);
        let script = named(word, "benchmark_serving.py").then_some((Program::Bench, at + 1));
        if module || image { Some((Program::Serve, at + 1)) } else { script }
    });
    command.or_else(|| begins(0)).or(module)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    })
}

/// Whether a word redirects output or input, and if so, whether its file is the next word.
fn redirection(word: &str) -> Option<bool> {
    if word == "<" {
        return Some(true);
    }
    let file = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&').strip_prefix('>')?;
    Some(file.trim_start_matches('>').is_empty())
}
