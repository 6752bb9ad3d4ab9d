//! A document as one HTML page that needs nothing else: no network, no script.

use std::fmt::Write as _;

use crate::chart::{ChartError, Colours};
use crate::escape::escape;

use super::css::CSS;
use super::{Block, DataTable, Document, Figure, Level, Section, Shares, Verdict};

impl Document {
    /// The page.
    ///
    /// # Errors
    /// If a chart cannot be drawn.
    pub fn to_html(&self) -> Result<String, ChartError> {
        let mut page = String::with_capacity(1 << 16);
        let title = escape(&self.title);
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} - kendall</title>\n\
             <style>{CSS}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p class=\"subtitle\">{}</p>\n</header>\n<main>\n",
            escape(&self.subtitle)
        );
        verdict(&mut page, &self.verdict);
        self.tiles(&mut page);
        self.contents(&mut page);
        for section in &self.sections {
            section_html(&mut page, section)?;
        }
        page.push_str("</main>\n</body>\n</html>\n");
        Ok(page)
    }

    fn tiles(&self, page: &mut String) {
        page.push_str("<ul class=\"tiles\">\n");
        for tile in &self.tiles {
            let _ = writeln!(
                page,
                "<li><span class=\"label\">{}</span><strong>{}</strong><span class=\"detail\">{}</span></li>",
                escape(&tile.label),
                escape(&tile.value),
                escape(&tile.detail)
            );
        }
        page.push_str("</ul>\n");
    }

    fn contents(&self, page: &mut String) {
        page.push_str("<nav aria-label=\"Contents\">");
        for section in &self.sections {
            let _ = write!(page, "<a href=\"#{}\">{}</a> ", section.id, escape(&section.heading));
        }
        page.push_str("</nav>\n");
    }
}

fn verdict(page: &mut String, verdict: &Verdict) {
    let (class, sign) = match verdict.level {
        Level::Good => ("good", "\u{2713}"),
        Level::Mixed => ("mixed", "\u{25d0}"),
        Level::Bad => ("bad", "\u{2715}"),
        Level::Neutral => ("neutral", "\u{2022}"),
    };
    let _ = writeln!(
        page,
        "<section class=\"verdict {class}\">\n<h2><span aria-hidden=\"true\">{sign}</span> {}</h2>",
        escape(&verdict.headline)
    );
    if let Some(question) = &verdict.question {
        let _ = writeln!(page, "<p class=\"question\">{}</p>", escape(question));
    }
    let _ = writeln!(page, "<p class=\"answer\">{}</p>", escape(&verdict.answer));
    if !verdict.warnings.is_empty() {
        page.push_str("<ul class=\"warnings\">\n");
        for warning in &verdict.warnings {
            let _ = writeln!(page, "<li>{}</li>", escape(warning));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</section>\n");
}

fn section_html(page: &mut String, section: &Section) -> Result<(), ChartError> {
    let _ = writeln!(page, "<section id=\"{}\">\n<h2>{}</h2>", section.id, escape(&section.heading));
    if !section.lead.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", escape(&section.lead));
    }
    for block in &section.blocks {
        match block {
            Block::Figures(figures) => figures_html(page, figures)?,
            Block::Shares(shares) => shares_html(page, shares),
            Block::Table(table) => table_html(page, table),
            Block::Code(code) => {
                let _ = writeln!(page, "<pre tabindex=\"0\"><code>{}</code></pre>", escape(code));
            }
            Block::Text(text) => {
                let _ = writeln!(page, "<p>{}</p>", escape(text));
            }
        }
    }
    page.push_str("</section>\n");
    Ok(())
}

fn figures_html(page: &mut String, figures: &[Figure]) -> Result<(), ChartError> {
    page.push_str("<div class=\"figures\">\n");
    for figure in figures {
        let svg = figure.chart.to_svg(Colours::OfPage)?;
        let _ = writeln!(
            page,
            "<figure id=\"{}\"><h3>{}</h3>\n{svg}<figcaption>{}</figcaption></figure>",
            figure.id,
            escape(&figure.chart.title),
            escape(&figure.caption)
        );
    }
    page.push_str("</div>\n");
    Ok(())
}

fn shares_html(page: &mut String, shares: &Shares) {
    let total: f64 = shares.parts.iter().map(|(_, size, _)| size).sum();
    let percent = |size: f64| if total > 0.0 { size / total * 100.0 } else { 0.0 };
    let _ = writeln!(
        page,
        "<div class=\"shares\"><p>{}</p>\n<div class=\"bar\" aria-hidden=\"true\">",
        escape(&shares.caption)
    );
    for (i, (_, size, _)) in shares.parts.iter().enumerate() {
        let _ = write!(
            page,
            "<span style=\"width:{:.3}%;background:var(--c{})\"></span>",
            percent(*size),
            i % 6 + 1
        );
    }
    page.push_str("</div>\n<ul>\n");
    for (i, (name, size, text)) in shares.parts.iter().enumerate() {
        let _ = writeln!(
            page,
            "<li><span class=\"swatch\" style=\"background:var(--c{})\"></span>{} <b>{}</b> ({:.1} %)</li>",
            i % 6 + 1,
            escape(name),
            escape(text),
            percent(*size)
        );
    }
    page.push_str("</ul></div>\n");
}

fn table_html(page: &mut String, table: &DataTable) {
    if let Some(summary) = &table.folded {
        let _ = writeln!(page, "<details><summary>{}</summary>", escape(summary));
    }
    page.push_str("<div class=\"table\" tabindex=\"0\"><table>\n<thead><tr>");
    let class = |is_number: bool| if is_number { " class=\"number\"" } else { "" };
    for (name, is_number) in &table.columns {
        let _ = write!(page, "<th scope=\"col\"{}>{}</th>", class(*is_number), escape(name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (cell, (_, is_number)) in row.iter().zip(&table.columns) {
            let _ = write!(page, "<td{}>{}</td>", class(*is_number), escape(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    if table.folded.is_some() {
        page.push_str("</details>\n");
    }
}
