//! The batch shape of kendall's own `steps.csv`, rebuilt from who ran: the log gives each request's tokens and one sum
//! of contexts.
//!
//! A request's context is what it computed before plus its prefix hit. The hit is what the log's sum of contexts has
//! beyond the tokens seen, so it is known where one request was admitted in the step. With several it is not, and
//! these requests' steps are left out until they are gone.

use std::collections::BTreeMap;

use crate::error::ReadError;
use crate::formats::table::{Column, Row, Table};
use crate::steps::MeasuredStep;

/// What is known of a request in flight.
#[derive(Debug, Clone, Copy)]
enum Context {
    Tokens(f64),
    Unknown,
}

/// Contexts of requests, step by step.
pub(crate) struct Rebuild {
    scheduled: Column,
    admitted: Column,
    preempted: Column,
    context: Column,
    contexts: BTreeMap<(u32, u64), Context>,
    /// Steps whose shape is not known.
    pub(crate) ambiguous: usize,
}

impl Rebuild {
    /// `None` unless the table has the columns, and lacks the shape itself.
    pub(crate) fn of(table: &Table<'_>) -> Option<Self> {
        if table.column(&["prefill_attention"]).is_some() {
            return None;
        }
        Some(Self {
            scheduled: table.column(&["scheduled"])?,
            admitted: table.column(&["admitted"])?,
            preempted: table.column(&["preempted"])?,
            context: table.column(&["context_tokens"])?,
            contexts: BTreeMap::new(),
            ambiguous: 0,
        })
    }

    /// Fills the shape. Whether it is known.
    ///
    /// # Errors
    /// If a list of requests cannot be read.
    pub(crate) fn complete(&mut self, row: &Row<'_>, step: &mut MeasuredStep) -> Result<bool, ReadError> {
        for request in numbers(row, self.preempted)? {
            self.contexts.remove(&(step.run, request));
        }
        let admitted = numbers(row, self.admitted)?;
        let scheduled = pairs(row, self.scheduled)?;
        for &request in &admitted {
            self.contexts.insert((step.run, request), Context::Tokens(0.0));
        }
        let total = row.required(self.context)?;
        self.find_prefix_hits(step.run, &scheduled, &admitted, total);
        let mut shape = MeasuredStep { new_seqs: admitted.len() as f64, ..*step };
        (shape.prefill_context_tokens, shape.prefill_attention, shape.decode_context_tokens) =
            (0.0, 0.0, 0.0);
        let (mut known, mut decodes) = (true, 0.0);
        for &(request, tokens) in &scheduled {
            let entry = self.contexts.entry((step.run, request)).or_insert(Context::Unknown);
            let Context::Tokens(before) = *entry else {
                known = false;
                continue;
            };
            let after = before + tokens;
            *entry = Context::Tokens(after);
            // A decode is one token behind a context; a prompt's last chunk of one token is told by the counts below.
            if tokens <= 1.0 && before > 0.0 && decodes < step.decode_seqs && !admitted.contains(&request) {
                decodes += 1.0;
                shape.decode_context_tokens += after;
            } else {
                shape.prefill_context_tokens += after;
                shape.prefill_attention += tokens * after;
            }
        }
        let sum = shape.decode_context_tokens + shape.prefill_context_tokens;
        known &= (sum - total).abs() < 0.5 && (decodes - step.decode_seqs).abs() < 0.5;
        self.ambiguous += usize::from(!known);
        *step = shape;
        Ok(known)
    }

    /// What the log's contexts have beyond the tokens seen is the prefix hit of the one that was admitted.
    fn find_prefix_hits(&mut self, run: u32, scheduled: &[(u64, f64)], admitted: &[u64], total: f64) {
        let seen: f64 = scheduled
            .iter()
            .map(|&(request, tokens)| match self.contexts.get(&(run, request)) {
                Some(Context::Tokens(before)) => before + tokens,
                _ => f64::NAN,
            })
            .sum();
        let hit = total - seen;
        let unknown = hit.is_nan() || hit < -0.5;
        if hit.abs() < 0.5 {
            return;
        }
        for &request in admitted {
            let context = if unknown || admitted.len() > 1 { Context::Unknown } else { Context::Tokens(hit) };
            self.contexts.insert((run, request), context);
        }
    }
}

fn numbers(row: &Row<'_>, column: Column) -> Result<Vec<u64>, ReadError> {
    let items = row.text(column).split_ascii_whitespace();
    items
        .map(|item| item.parse().map_err(|_| row.wrong(column, "numbers of requests separated by blanks")))
        .collect()
}

fn pairs(row: &Row<'_>, column: Column) -> Result<Vec<(u64, f64)>, ReadError> {
    let pair = |item: &str| {
        let (request, tokens) = item.split_once(':')?;
        Some((request.parse().ok()?, f64::from(tokens.parse::<u32>().ok()?)))
    };
    let items = row.text(column).split_ascii_whitespace();
    items
        .map(|item| pair(item).ok_or_else(|| row.wrong(column, "`request:tokens` separated by blanks")))
        .collect()
}
