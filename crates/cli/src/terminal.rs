//! What the terminal can show.

use std::io::IsTerminal;

use kendall_report::Screen;

/// Standard output: colour only on a terminal and without `NO_COLOR` (no-color.org), `COLUMNS` before the terminal's width.
pub(crate) fn screen() -> Screen {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let stdout = std::io::stdout();
    let usual = Screen::default();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    Screen {
        colour: stdout.is_terminal() && !is_set("NO_COLOR") && !is_dumb,
        width: columns.or_else(of_terminal).filter(|&width| width > 0).unwrap_or(usual.width),
    }
}
