//! Medians, and the two small optimisers.

/// The median; NaN of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Quadratic near 0, linear far off: a tenth of error counts as much as an outlier of a hundredth.
pub(crate) fn robust(log_error: f64) -> f64 {
    const SCALE: f64 = 0.1;
    libm::sqrt(1.0 + (log_error / SCALE) * (log_error / SCALE)) - 1.0
}

/// Minimises by reflecting the worst corner of a simplex (Nelder and Mead 1965), from `start`, over `rounds` steps.
pub(crate) fn nelder_mead(
    start: &[f64],
    spread: f64,
    rounds: usize,
    cost: impl Fn(&[f64]) -> f64,
) -> Vec<f64> {
    let scored = |point: Vec<f64>| (cost(&point), point);
    let mut simplex = vec![scored(start.to_vec())];
    for axis in 0..start.len() {
        let mut corner = start.to_vec();
        corner[axis] += spread;
        simplex.push(scored(corner));
    }
    for _ in 0..rounds {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = simplex.len() - 1;
        let (best, second_worst, worst) = (simplex[0].0, simplex[last - 1].0, simplex[last].0);
        let away = |factor: f64| -> Vec<f64> {
            let along = |axis: usize| {
                let center = simplex[..last].iter().map(|corner| corner.1[axis]).sum::<f64>() / last as f64;
                center + factor * (center - simplex[last].1[axis])
            };
            (0..start.len()).map(along).collect()
        };
        let reflected = scored(away(1.0));
        let found = if reflected.0 < best {
            let expanded = scored(away(2.0));
            if expanded.0 < reflected.0 { expanded } else { reflected }
        } else if reflected.0 < second_worst {
            reflected
        } else {
            let inside = scored(away(-0.5));
            if inside.0 < worst {
                inside
            } else {
                let anchor = simplex[0].1.clone();
                for corner in &mut simplex[1..] {
                    let shrunk = corner.1.iter().zip(&anchor).map(|(x, a)| f64::midpoint(*x, *a)).collect();
                    *corner = scored(shrunk);
                }
                continue;
            }
        };
        simplex[last] = found;
    }
    simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
    simplex.swap_remove(0).1
}

/// Solves `a x = b` by elimination with pivots; `None` if singular.
pub(crate) fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()))?;
        if a[pivot][column].abs() < 1e-12 {
            return None;
        }
        a.swap(column, pivot);
        b.swap(column, pivot);
        for row in column + 1..n {
            let factor = a[row][column] / a[column][column];
            let (upper, lower) = a.split_at_mut(row);
            for (value, above) in lower[0].iter_mut().zip(&upper[column]).skip(column) {
                *value -= factor * above;
            }
            b[row] -= factor * b[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| a[row][k] * b[k]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valley_is_found() {
        let rosenbrock =
            |x: &[f64]| 100.0 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]) + (1.0 - x[0]) * (1.0 - x[0]);
        let found = nelder_mead(&[-1.2, 1.0], 0.5, 400, rosenbrock);
        assert!((found[0] - 1.0).abs() < 1e-4 && (found[1] - 1.0).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn three_equations() {
        let a = vec![vec![0.0, 2.0, 1.0], vec![1.0, 1.0, 1.0], vec![2.0, 0.0, -1.0]];
        let x = solve(a, vec![7.0, 6.0, -1.0]).expect("regular");
        assert!(x.iter().zip([1.0, 2.0, 3.0]).all(|(x, y): (&f64, f64)| (x - y).abs() < 1e-12), "{x:?}");
        assert!(solve(vec![vec![1.0, 1.0], vec![2.0, 2.0]], vec![1.0, 2.0]).is_none());
    }
}
