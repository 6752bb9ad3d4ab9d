//! Non-negative least squares on a Gram matrix: Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23, in
//! the form of Bro and de Jong, Journal of Chemometrics 11 (1997), which needs `A'A` and `A'y` alone.
//!
//! A coefficient below zero would let a step get shorter by more work; the constraint is physics, not taste. Own code
//! because seven unknowns need no library, and because libraries of linear algebra choose their arithmetic by
//! processor, which would give other last digits on other machines.

use super::gram::Gram;
use super::terms::{TERMS, Vector};

/// Multiple of a column's size below which a pivot says that the column is a combination of the others.
const RANK_TOLERANCE: f64 = 1e-10;

/// A gradient below this share of the target's size is none.
const GRADIENT_TOLERANCE: f64 = 1e-10;

/// More exchanges than any problem of seven columns needs: each strictly lowers the sum of squares over 2^7 sets.
const MAX_EXCHANGES: usize = 512;

/// Minimises the sum of squares over the `free` terms at or above zero; the others stay at `fixed`.
pub(crate) fn solve(gram: &Gram, free: [bool; TERMS], fixed: &Vector) -> Vector {
    let scale = scales(gram);
    let (products, targets) = scaled(gram, &scale, free, fixed);
    let mut x = [0.0; TERMS];
    let mut passive = [false; TERMS];
    for _ in 0..MAX_EXCHANGES {
        let gradient = gradient(&products, &targets, &x);
        let largest = targets.iter().fold(0.0_f64, |size, target| size.max(target.abs()));
        let candidate = (0..TERMS)
            .filter(|&i| {
                free[i] && !passive[i] && scale[i] > 0.0 && gradient[i] > GRADIENT_TOLERANCE * largest
            })
            .max_by(|&i, &j| gradient[i].total_cmp(&gradient[j]));
        let Some(entering) = candidate else { break };
        passive[entering] = true;
        if !restore_feasibility(&products, &targets, &mut passive, &mut x, entering) {
            break;
        }
    }
    let mut solution = *fixed;
    for i in (0..TERMS).filter(|&i| free[i]) {
        solution[i] = if scale[i] > 0.0 { x[i] / scale[i] } else { 0.0 };
    }
    solution
}

/// Solves on the passive set, giving back to zero whatever would fall below it. Whether the entering column stayed.
fn restore_feasibility(
    products: &[Vector; TERMS],
    targets: &Vector,
    passive: &mut [bool; TERMS],
    x: &mut Vector,
    entering: usize,
) -> bool {
    for _ in 0..MAX_EXCHANGES {
        let Some(unconstrained) = solve_passive(products, targets, *passive) else {
            // A combination of columns already in: it explains nothing more.
            passive[entering] = false;
            return false;
        };
        let blocked = (0..TERMS).filter(|&i| passive[i] && unconstrained[i] <= 0.0);
        let step = blocked.map(|i| x[i] / (x[i] - unconstrained[i])).fold(f64::INFINITY, f64::min);
        if step.is_infinite() {
            *x = unconstrained;
            return true;
        }
        let step = if step.is_nan() { 0.0 } else { step };
        for i in 0..TERMS {
            if !passive[i] {
                continue;
            }
            x[i] += step * (unconstrained[i] - x[i]);
            if x[i] <= 1e-14 {
                (x[i], passive[i]) = (0.0, false);
            }
        }
        if passive.iter().all(|&is_passive| !is_passive) {
            return false;
        }
    }
    false
}

/// Length of each column: with unit columns a pivot says how much is new in one.
pub(crate) fn scales(gram: &Gram) -> Vector {
    std::array::from_fn(|i| libm::sqrt(gram.products[i][i].max(0.0)))
}

/// Unit columns, and targets less what the fixed terms explain.
fn scaled(gram: &Gram, scale: &Vector, free: [bool; TERMS], fixed: &Vector) -> ([Vector; TERMS], Vector) {
    let divide = |value: f64, by: f64| if by > 0.0 { value / by } else { 0.0 };
    let products =
        std::array::from_fn(|i| std::array::from_fn(|j| divide(gram.products[i][j], scale[i] * scale[j])));
    let targets = std::array::from_fn(|i| {
        let explained: f64 = (0..TERMS).filter(|&j| !free[j]).map(|j| gram.products[i][j] * fixed[j]).sum();
        divide(gram.targets[i] - explained, scale[i])
    });
    (products, targets)
}

fn gradient(products: &[Vector; TERMS], targets: &Vector, x: &Vector) -> Vector {
    std::array::from_fn(|i| targets[i] - products[i].iter().zip(x).map(|(a, x)| a * x).sum::<f64>())
}

