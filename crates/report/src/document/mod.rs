//! A report as a document: verdict, figures, sections. What it looks like is the business of [`html`] and [`markdown`].

mod css;
mod data;
mod html;
mod markdown;

use crate::chart::Chart;

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What was simulated.
    pub title: String,
    /// In one line: server, engine, seed.
    pub subtitle: String,
    /// The answer.
    pub verdict: Verdict,
    /// The figures that a reader looks for first.
    pub tiles: Vec<Tile>,
    /// All else.
    pub sections: Vec<Section>,
}

/// What the run says about the question.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How good the news is.
    pub level: Level,
    /// In a word or two.
    pub headline: String,
    /// The question that the scenario asks, if it opens with one.
    pub question: Option<String>,
    /// The answer in a sentence, with its confidence.
    pub answer: String,
    /// What a reader must know before using the figures.
    pub warnings: Vec<String>,
}

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everything that was asked for holds.
    Good,
    /// It holds for some.
    Mixed,
    /// It does not hold, or there is no answer.
    Bad,
    /// Nothing was asked for.
    Neutral,
}

/// A figure to see at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// What it is.
    pub label: String,
    /// Its value with the unit.
    pub value: String,
    /// Interval, count or limit: what the value rests on.
    pub detail: String,
}

/// A part of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Anchor: lower-case letters and hyphens.
    pub id: &'static str,
    /// Its name.
    pub heading: String,
    /// What to see in it, in a sentence or two.
    pub lead: String,
    /// Its content.
    pub blocks: Vec<Block>,
}

impl Section {
    /// The table of all points of a study.
    pub(crate) fn of_points(table: DataTable) -> Self {
        Self {
            id: "points",
            heading: "All points".into(),
            lead: String::new(),
            blocks: vec![Block::Table(table)],
        }
    }
}

/// Content of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Charts side by side.
    Figures(Vec<Figure>),
    /// Shares of a whole, as one bar.
    Shares(Shares),
    /// Rows and columns.
    Table(DataTable),
    /// Text as it stands in a file or on a terminal.
    Code(String),
    /// A sentence.
    Text(String),
}

/// A chart with what to see in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name of its file: lower-case letters and hyphens.
    pub id: String,
    /// The chart.
    pub chart: Chart,
    /// What it shows and how it was counted.
    pub caption: String,
}

/// Shares of a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// What is divided, with its size and unit.
    pub caption: String,
    /// Name, size and its text with a unit.
    pub parts: Vec<(String, f64, String)>,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct DataTable {
    /// Names of columns, and whether they hold numbers.
    pub columns: Vec<(String, bool)>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
    /// If given, the table is folded under this line.
    pub folded: Option<String>,
}

impl DataTable {
    /// A table in full view: names of text columns, then of columns with numbers.
    pub fn new(text: &[&str], numbers: &[&str]) -> Self {
        let columns = text
            .iter()
            .map(|&name| (name.to_owned(), false))
            .chain(numbers.iter().map(|&name| (name.to_owned(), true)));
        Self { columns: columns.collect(), rows: Vec::new(), folded: None }
    }
}

impl Document {
    /// Every chart, in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.blocks).flat_map(|block| match block {
            Block::Figures(figures) => figures.as_slice(),
            Block::Shares(_) | Block::Table(_) | Block::Code(_) | Block::Text(_) => &[],
        })
    }
}
