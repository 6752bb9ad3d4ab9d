//! What the terminal can show.

use std::io::IsTerminal;

use kendall_report::Screen;

/// Standard output: colour only on a terminal and without `NO_COLOR` (no-color.org), blocks of characters only on a terminal
/// that reads UTF-8, `COLUMNS` before the terminal's width.
pub(crate) fn screen() -> Screen {
    let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let is_dumb = value("TERM").is_some_and(|term| term == "dumb");
    let is_seen = std::io::stdout().is_terminal() && !is_dumb;
    // The first of them that is set decides (POSIX, locale).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
    let locale = locale.map(|locale| locale.to_string_lossy().to_ascii_lowercase().replace('-', ""));
    let usual = Screen::default();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    Screen {
        colour: is_seen && value("NO_COLOR").is_none(),
        blocks: is_seen && locale.is_some_and(|locale| locale.contains("utf8")),
        width: columns.or_else(of_terminal).filter(|&width| width > 0).unwrap_or(usual.width),
    }
}
