//! `--parameter-uncertainty`: what the errors of the step times' parameters add to a capacity.

use std::fmt::Write as _;

use kendall_serving::SimulationConfig;
use kendall_serving::scenario::Resolved;
use kendall_study::Workers;
use kendall_study::capacity::{Answer, DRAW_RUNS, Find, Moved, Question, capacity_of_draws};
use serde_json::json;

use super::text::number;
use super::{Failure, search_failure};
use crate::commands::uncertainty::known;
use crate::progress::{Counts, StudyProgress, interrupt_flag};
use crate::scenario_file::ScenarioFile;
use crate::study::ScenarioWorkloads;

/// Capacity under draws of the parameters.
pub(super) struct CapacityUncertainty {
    words: String,
    draws: u32,
    find: Find,
    /// The answers, by rising number; draws without one are left out.
    answers: Vec<Moved>,
}

/// What a question's draws need.
pub(super) struct CapacityDraws<'a> {
    pub file: &'a ScenarioFile,
    pub resolved: &'a Resolved,
    pub question: &'a Question<'a>,
    pub answer: &'a Answer,
    pub workloads: &'a ScenarioWorkloads<'a>,
    pub workers: &'a Workers,
    pub draws: u32,
    pub seed: u64,
    pub quiet: bool,
}

impl CapacityDraws<'_> {
    /// Moves the answer to every draw.
    pub(super) fn play(&self) -> Result<CapacityUncertainty, Failure> {
        let uncertainty = known(self.resolved)?;
        let draws: Vec<SimulationConfig> =
            (0..self.draws).map(|draw| uncertainty.draw(self.question.simulation, self.seed, draw)).collect();
        // The server as it is plays too.
        let searches = u64::from(self.draws + 1) * u64::from(DRAW_RUNS);
        let progress = StudyProgress::new(Counts::Searches, Some(searches), self.quiet, interrupt_flag());
        let moved =
            capacity_of_draws(self.question, self.answer, &draws, self.workloads, self.workers, &progress);
        progress.clear();
        let find = self.question.find;
        let mut answers: Vec<Moved> =
            moved.map_err(|error| search_failure(self.file, error))?.into_iter().flatten().collect();
        answers.sort_by(|a, b| a.middle(find).total_cmp(&b.middle(find)));
        Ok(CapacityUncertainty { words: uncertainty.words(), draws: self.draws, find, answers })
    }
}

impl CapacityUncertainty {
    /// The lowest and the highest answer, as single numbers.
    fn middles(&self) -> Option<(f64, f64)> {
        Some((self.answers.first()?.middle(self.find), self.answers.last()?.middle(self.find)))
    }

    /// From the lower end of the lowest answer to the upper end of the highest.
    fn interval(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.answers.first()?, self.answers.last()?);
        Some((first.good.min(first.bad), last.good.max(last.bad)))
    }

    pub(super) fn to_text(&self, answer: &Answer) -> String {
        let mut text = format!("\nParameters: {}; {} draws\n", self.words, self.draws);
        let (Some((low, high)), Some(ends)) = (self.middles(), self.interval()) else {
            text.push_str("None of them has an answer.\n");
            return text;
        };
        let unit = match self.find {
            Find::Rate => "req/s",
            Find::Concurrency => "clients",
            Find::Replicas => "replicas",
        };
        let as_they_are = answer
            .good
            .zip(answer.bad)
            .map(|(good, bad)| Moved { good, bad }.middle(self.find))
            .map_or("no answer".into(), number);
        let _ = writeln!(
            text,
            "The answer lies between {} and {} {unit} in {} of them ({as_they_are} with the parameters as they are).",
            number(low),
            number(high),
            self.answers.len()
        );
        if self.find == Find::Rate {
            let _ = writeln!(
                text,
                "With the sampling error of both ends: between {} and {} {unit}.",
                number(ends.0),
                number(ends.1)
            );
        }
        text
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let answers: Vec<f64> = self.answers.iter().map(|moved| moved.middle(self.find)).collect();
        json!({
            "source": self.words,
            "draws": self.draws,
            "answers": answers,
            "interval": self.interval(),
        })
    }
}
