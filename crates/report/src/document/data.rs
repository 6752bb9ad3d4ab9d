//! A document for programs: JSON of all of it, CSV of its figures and tables.

use serde_json::{Value, json};

use crate::chart::{Chart, Shape};

use super::{Block, DataTable, Document, Level};

impl Document {
    /// One object: verdict, tiles, sections, with the points of every chart.
    pub fn to_json(&self) -> Value {
        let verdict = &self.verdict;
        let level = match verdict.level {
            Level::Good => "good",
            Level::Mixed => "mixed",
            Level::Bad => "bad",
            Level::Neutral => "neutral",
        };
        let tiles: Vec<Value> = self
            .tiles
            .iter()
            .map(|tile| json!({"label": tile.label, "value": tile.value, "detail": tile.detail}))
            .collect();
        let sections: Vec<Value> = self
            .sections
            .iter()
            .map(|section| {
                let blocks: Vec<Value> = section.blocks.iter().map(block_json).collect();
                json!({"id": section.id, "heading": section.heading, "lead": section.lead, "blocks": blocks})
            })
            .collect();
        json!({
            "title": self.title,
            "subtitle": self.subtitle,
            "verdict": {
                "level": level,
                "headline": verdict.headline,
                "question": verdict.question,
                "answer": verdict.answer,
                "warnings": verdict.warnings,
            },
            "tiles": tiles,
            "sections": sections,
        })
    }

    /// One long table of everything that is drawn or tabulated: `kind,name,series,x,y,half_width,text`.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Writing to memory cannot fail, and the rows are equally long.
        let mut row = |cells: [&str; 7]| {
            let _ = writer.write_record(cells);
        };
        row(["kind", "name", "series", "x", "y", "half_width", "text"]);
        for tile in &self.tiles {
            row(["figure", &tile.label, "", "", "", "", &tile.value]);
        }
        for figure in self.figures() {
            for layer in &figure.chart.layers {
                for (x, y, half_width) in points(&layer.shape) {
                    let half_width = half_width.map(|width| width.to_string()).unwrap_or_default();
                    row(["chart", &figure.id, &layer.label, &x.to_string(), &y.to_string(), &half_width, ""]);
                }
            }
        }
        for table in
            self.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
                Block::Table(table) => Some(table),
                Block::Figures(_) | Block::Shares(_) | Block::Code(_) | Block::Text(_) => None,
            })
        {
            for cells in &table.rows {
                for ((column, _), cell) in table.columns.iter().zip(cells).skip(1) {
                    row(["table", &cells[0], column, "", "", "", cell]);
                }
            }
        }
        String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}

fn points(shape: &Shape) -> Vec<(f64, f64, Option<f64>)> {
    match shape {
        Shape::Line(points) | Shape::Area(points) => points.iter().map(|&(x, y)| (x, y, None)).collect(),
        Shape::Dots(points) | Shape::Points(points) => points.clone(),
        Shape::Intervals(bars) => bars
            .iter()
            .map(|&(y, left, right)| (f64::midpoint(left, right), y, Some((right - left) / 2.0)))
            .collect(),
    }
}

fn chart_json(chart: &Chart) -> Value {
    let series: Vec<Value> = chart
        .layers
        .iter()
        .map(|layer| json!({"label": layer.label, "points": points(&layer.shape)}))
        .collect();
    let marks: Vec<Value> = chart
        .marks
        .iter()
        .map(|mark| json!({"at": mark.at, "label": mark.label, "limit": mark.is_limit}))
        .collect();
    json!({"title": chart.title, "x": chart.x.label, "y": chart.y.label, "series": series, "marks": marks})
}

fn block_json(block: &Block) -> Value {
    match block {
        Block::Figures(figures) => json!({
            "charts": figures.iter().map(|figure| json!({
                "id": figure.id,
                "caption": figure.caption,
                "chart": chart_json(&figure.chart),
            })).collect::<Vec<_>>(),
        }),
        Block::Shares(shares) => json!({
            "shares": shares.parts.iter().map(|(name, size, text)| json!({"name": name, "size": size, "text": text}))
                .collect::<Vec<_>>(),
            "caption": shares.caption,
        }),
        Block::Table(table) => table_json(table),
        Block::Code(code) => json!({"code": code}),
        Block::Text(text) => json!({"text": text}),
    }
}

fn table_json(table: &DataTable) -> Value {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    json!({"columns": columns, "rows": table.rows})
}
