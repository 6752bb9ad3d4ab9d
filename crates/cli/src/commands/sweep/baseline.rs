//! `--baseline KEY=VALUE`: the point that another is compared with, replication by replication.

use kendall_report::{FigureRow, MeanOverReplications};
use kendall_study::{FIGURES, Replications, needs_steady_state};
use kendall_theory::output::paired_interval;

use super::vary::Axis;

/// The baseline of each point, by number: the point whose named keys have the named values and whose other keys are the
/// same. `None` without a baseline.
pub(super) fn baselines(
    named: &[String],
    axes: &[Axis],
    points: &[Vec<String>],
) -> Result<Option<Vec<usize>>, String> {
    if named.is_empty() {
        return Ok(None);
    }
    let mut wanted: Vec<Option<String>> = vec![None; axes.len()];
    for text in named {
        let (key, value) = text.split_once('=').ok_or_else(|| format!("{text}: write it as KEY=VALUE"))?;
        let (key, value) = (key.trim(), value.trim());
        let place = axes.iter().position(|axis| axis.key == key).ok_or_else(|| {
            let keys: Vec<&str> = axes.iter().map(|axis| axis.key.as_str()).collect();
            format!("{text}: {key} is not varied: name one of {}", keys.join(", "))
        })?;
        let taken = &axes[place].values;
        let found = taken.iter().find(|known| same(known, value)).ok_or_else(|| {
            format!("{text}: {key} does not take this value: it takes {}", taken.join(", "))
        })?;
        wanted[place] = Some(found.clone());
    }
    let of = |point: &Vec<String>| {
        let target: Vec<&String> =
            point.iter().zip(&wanted).map(|(own, wanted)| wanted.as_ref().unwrap_or(own)).collect();
        points.iter().position(|other| other.iter().eq(target.iter().copied())).ok_or_else(|| {
            format!("no point has {}: with --paired, name the values of one point", named.join(" and "))
        })
    };
    points.iter().map(of).collect::<Result<_, _>>().map(Some)
}

/// Whether two texts are one value: 4 is 4.0.
fn same(a: &str, b: &str) -> bool {
    let numbers = a.parse::<f64>().ok().zip(b.parse::<f64>().ok());
    a == b || numbers.is_some_and(|(a, b)| a.total_cmp(&b).is_eq())
}

/// Every figure of a point less that of its baseline, over the replications that have both. `steady`: both points have a
/// steady state.
pub(super) fn differences(
    point: &Replications,
    baseline: &Replications,
    steady: bool,
    confidence: f64,
) -> Vec<FigureRow> {
    let row = |(place, figure): (usize, &kendall_study::Figure)| {
        let value = |run: &kendall_study::RunFigures| run.values.get(place).copied().flatten();
        let both = point.runs.iter().zip(&baseline.runs);
        let pairs: Vec<(f64, f64)> = both.filter_map(|(a, b)| value(a).zip(value(b))).collect();
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let n = a.len() as f64;
        let mean = (n > 0.0 && (steady || !needs_steady_state(figure.name))).then(|| MeanOverReplications {
            mean: a.iter().zip(&b).map(|(a, b)| a - b).sum::<f64>() / n,
            half_width: paired_interval(&a, &b, confidence).map(|interval| interval.half_width),
            confidence,
            replications: a.len() as u32,
        });
        FigureRow { name: figure.name, unit: figure.unit, main: figure.main, mean }
    };
    FIGURES.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::vary::points;
    use super::*;
    use kendall_study::RunFigures;

    #[test]
    fn a_key_of_the_baseline_is_compared_within_the_others() {
        let axes = ["a=1,2", "b=x,y,z"].map(|text| Axis::parse(text).expect("valid"));
        let grid = points(&axes, false).expect("small");
        let of = |named: &[&str]| {
            baselines(&named.iter().map(|&text| text.into()).collect::<Vec<_>>(), &axes, &grid)
        };
        assert_eq!(of(&["b=y"]), Ok(Some(vec![1, 1, 1, 4, 4, 4])));
        assert_eq!(of(&["b=x", "a=2.0"]), Ok(Some(vec![3; 6])));
        assert_eq!(of(&[]), Ok(None));
        for (named, part) in [("c=1", "not varied"), ("a=3", "it takes 1, 2"), ("a", "KEY=VALUE")] {
            assert!(of(&[named]).expect_err(named).contains(part));
        }
    }

    #[test]
    fn what_runs_share_cancels() {
        let replications = |offset: f64| Replications {
            runs: [3.0, 9.0, 4.0]
                .map(|noise| RunFigures {
                    num_requests: 1,
                    stalled: false,
                    drift: None,
                    values: vec![Some(noise + offset); FIGURES.len()],
                })
                .to_vec(),
            precise: None,
            antithetic: false,
        };
        let rows = differences(&replications(1.5), &replications(1.0), false, 0.95);
        let mean = rows[0].mean.expect("throughput needs no steady state");
        assert!((mean.mean - 0.5).abs() < 1e-12 && mean.half_width.expect("three runs") < 1e-12);
        assert!(rows.iter().find(|row| row.name == "mean_ttft_ms").expect("a figure").mean.is_none());
    }
}
