//! Where the time of single requests went, for people and for programs.

mod words;

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table};
use kendall_des::{SimDuration, SimTime};
use kendall_serving::RequestStatus;
use kendall_serving::anatomy::{Anatomy, LatencyPart, LatencyParts};
use serde_json::{Map, Value, json};

use crate::number::{percent, significant, whole};
use crate::paint::{Screen, sparkline};
use crate::table::facts_table;

/// Characters of a bar, at most.
const BAR: usize = 40;
/// Columns of the picture of when requests were sent.
const COLUMNS: usize = 50;
/// Characters of a line before the bar.
const BEFORE_BAR: usize = 62;

/// Requests taken apart.
pub struct ExplainReport<'a> {
    /// Name of the scenario.
    pub name: &'a str,
    /// Seed of the random numbers.
    pub seed: u64,
    /// KV blocks of a replica that requests can use.
    pub usable_blocks: u32,
    /// When the run ended.
    pub end: SimTime,
    /// The requests: in the order in which they are shown.
    pub requests: &'a [Anatomy],
}

fn ms(duration: SimDuration) -> String {
    significant(Some(duration.as_millis_f64()))
}

fn share(part: SimDuration, whole: SimDuration) -> f64 {
    if whole == SimDuration::ZERO { 0.0 } else { part.as_ps() as f64 / whole.as_ps() as f64 }
}

/// The terminal colour of a part: waiting is yellow and red, work is green and blue.
fn colour(part: LatencyPart) -> u8 {
    match part {
        LatencyPart::FrontEnd | LatencyPart::StepBoundary => 7,
        LatencyPart::SeatWait | LatencyPart::BudgetWait | LatencyPart::RuleWait => 3,
        LatencyPart::KvWait | LatencyPart::Preempted | LatencyPart::Recompute => 1,
        LatencyPart::Prefill => 2,
        LatencyPart::Decode => 4,
        LatencyPart::ChunkInterference => 5,
        LatencyPart::Sharing => 6,
    }
}

fn word(status: RequestStatus) -> &'static str {
    match status {
        RequestStatus::Finished => "finished",
        RequestStatus::Aborted => "given up by its client",
        RequestStatus::Rejected => "rejected",
        RequestStatus::Unfinished => "unfinished when the run ended",
    }
}

impl ExplainReport<'_> {
    /// Each request in words and as bars.
    pub fn to_text(&self, screen: Screen) -> String {
        let blocks: Vec<_> = self.requests.iter().map(|request| self.request(request, screen)).collect();
        blocks.join("\n")
    }

    fn request(&self, anatomy: &Anatomy, screen: Screen) -> String {
        let record = &anatomy.record;
        let mut text = screen.bold(&format!(
            "request {} of {}, seed {}: {} prompt tokens, {} output tokens, {}",
            whole(record.index),
            self.name,
            self.seed,
            whole(record.num_prompt_tokens.into()),
            whole(record.num_output_tokens.into()),
            word(record.status)
        ));
        let ttft =
            record.ttft().map_or_else(|| "no first token".into(), |ttft| format!("TTFT {} ms", ms(ttft)));
        let _ = writeln!(text, "\n{ttft}, {} ms in all\n", ms(anatomy.sojourn()));
        text.push_str(&parts_table(&anatomy.to_first_token, &anatomy.whole(), screen));
        let _ = writeln!(text, "\n{}", words::tell(anatomy, self.usable_blocks, screen.width));
        text
    }

    /// A line a request, and where the time of all of them went.
    pub fn to_list(&self, screen: Screen) -> String {
        let mut table = facts_table();
        table.set_header([
            "request",
            "sent (s)",
            "TTFT (ms)",
            "E2E (ms)",
            "preempted",
            "most of its time",
            "share",
        ]);
        let mut sum = (LatencyParts::default(), LatencyParts::default());
        for anatomy in self.requests {
            let (record, whole_life) = (&anatomy.record, anatomy.whole());
            let largest = largest(&whole_life);
            table.add_row([
                whole(record.index),
                significant(Some(record.arrival.as_secs_f64())),
                record.ttft().map_or_else(|| "-".into(), ms),
                record.e2e().map_or_else(|| "-".into(), ms),
                record.num_preemptions.to_string(),
                largest.name().to_owned(),
                percent(Some(share(whole_life.get(largest), whole_life.total()))),
            ]);
            sum = (sum.0.and(&anatomy.to_first_token), sum.1.and(&whole_life));
        }
        for column in [0, 1, 2, 3, 4, 6] {
            align_right(&mut table, column);
        }
        let mut text = format!("{}\n\n{}\n", table.trim_fmt(), self.when());
        let n = self.requests.len() as u64;
        if let Some(n) = std::num::NonZeroU64::new(n) {
            let _ = writeln!(text, "\n{}", screen.bold(&format!("mean of these {n} requests")));
            text.push_str(&mean_table(&sum.0, &sum.1, n.get(), screen));
        }
        text
    }

    /// When the requests were sent: all at once, or all along?
    fn when(&self) -> String {
        let mut counts = [0; COLUMNS];
        let end_ps = self.end.as_ps().max(1);
        for anatomy in self.requests {
            let column = u128::from(anatomy.record.arrival.as_ps()) * COLUMNS as u128 / u128::from(end_ps);
            counts[(column as usize).min(COLUMNS - 1)] += 1;
        }
        format!("sent: 0 s |{}| {} s", sparkline(&counts), significant(Some(self.end.as_secs_f64())))
    }

    /// One object; parts in picoseconds, so that they sum exactly.
    pub fn to_json(&self) -> Value {
        let requests: Vec<Value> = self.requests.iter().map(request_json).collect();
        json!({"scenario": self.name, "seed": self.seed, "requests": requests})
    }
}

fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The part that takes longest; of equals the first.
fn largest(parts: &LatencyParts) -> LatencyPart {
    let [first, rest @ ..] = LatencyPart::ALL;
    rest.into_iter()
        .fold(first, |largest, part| if parts.get(part) > parts.get(largest) { part } else { largest })
}

fn parts_table(to_first_token: &LatencyParts, whole_life: &LatencyParts, screen: Screen) -> String {
    mean_table(to_first_token, whole_life, 1, screen)
}

/// Sums over `n` requests as means. Parts that took no time are left out.
fn mean_table(to_first_token: &LatencyParts, whole_life: &LatencyParts, n: u64, screen: Screen) -> String {
    let mean = |duration: SimDuration| significant(Some(duration.as_millis_f64() / n as f64));
    let total = whole_life.total();
    let cells = screen.width.saturating_sub(BEFORE_BAR).clamp(8, BAR);
    let mut table = facts_table();
    table.set_header(["part", "TTFT (ms)", "all (ms)", "share", ""]);
    for part in LatencyPart::ALL.into_iter().filter(|&part| whole_life.get(part) > SimDuration::ZERO) {
        let share = share(whole_life.get(part), total);
        table.add_row([
            part.name().to_owned(),
            mean(to_first_token.get(part)),
            mean(whole_life.get(part)),
            percent(Some(share)),
            screen.bar(share, cells, colour(part)),
        ]);
    }
    table.add_row(["sum", &mean(to_first_token.total()), &mean(total), "", ""]);
    for column in 1..4 {
        align_right(&mut table, column);
    }
    format!("{}\n", table.trim_fmt())
}

fn parts_json(parts: &LatencyParts) -> Value {
    let name = |part: LatencyPart| match serde_json::to_value(part) {
        Ok(Value::String(name)) => name,
        _ => part.name().to_owned(),
    };
    Value::Object(
        LatencyPart::ALL
            .into_iter()
            .map(|part| (name(part), json!(parts.get(part).as_ps())))
            .collect::<Map<_, _>>(),
    )
}

fn request_json(anatomy: &Anatomy) -> Value {
    let record = &anatomy.record;
    json!({
        "request": record.index,
        "replica": record.replica,
        "status": record.status,
        "arrival_s": record.arrival.as_secs_f64(),
        "prompt_tokens": record.num_prompt_tokens,
        "output_tokens": record.num_output_tokens,
        "preemptions": record.num_preemptions,
        "lost_tokens": record.num_lost_tokens,
        "ttft_ps": record.ttft().map(SimDuration::as_ps),
        "sojourn_ps": anatomy.sojourn().as_ps(),
        "ttft_parts_ps": parts_json(&anatomy.to_first_token),
        "front_end_parts_ps": json!({
            "receipt": anatomy.front_end.receipt.as_ps(),
            "tokenising": anatomy.front_end.tokenising.as_ps(),
            "streaming": anatomy.front_end.streaming.as_ps(),
            "held_up": anatomy.front_end.held_up.as_ps(),
        }),
        "sojourn_parts_ps": parts_json(&anatomy.whole()),
        "steps": anatomy.num_steps,
        "steps_with_prompt_chunks_of_others": anatomy.num_steps_with_chunks,
        "mean_batch_size": mean_batch_size(anatomy),
    })
}

fn mean_batch_size(anatomy: &Anatomy) -> Option<f64> {
    (anatomy.num_steps > 0).then(|| anatomy.sum_of_batch_sizes as f64 / anatomy.num_steps as f64)
}
