//! CSV of engine steps: kendall's own `steps.csv`, or any table with such columns.
//!
//! | column | | meaning |
//! |---|---|---|
//! | `step_s` or `step_s_median`, or `start_s` and `end_s` | required | how long the step took, or its instants |
//! | `prefill_tokens`, `decode_seqs` | required | tokens of prompts, decoding sequences |
//! | `decode_context_tokens` or `decode_ctx_tokens`, or `context_tokens_per_seq` | one of them | context behind the decodes |
//! | `prefill_context_tokens`, `prefill_attention`, `new_seqs` | optional | the rest of the batch shape |
//! | `prefill_seqs` | optional | prompts in the step: what `new_seqs` and contexts are taken from otherwise |
//! | `scheduled`, `admitted`, `preempted`, `context_tokens` | optional | kendall's own: the shape is rebuilt from them |
//! | `run` | optional | steps of different runs are no neighbours |
//! | `gpu`, `model`, `engine`, `engine_version`, `tp` | optional | the server |

use super::Format;
use super::table::{Column, Row, Table};
use crate::error::ReadError;
use crate::measured::{CaveatKind, Measured};
use crate::rebuild::Rebuild;
use crate::steps::{MeasuredStep, ServerFacts, StepLog};

pub(crate) fn recognises(header: &[&str]) -> bool {
    let has = |name: &str| header.contains(&name);
    let timed = has("step_s") || has("step_s_median") || (has("start_s") && has("end_s"));
    timed && has("prefill_tokens") && has("decode_seqs")
}

/// How long a step took.
enum Timed {
    By(Column),
    Between(Column, Column),
}

impl Timed {
    /// A header that looks right at a glance may lack them: `step_s"` is another name.
    fn of(table: &Table<'_>) -> Result<Self, ReadError> {
        match (table.column(&["start_s"]), table.column(&["end_s"])) {
            (Some(start), Some(end)) if table.column(&DURATIONS).is_none() => Ok(Self::Between(start, end)),
            _ => table.required(&DURATIONS, "how long a step took").map(Self::By),
        }
    }
}

const DURATIONS: [&str; 2] = ["step_s", "step_s_median"];

struct Columns {
    timed: Timed,
    run: Option<Column>,
    prefill_tokens: Column,
    decode_seqs: Column,
    decode_context: Option<Column>,
    context_per_seq: Option<Column>,
    prefill_context: Option<Column>,
    prefill_attention: Option<Column>,
    prefill_seqs: Option<Column>,
    new_seqs: Option<Column>,
}

impl Columns {
    fn of(table: &Table<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            timed: Timed::of(table)?,
            run: table.column(&["run", "replica"]),
            prefill_tokens: table.required(&["prefill_tokens"], "tokens of prompts")?,
            decode_seqs: table.required(&["decode_seqs"], "decoding sequences")?,
            decode_context: table.column(&["decode_context_tokens", "decode_ctx_tokens"]),
            context_per_seq: table.column(&["context_tokens_per_seq"]),
            prefill_context: table.column(&["prefill_context_tokens"]),
            prefill_attention: table.column(&["prefill_attention"]),
            prefill_seqs: table.column(&["prefill_seqs"]),
            new_seqs: table.column(&["new_seqs"]),
        })
    }
}

