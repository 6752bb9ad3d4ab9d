//! A document as Markdown: for pull requests and notes. Charts are named, not drawn.

use std::fmt::Write as _;

use super::{Block, DataTable, Document};

/// Text that Markdown and the HTML behind it leave alone.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '<' | '>' => {
                plain.push('\\');
                plain.push(character);
            }
            '\n' => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain
}

impl Document {
    /// The text.
    pub fn to_markdown(&self) -> String {
        let verdict = &self.verdict;
        let mut text = format!("# {}\n\n{}\n\n", plain(&self.title), plain(&self.subtitle));
        let _ = writeln!(text, "**{}**", plain(&verdict.headline));
        if let Some(question) = &verdict.question {
            let _ = writeln!(text, "\n> {}", plain(question));
        }
        let _ = writeln!(text, "\n{}\n", plain(&verdict.answer));
        for warning in &verdict.warnings {
            let _ = writeln!(text, "- ! {}", plain(warning));
        }
        text.push_str("\n| figure | value | |\n|---|---|---|\n");
        for tile in &self.tiles {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                plain(&tile.label),
                plain(&tile.value),
                plain(&tile.detail)
            );
        }
        for section in &self.sections {
            let _ = writeln!(text, "\n## {}\n", plain(&section.heading));
            if !section.lead.is_empty() {
                let _ = writeln!(text, "{}\n", plain(&section.lead));
            }
            section.blocks.iter().for_each(|block| block_text(&mut text, block));
        }
        text
    }
}

fn block_text(text: &mut String, block: &Block) {
    match block {
        Block::Figures(figures) => {
            for figure in figures {
                let _ =
                    writeln!(text, "- chart: **{}**. {}", plain(&figure.chart.title), plain(&figure.caption));
            }
            text.push('\n');
        }
        Block::Shares(shares) => {
            let _ = writeln!(text, "{}\n", plain(&shares.caption));
            for (name, _, size) in &shares.parts {
                let _ = writeln!(text, "- {}: {}", plain(name), plain(size));
            }
            text.push('\n');
        }
        Block::Table(table) => table_text(text, table),
        Block::Code(code) => {
            // A fence longer than any in the text.
            let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest.max(2) + 1);
            let _ = writeln!(text, "{fence}\n{}\n{fence}\n", code.trim_end());
        }
        Block::Text(sentence) => {
            let _ = writeln!(text, "{}\n", plain(sentence));
        }
    }
}

fn table_text(text: &mut String, table: &DataTable) {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(table.columns.iter().map(|(name, _)| plain(name)).collect()));
    let rule = |is_number: bool| if is_number { "---:" } else { "---" }.to_owned();
    text.push_str(&line(table.columns.iter().map(|&(_, is_number)| rule(is_number)).collect()));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(|cell| plain(cell)).collect()));
    }
    text.push('\n');
}
