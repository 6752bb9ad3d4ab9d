//! How far the figures of one run are estimates of a steady state: the verdict on its queue, an interval for each latency,
//! or why there is none.

use std::fmt::Write as _;

use kendall_theory::output::{Interval, PERCENTILES, RunIntervals, Verdict};
use serde_json::{Map, Value, json};

use crate::estimates::significant_share;
use crate::number::{significant, whole};
use crate::paint::{Mood, Screen};

/// Statistics with intervals, in the order of [`RunIntervals`].
const STATISTICS: [&str; 1 + PERCENTILES.len()] = ["mean", "p50", "p90", "p95", "p99"];
/// Latencies in the order of reports, with their titles.
pub(crate) const LATENCIES: [(&str, &str); 5] =
    [("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL"), ("e2el", "E2E"), ("queue", "queue")];

/// What one run says about the steady state.
#[derive(Debug, Clone)]
pub struct SteadyState {
    /// The verdict on the queue.
    pub verdict: Verdict,
    /// What it rests on.
    pub reason: String,
    /// Arrivals over what device time serves at most.
    pub load: Option<Interval>,
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Intervals in milliseconds of TTFT, TPOT, ITL, E2E and queueing; `None` where tokens of several replicas mix.
    pub intervals: [Option<RunIntervals>; 5],
}

/// One end below, one above.
type Ends = (f64, f64);

impl SteadyState {
    /// Whether a latency grows with the length of a run whose queue grows.
    fn grows(latency: &str) -> bool {
        !matches!(latency, "tpot" | "itl")
    }

    /// Whether a latency has a meaning: of an overloaded server one that grows with the length of the run has none.
    pub(crate) fn shows(&self, latency: &str) -> bool {
        !(self.verdict.is_overloaded() && Self::grows(latency))
    }

    /// The intervals of a latency in the order of [`STATISTICS`], or why there are none.
    fn of(&self, place: usize) -> [Result<Ends, String>; 5] {
        let none = |reason: &str| std::array::from_fn(|_| Err(reason.to_owned()));
        match self.verdict {
            Verdict::Transient { .. } => {
                return none(
                    "a transient: the figures describe the requests of this run, not a steady state",
                );
            }
            Verdict::Overloaded { .. } if Self::grows(LATENCIES[place].0) => {
                return none("overloaded: it grows with the length of the run");
            }
            Verdict::NearCapacity { .. } if Self::grows(LATENCIES[place].0) => {
                return none(
                    "near capacity: it is not known whether there is a steady state; the figures describe this run",
                );
            }
            _ => {}
        }
        let Some(intervals) = &self.intervals[place] else {
            return none(
                "tokens of several replicas come in no common order: --replications 10 gives intervals",
            );
        };
        let mut ends = none("");
        ends[0] = intervals.mean.map(|mean| (mean.low().max(0.0), mean.high())).map_err(|no| no.to_string());
        for (end, percentile) in ends[1..].iter_mut().zip(&intervals.percentiles) {
            *end = percentile.map(|interval| (interval.low, interval.high)).map_err(|no| no.to_string());
        }
        ends
    }

    /// The cells of a table's row under a latency: an interval each, or a dash; `None` if there is no interval at all.
    pub(crate) fn row(&self, place: usize) -> Option<Vec<String>> {
        let ends = self.of(place);
        let cell = |ends: &Result<Ends, String>| match ends {
            Ok((low, high)) => format!("{}..{}", significant(Some(*low)), significant(Some(*high))),
            Err(_) => "-".into(),
        };
        ends.iter().any(Result::is_ok).then(|| {
            let title = format!("  {} %", significant_share(self.confidence));
            [title, String::new()].into_iter().chain(ends.iter().map(cell)).chain([String::new()]).collect()
        })
    }

    /// What stands below the table: where the intervals come from, and why some are missing, reason by reason.
    pub(crate) fn notes(&self, observed: [u64; 5]) -> String {
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        let mut add = |what: String, reason: String| match reasons.iter_mut().find(|known| known.0 == reason)
        {
            Some(known) => known.1.push(what),
            None => reasons.push((reason, vec![what])),
        };
        let mut some = false;
        for (place, (_, title)) in LATENCIES.into_iter().enumerate().filter(|&(place, _)| observed[place] > 0)
        {
            let ends = self.of(place);
            some |= ends.iter().any(Result::is_ok);
            let all_alike = ends.windows(2).all(|pair| pair[0].is_err() && pair[0] == pair[1]);
            if let (true, Err(reason)) = (all_alike, &ends[0]) {
                add(title.to_owned(), reason.clone());
                continue;
            }
            for (statistic, ends) in STATISTICS.into_iter().zip(ends) {
                if let Err(reason) = ends {
                    add(format!("{title} {statistic}"), reason);
                }
            }
        }
        let mut text = String::new();
        if some {
            let warm_up = self.intervals[0].and_then(|ttft| ttft.warm_up.ok());
            let warm_up = warm_up.map(|n| format!(", without the first {} as warm-up (MSER)", whole(n)));
            let _ = writeln!(
                text,
                "{} % intervals of the steady state by batches of this run{}; a largest value has none",
                significant_share(self.confidence),
                warm_up.unwrap_or_default()
            );
        }
        for (reason, what) in reasons {
            let _ = writeln!(text, "no interval for {}: {reason}", what.join(", "));
        }
        text
    }