pub(crate) fn read(table: &Table<'_>) -> Result<Measured, ReadError> {
    let columns = Columns::of(table)?;
    if table.len() == 0 {
        return Err(table.no_rows());
    }
    let mut runs: Vec<&str> = Vec::new();
    let mut rebuild = Rebuild::of(table);
    let rebuilds = rebuild.is_some();
    let mut guessed = 0_usize;
    let mut log = StepLog { server: server(table)?, ..StepLog::default() };
    let rows: Vec<Row<'_>> = table.rows().collect();
    for row in &rows {
        let mut step = read_row(row, &columns)?;
        step.run = columns.run.map_or(0, |column| number_of_run(&mut runs, row.text(column)));
        let complete = match &mut rebuild {
            Some(rebuild) => rebuild.complete(row, &mut step)?,
            None => true,
        };
        guessed += usize::from(rebuild.is_none() && is_guessed(&step, &columns));
        if complete && step.prefill_tokens + step.decode_seqs > 0.0 {
            log.steps.push(step);
        }
    }
    let mut run = Measured::new(table.file, Format::StepLog);
    if let Some(left_out) = rebuild.map(|rebuild| rebuild.ambiguous).filter(|&n| n > 0) {
        let text = format!(
            "{left_out} steps whose contexts cannot be rebuilt (prefix hits of several requests) are left out"
        );
        run.warn(CaveatKind::ShapeIncomplete, text);
    }
    if columns.decode_context.is_none() && columns.context_per_seq.is_none() && !rebuilds {
        let text = "no column decode_context_tokens: contexts of decodes count as zero, and their cost is in other terms";
        run.warn(CaveatKind::ShapeIncomplete, text);
    }
    if guessed > 0 {
        let text = format!(
            "{guessed} of {} steps with prompts lack prefill_context_tokens or prefill_attention: each prompt is taken \
             as one chunk without cached tokens, prompts of one step as equally long",
            rows.len()
        );
        run.warn(CaveatKind::ShapeIncomplete, text);
    }
    run.setting.model.clone_from(&log.server.model);
    run.steps = Some(log);
    Ok(run)
}

fn number_of_run<'a>(runs: &mut Vec<&'a str>, name: &'a str) -> u32 {
    let known = runs.iter().rposition(|&run| run == name);
    let number = known.unwrap_or_else(|| {
        runs.push(name);
        runs.len() - 1
    });
    number as u32
}

fn is_guessed(step: &MeasuredStep, columns: &Columns) -> bool {
    step.prefill_tokens > 0.0 && (columns.prefill_context.is_none() || columns.prefill_attention.is_none())
}

fn read_row(row: &Row<'_>, columns: &Columns) -> Result<MeasuredStep, ReadError> {
    let amount = |column: Option<Column>| column.map_or(Ok(None), |column| row.amount(column));
    let duration_s = match columns.timed {
        Timed::By(duration) => row.required(duration)?,
        Timed::Between(start, end) => {
            let duration = row.required(end)? - row.required(start)?;
            if duration < 0.0 {
                return Err(row.wrong(end, "an instant not before start_s"));
            }
            duration
        }
    };
    let prefill_tokens = row.required(columns.prefill_tokens)?;
    let decode_seqs = row.required(columns.decode_seqs)?;
    let per_seq = amount(columns.context_per_seq)?;
    let decode_context = amount(columns.decode_context)?.or(per_seq.map(|context| context * decode_seqs));
    let default_seqs = if prefill_tokens > 0.0 { 1.0 } else { 0.0 };
    let prefill_seqs = amount(columns.prefill_seqs)?.unwrap_or(default_seqs);
    let per_prompt = prefill_tokens / prefill_seqs.max(1.0);
    Ok(MeasuredStep {
        run: 0,
        duration_s,
        prefill_tokens,
        prefill_context_tokens: amount(columns.prefill_context)?.unwrap_or(prefill_tokens),
        prefill_attention: amount(columns.prefill_attention)?.unwrap_or(prefill_tokens * per_prompt),
        decode_seqs,
        decode_context_tokens: decode_context.unwrap_or_default(),
        new_seqs: amount(columns.new_seqs)?.unwrap_or(prefill_seqs),
    })
}

/// From the first row: a log is of one server.
fn server(table: &Table<'_>) -> Result<ServerFacts, ReadError> {
    let Some(row) = table.rows().next() else { return Ok(ServerFacts::default()) };
    let text = |name: &str| {
        let cell = table.column(&[name]).map(|column| row.text(column))?;
        (!cell.is_empty()).then(|| cell.to_owned())
    };
    let engine_version = match (text("engine"), text("engine_version")) {
        (Some(engine), Some(version)) => Some(format!("{engine} {version}")),
        (engine, version) => version.or(engine),
    };
    let tensor_parallel_size = match table.column(&["tp", "tensor_parallel_size"]) {
        Some(column) => u32::try_from(row.count(column)?).ok().filter(|&tp| tp > 0),
        None => None,
    };
    Ok(ServerFacts { gpu: text("gpu"), model: text("model"), engine_version, tensor_parallel_size })
}