/// Cholesky on the passive columns; `None` where one is a combination of those before it.
fn solve_passive(products: &[Vector; TERMS], targets: &Vector, passive: [bool; TERMS]) -> Option<Vector> {
    let columns: Vec<usize> = (0..TERMS).filter(|&i| passive[i]).collect();
    let n = columns.len();
    let mut lower = [[0.0; TERMS]; TERMS];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = products[columns[i]][columns[j]] - known;
            if i == j {
                if rest <= RANK_TOLERANCE {
                    return None;
                }
                lower[i][i] = libm::sqrt(rest);
            } else {
                lower[i][j] = rest / lower[j][j];
            }
        }
    }
    let mut y = [0.0; TERMS];
    for i in 0..n {
        let known: f64 = (0..i).map(|k| lower[i][k] * y[k]).sum();
        y[i] = (targets[columns[i]] - known) / lower[i][i];
    }
    let mut x = [0.0; TERMS];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| lower[k][i] * x[columns[k]]).sum();
        x[columns[i]] = (y[i] - known) / lower[i][i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::steps::MeasuredStep;

    fn gram(steps: &[MeasuredStep]) -> Gram {
        let mut gram = Gram::default();
        for step in steps {
            gram.add(step, 1.0 / (step.duration_s * step.duration_s));
        }
        gram
    }

    fn step(amounts: [u16; 6], duration_s: f64) -> MeasuredStep {
        let [
            prefill_tokens,
            prefill_context_tokens,
            prefill_attention,
            decode_seqs,
            decode_context_tokens,
            new_seqs,
        ] = amounts.map(f64::from);
        MeasuredStep {
            run: 0,
            duration_s,
            prefill_tokens,
            prefill_context_tokens,
            prefill_attention,
            decode_seqs,
            decode_context_tokens,
            new_seqs,
        }
    }

    /// 4 steps, duration = 2 + 3 * seqs exactly, and one column that could only help below zero.
    #[test]
    fn exact_data_are_met_exactly() {
        let steps: Vec<_> =
            [1_u16, 2, 4, 8].map(|seqs| step([0, 0, 0, seqs, 0, 0], 2.0 + 3.0 * f64::from(seqs))).to_vec();
        let x = solve(&gram(&steps), [true; TERMS], &[0.0; TERMS]);
        assert!((x[0] - 2.0).abs() < 1e-9 && (x[4] - 3.0).abs() < 1e-9, "{x:?}");
        assert!(x[1].abs() + x[2].abs() + x[3].abs() + x[5].abs() + x[6].abs() < 1e-12, "{x:?}");
    }

    /// The unconstrained slope is -1: the constrained fit is the weighted mean. With weights 1 / y^2, minimising
    /// sum ((c - y) / y)^2 over y = 3, 2 gives c = (1/3 + 1/2) / (1/9 + 1/4).
    #[test]
    fn a_negative_slope_becomes_zero() {
        let steps = [step([0, 0, 0, 1, 0, 0], 3.0), step([0, 0, 0, 2, 0, 0], 2.0)];
        let x = solve(&gram(&steps), [true; TERMS], &[0.0; TERMS]);
        assert!((x[0] - (5.0 / 6.0) / (13.0 / 36.0)).abs() < 1e-9 && x[4].abs() < 1e-12, "{x:?}");
    }

    #[test]
    fn a_fixed_term_is_taken_off_first() {
        let steps: Vec<_> = [1_u16, 2, 4]
            .map(|seqs| step([0, 0, 0, seqs, 10 * seqs, 0], 2.0 + 3.0 * f64::from(seqs)))
            .to_vec();
        let mut free = [true; TERMS];
        free[5] = false;
        let mut fixed = [0.0; TERMS];
        fixed[5] = 0.1;
        let x = solve(&gram(&steps), free, &fixed);
        assert!(
            (x[0] - 2.0).abs() < 1e-9 && (x[4] - 2.0).abs() < 1e-9 && (x[5] - 0.1).abs() < 1e-12,
            "{x:?}"
        );
    }

    proptest! {
        /// The Karush-Kuhn-Tucker conditions, which only the minimum meets: x >= 0, gradient <= 0 where x = 0, and
        /// gradient = 0 where x > 0.
        #[test]
        fn the_solution_meets_the_optimality_conditions(
            rows in prop::collection::vec((prop::array::uniform6(0_u16..200), 0.001_f64..1.0), 8..40)
        ) {
            let steps: Vec<_> = rows.into_iter().map(|(amounts, duration)| step(amounts, duration)).collect();
            let gram = gram(&steps);
            let x = solve(&gram, [true; TERMS], &[0.0; TERMS]);
            let scale = scales(&gram);
            let (products, targets) = scaled(&gram, &scale, [true; TERMS], &[0.0; TERMS]);
            let z = std::array::from_fn(|i| x[i] * scale[i]);
            let gradient = gradient(&products, &targets, &z);
            let size = targets.iter().fold(1e-12_f64, |size, target| size.max(target.abs()));
            for i in 0..TERMS {
                prop_assert!(x[i] >= 0.0 && x[i].is_finite());
                prop_assert!(gradient[i] <= 1e-6 * size, "{i}: {gradient:?} {x:?}");
                prop_assert!(x[i] <= 0.0 || gradient[i].abs() <= 1e-6 * size, "{i}: {gradient:?} {x:?}");
            }
        }
    }
}