    /// The verdict in a line.
    pub(crate) fn line(&self, screen: Screen) -> String {
        let mood = match self.verdict {
            Verdict::Overloaded { .. } => Mood::Bad,
            Verdict::NearCapacity { .. } | Verdict::Transient { .. } => Mood::Mixed,
            Verdict::Stable { .. } | Verdict::Bounded => Mood::Good,
        };
        format!("queue: {}: {}\n", screen.mood(mood, self.verdict.word()), self.reason)
    }

    /// The warning that goes with the verdict.
    pub(crate) fn warning(&self) -> Option<String> {
        match self.verdict {
            Verdict::Overloaded { .. } => Some(format!(
                "OVERLOADED: {}. There is no steady state, so TTFT, E2E, queue and goodput are left out; --transient shows those \
                 of these requests",
                self.reason
            )),
            Verdict::NearCapacity { .. } => Some(format!(
                "NEAR CAPACITY: {}: TTFT, E2E and queue of a longer run may be larger",
                self.reason
            )),
            Verdict::Stable { .. } | Verdict::Transient { .. } | Verdict::Bounded => None,
        }
    }

    /// `stability` of `summary.json`.
    pub(crate) fn verdict_json(&self) -> Value {
        json!({
            "verdict": self.verdict.word(),
            "reason": self.reason,
            "growth_per_s": self.verdict.growth_per_s(),
            "load": self.load,
        })
    }

    /// `intervals` of `summary.json`: `{low, high}` or `{none: why}` under the name of each figure.
    pub(crate) fn intervals_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("confidence".into(), json!(self.confidence));
        for (place, (latency, _)) in LATENCIES.into_iter().enumerate() {
            let warm_up = self.intervals[place].and_then(|intervals| intervals.warm_up.ok());
            fields.insert(format!("warm_up_{latency}"), json!(warm_up));
            for (statistic, ends) in STATISTICS.into_iter().zip(self.of(place)) {
                let value = match ends {
                    Ok((low, high)) => json!({ "low": low, "high": high }),
                    Err(reason) => json!({ "none": reason }),
                };
                fields.insert(format!("{statistic}_{latency}_ms"), value);
            }
        }
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use kendall_theory::output::RunBatches;

    use super::*;

    fn steady(verdict: Verdict) -> SteadyState {
        let values: Vec<u64> = (0..5_000).map(|i| 40_000_000 + i * 7_919 % 1_000 * 1_000).collect();
        let intervals = RunBatches::of_values(&values).intervals(0.95, 1e6);
        SteadyState {
            verdict,
            reason: "because".into(),
            load: None,
            confidence: 0.95,
            intervals: [Some(intervals), Some(intervals), None, Some(intervals), Some(intervals)],
        }
    }

    #[test]
    fn every_statistic_has_an_interval_or_a_reason() {
        let bounded = steady(Verdict::Bounded);
        let json = bounded.intervals_json();
        let [low, high] = ["low", "high"].map(|end| json["mean_ttft_ms"][end].as_f64().unwrap());
        assert!(low < 40.4995 && 40.4995 < high && high - low < 0.1, "{json}");
        for (latency, _) in LATENCIES {
            for statistic in STATISTICS {
                let value = &json[format!("{statistic}_{latency}_ms")];
                assert!(
                    value["low"].is_number() != value["none"].is_string(),
                    "{statistic} {latency}: {value}"
                );
            }
        }
        assert!(json["p99_itl_ms"]["none"].as_str().unwrap().contains("several replicas"));
        let notes = bounded.notes([5_000; 5]);
        assert!(notes.contains("no interval for ITL: tokens") && notes.contains("95 % intervals"), "{notes}");
        assert_eq!(bounded.row(0).unwrap().len(), 8);
        assert_eq!(bounded.row(2), None);
    }

    #[test]
    fn an_overloaded_run_has_no_latency_that_grows() {
        let overloaded = steady(Verdict::Overloaded { growth_per_s: None, by_load_bound: true });
        assert_eq!(LATENCIES.map(|(name, _)| overloaded.shows(name)), [false, true, true, false, false]);
        assert!(overloaded.row(0).is_none() && overloaded.row(1).is_some());
        assert!(overloaded.warning().unwrap().starts_with("OVERLOADED"));
        let near = steady(Verdict::NearCapacity { growth_per_s: None });
        assert!(near.shows("ttft") && near.row(0).is_none() && near.row(1).is_some());
        let transient = steady(Verdict::Transient { growth_per_s: None });
        assert!((0..5).all(|place| transient.row(place).is_none()));
        assert!(transient.notes([1; 5]).contains("TTFT, TPOT, ITL, E2E, queue: a transient"));
    }
}
