//! `kendall explain`

use std::path::Path;
use std::process::ExitCode;

use kendall_report::ExplainReport;
use kendall_serving::anatomy::{Anatomist, Ranking, RequestChoice};

use crate::args::{ExplainArgs, ExplainBy};
use crate::exit::{Failure, print};
use crate::terminal;

use super::replay::Replay;

pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let (path, numbers) = source_and_numbers(&args.run_and_requests)?;
    let choice = match args.worst {
        Some(most) => RequestChoice::worst(most as usize, ranking(args.by)),
        None if numbers.is_empty() => {
            let message = "name requests by number (column `request` of requests.csv), or pick the tail with --worst 10";
            return Err(Failure::Invalid(message.into()));
        }
        None => RequestChoice::numbers(numbers),
    };
    let replay = Replay::open(path, &args.set, args.seed)?;
    let (end, choice) = replay.play(choice)?;
    let (records, missing) = choice.finish();
    if let Some(missing) = missing.first() {
        return Err(Failure::Invalid(format!(
            "request {missing} is not in the run: its requests are 0 to {}",
            end.num_arrived.saturating_sub(1)
        )));
    }
    replay.check(&records)?;
    let (_, anatomist) = replay.play(Anatomist::new(&replay.resolved.simulation, records))?;
    let requests = anatomist.finish();
    let report = ExplainReport {
        name: &replay.file.name,
        seed: replay.seed,
        usable_blocks: replay.resolved.simulation.engine.usable_blocks(),
        end: end.end,
        requests: &requests,
    };
    let screen = terminal::screen();
    print(&if args.json {
        format!("{:#}\n", report.to_json())
    } else if args.worst.is_some() {
        report.to_list(screen)
    } else {
        report.to_text(screen)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn ranking(by: ExplainBy) -> Ranking {
    match by {
        ExplainBy::Ttft => Ranking::Ttft,
        ExplainBy::Tpot => Ranking::Tpot,
        ExplainBy::E2el => Ranking::E2e,
    }
}

/// Numbers are requests; what is no number, and comes first, is the run.
fn source_and_numbers(words: &[String]) -> Result<(Option<&Path>, Vec<u64>), Failure> {
    let (source, numbers) = match words.split_first() {
        Some((first, rest)) if first.parse::<u64>().is_err() => (Some(Path::new(first)), rest),
        _ => (None, words),
    };
    let number = |word: &String| {
        word.parse().map_err(|_| {
            Failure::Invalid(format!(
                "`{word}` is no number of a request: write `kendall explain [RUN] NUMBER...`"
            ))
        })
    };
    Ok((source, numbers.iter().map(number).collect::<Result<_, _>>()?))
}
