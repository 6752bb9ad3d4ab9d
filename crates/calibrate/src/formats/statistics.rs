//! Aggregates as the tools lay them out: flat keys (`p99_ttft_ms`) or objects (`{"mean": ..., "p99": ...}`).

use serde_json::Value;

use crate::error::ReadError;
use crate::node::Node;
use crate::summary::{Quantile, Statistic};

/// Milliseconds, in seconds.
pub(crate) const MS: f64 = 1e-3;
/// Nanoseconds, in seconds.
pub(crate) const NS: f64 = 1e-9;

/// `{mean, std, min, max, p50, ...}`: whatever of it a tool writes, under the spellings that tools have, times
/// `unit_s`.
pub(crate) fn from_object(node: &Node<'_>, unit_s: f64) -> Result<Option<Statistic>, ReadError> {
    let mut statistic = Statistic::default();
    let Some(object) = node.value().as_object() else { return Err(node.wrong("an object of statistics")) };
    for name in object.keys() {
        let Some(value) = node.get(name) else { continue };
        let slot = match name.as_str() {
            "mean" | "avg" => &mut statistic.mean,
            "std" | "stddev" | "std_dev" => &mut statistic.std,
            "min" => &mut statistic.min,
            "max" => &mut statistic.max,
            other => {
                if let Some(percent) = percent_of(other) {
                    statistic.quantiles.push(Quantile { percent, value: value.duration(unit_s)? });
                }
                continue;
            }
        };
        *slot = Some(value.duration(unit_s)?);
    }
    Ok(completed(statistic))
}

/// Flat keys: `mean_{metric}`, `p99_{metric}`, ... on `node`, times `unit_s`.
pub(crate) fn from_flat_keys(
    node: &Node<'_>,
    metric: &str,
    unit_s: f64,
) -> Result<Option<Statistic>, ReadError> {
    let mut statistic = Statistic::default();
    for name in node.value().as_object().into_iter().flat_map(serde_json::Map::keys) {
        let Some(head) = name.strip_suffix(metric).and_then(|head| head.strip_suffix('_')) else { continue };
        let Some(value) = node.get(name) else { continue };
        let slot = match head {
            "mean" => &mut statistic.mean,
            "std" => &mut statistic.std,
            "min" => &mut statistic.min,
            "max" => &mut statistic.max,
            other => {
                if let Some(percent) = percent_of(other) {
                    statistic.quantiles.push(Quantile { percent, value: value.duration(unit_s)? });
                }
                continue;
            }
        };
        *slot = Some(value.duration(unit_s)?);
    }
    Ok(completed(statistic))
}

/// `p99`, `p99.9`, `p99p9`, `p0.1`, `median`.
pub(crate) fn percent_of(name: &str) -> Option<f64> {
    if name == "median" {
        return Some(50.0);
    }
    let digits = name.strip_prefix('p')?.replace('p', ".");
    let starts_well = digits.starts_with(|c: char| c.is_ascii_digit());
    digits.parse().ok().filter(|percent| starts_well && (0.0..=100.0).contains(percent))
}

/// Sorts the quantiles and drops the second of two equal ones (`median` and `p50`); `None` if nothing is known.
fn completed(mut statistic: Statistic) -> Option<Statistic> {
    statistic.quantiles.sort_by(|a, b| a.percent.total_cmp(&b.percent));
    statistic.quantiles.dedup_by(|a, b| (a.percent - b.percent).abs() < 1e-9);
    (statistic != Statistic::default()).then_some(statistic)
}

/// Whether every name is a member of the object.
pub(crate) fn has_all(value: &Value, names: &[&str]) -> bool {
    names.iter().all(|name| value.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_percentage() {
        for (name, percent) in [
            ("p50", Some(50.0)),
            ("p99.9", Some(99.9)),
            ("p99p9", Some(99.9)),
            ("p0p1", Some(0.1)),
            ("median", Some(50.0)),
            ("p", None),
            ("pinf", None),
            ("p101", None),
            ("mode", None),
        ] {
            assert_eq!(percent_of(name), percent, "{name}");
        }
    }
}
