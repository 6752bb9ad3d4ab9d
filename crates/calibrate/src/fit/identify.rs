//! What the steps can tell apart: condition indices and variance proportions of Belsley, Kuh and Welsch, Regression
//! Diagnostics (1980), chapter 3.
//!
//! With columns of unit length, the square root of the largest over a small eigenvalue of `A'A` is a condition index;
//! above 30 the authors speak of strong dependence, and the terms that have more than half of their variance in that
//! direction are those that the data mix up.

use serde::Serialize;

use super::gram::Gram;
use super::nnls::scales;
use super::terms::{TERMS, Term};

/// Condition index from which a dependence is strong, and the share of variance that makes a term part of it.
const STRONG_INDEX: f64 = 30.0;
const STRONG_SHARE: f64 = 0.5;

/// An eigenvalue of unit columns below this is rounding.
const SMALLEST_EIGENVALUE: f64 = 1e-13;

/// What the steps can tell apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Identification {
    /// Terms of which no step has any.
    pub absent: Vec<Term>,
    /// Groups of terms that the steps mix up, the strongest first.
    pub confounded: Vec<Confounded>,
    /// The largest condition index of the terms that were fitted.
    pub condition_index: f64,
}

/// Terms that grow together in every step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confounded {
    /// The terms.
    pub terms: Vec<Term>,
    /// Their condition index.
    pub condition_index: f64,
}

/// Looks at the `free` terms.
pub(crate) fn identify(gram: &Gram, free: [bool; TERMS]) -> Identification {
    let scale = scales(gram);
    let absent = Term::ALL.into_iter().filter(|&term| scale[term as usize] <= 0.0).collect();
    let columns: Vec<usize> = (0..TERMS).filter(|&i| free[i] && scale[i] > 0.0).collect();
    let matrix: Vec<Vec<f64>> = columns
        .iter()
        .map(|&i| columns.iter().map(|&j| gram.products[i][j] / (scale[i] * scale[j])).collect())
        .collect();
    let (values, vectors) = eigen(matrix);
    let values: Vec<f64> = values.into_iter().map(|value| value.max(SMALLEST_EIGENVALUE)).collect();
    let largest = values.iter().copied().fold(0.0, f64::max);
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut confounded = Vec::new();
    for &direction in &order {
        let condition_index = libm::sqrt(largest / values[direction]);
        if condition_index < STRONG_INDEX {
            break;
        }
        let terms = strong_terms(&columns, &values, &vectors, direction);
        if terms.len() > 1 {
            confounded.push(Confounded { terms, condition_index });
        }
    }
    let condition_index = order.first().map_or(1.0, |&smallest| libm::sqrt(largest / values[smallest]));
    Identification { absent, confounded, condition_index }
}

/// Terms with more than half of their variance in this direction.
fn strong_terms(columns: &[usize], values: &[f64], vectors: &[Vec<f64>], direction: usize) -> Vec<Term> {
    let share = |row: usize| {
        let part = |k: usize| vectors[row][k] * vectors[row][k] / values[k];
        part(direction) / (0..values.len()).map(part).sum::<f64>()
    };
    (0..columns.len()).filter(|&row| share(row) > STRONG_SHARE).map(|row| Term::ALL[columns[row]]).collect()
}

/// Eigenvalues and eigenvectors (as columns) of a small symmetric matrix, by Jacobi's rotations: Golub and Van Loan,
/// Matrix Computations, section 8.5.
fn eigen(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    const SWEEPS: usize = 60;
    let n = a.len();
    let mut v: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        if off < 1e-30 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, p, q);
            }
        }
    }
    ((0..n).map(|i| a[i][i]).collect(), v)
}

/// One rotation that makes `matrix[p][q]` zero.
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    if matrix[p][q].abs() < 1e-300 {
        return;
    }
    let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
    let tangent = theta.signum() / (theta.abs() + libm::sqrt(theta * theta + 1.0));
    let cosine = 1.0 / libm::sqrt(tangent * tangent + 1.0);
    let sine = tangent * cosine;
    let turned = |at_p: f64, at_q: f64| (cosine * at_p - sine * at_q, sine * at_p + cosine * at_q);
    for row in matrix.iter_mut().chain(vectors.iter_mut()) {
        (row[p], row[q]) = turned(row[p], row[q]);
    }
    let (above, below) = matrix.split_at_mut(q);
    for (at_p, at_q) in above[p].iter_mut().zip(&mut below[0]) {
        (*at_p, *at_q) = turned(*at_p, *at_q);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::MeasuredStep;

    #[test]
    fn eigenvalues_of_a_known_matrix() {
        // [[2, 1], [1, 2]] has 1 and 3; with a third, uncoupled direction, 5.
        let (mut values, vectors) =
            eigen(vec![vec![2.0, 1.0, 0.0], vec![1.0, 2.0, 0.0], vec![0.0, 0.0, 5.0]]);
        let length: f64 = vectors.iter().map(|row| row[0] * row[0]).sum();
        assert!((length - 1.0).abs() < 1e-12);
        values.sort_by(f64::total_cmp);
        assert!(values.iter().zip([1.0, 3.0, 5.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
    }

    /// Contexts of 100 tokens a sequence, always: sequences and contexts cannot be told apart, and the base can.
    #[test]
    fn a_context_that_grows_with_the_batch_is_named() {
        let mut gram = Gram::default();
        for seqs in [1.0, 2.0, 8.0, 32.0, 64.0] {
            gram.add(
                &MeasuredStep {
                    duration_s: 0.01,
                    decode_seqs: seqs,
                    decode_context_tokens: 100.0 * seqs,
                    ..MeasuredStep::default()
                },
                1.0,
            );
        }
        let found = identify(&gram, [true; TERMS]);
        assert_eq!(found.confounded[0].terms, [Term::DecodeSeq, Term::DecodeContextToken]);
        assert_eq!(
            found.absent,
            [Term::PrefillToken, Term::PrefillContextToken, Term::PrefillAttention, Term::NewSeq]
        );
        let mut free = [true; TERMS];
        free[Term::DecodeContextToken as usize] = false;
        let found = identify(&gram, free);
        assert!(found.confounded.is_empty() && found.condition_index < 5.0, "{found:?}");
    }
}
