//! How text looks on a terminal: colour where it is wanted, width where it is known.

/// What the reader of a text can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether someone looks at it who can see blocks of characters: a terminal that reads UTF-8.
    pub blocks: bool,
    /// Characters in a line.
    pub width: usize,
}

impl Default for Screen {
    /// A file or a pipe: no colour, a line of usual width.
    fn default() -> Self {
        Self { colour: false, blocks: false, width: 100 }
    }
}

/// How good a piece of news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Mixed,
    Bad,
}

/// Eighths of a character cell, from the left.
const EIGHTHS: [&str; 8] =
    ["", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}"];
const FULL: &str = "\u{2588}";
/// Heights of a column, from nothing to full.
const COLUMNS: [char; 9] =
    [' ', '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];

impl Screen {
    /// Emphasised text.
    pub(crate) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    /// Text that says that all is well, or not.
    pub(crate) fn mood(self, mood: Mood, text: &str) -> String {
        let code = match mood {
            Mood::Good => "32",
            Mood::Mixed => "33",
            Mood::Bad => "31",
        };
        self.code(code, text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A bar of this share of `cells` characters, in the colour with this number of the terminal's own.
    pub(crate) fn bar(self, share: f64, cells: usize, colour: u8) -> String {
        let eighths = libm::round(share.clamp(0.0, 1.0) * cells as f64 * 8.0) as usize;
        // A part that is not nothing shows.
        let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
        let bar = format!("{}{}", FULL.repeat(eighths / 8), EIGHTHS[eighths % 8]);
        self.code(&format!("3{colour}"), &bar)
    }
}

/// Counts as a row of columns, the largest a full character high; a count that is not 0 shows.
pub(crate) fn sparkline(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let height = |count: u64| if count == 0 { 0 } else { (count as f64 / most as f64 * 8.0).ceil() as usize };
    counts.iter().map(|&count| COLUMNS[height(count).min(8)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        let plain = Screen::default();
        assert_eq!(plain.bar(0.5, 4, 1), "\u{2588}\u{2588}");
        assert_eq!(plain.bar(0.0001, 4, 1), "\u{258f}", "a part that is not nothing shows");
        assert_eq!(plain.bar(0.0, 4, 1), "");
        let colour = Screen { colour: true, ..plain };
        assert_eq!(colour.bar(1.0, 1, 2), "\u{1b}[32m\u{2588}\u{1b}[0m");
        assert_eq!(colour.bar(0.0, 1, 2), "", "no code without text");
    }

    #[test]
    fn a_sparkline_has_a_column_a_count() {
        assert_eq!(sparkline(&[0, 1, 50, 100]), " \u{2581}\u{2584}\u{2588}");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[0, 0]), "  ");
    }
}
