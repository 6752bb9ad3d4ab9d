//! Small dense matrices of probabilities, without subtraction: relative accuracy survives stiffness.

/// Adds `share` times row `from` to row `into`; `from` comes first.
pub(super) fn add_row(matrix: &mut [f64], width: usize, into: usize, from: usize, share: f64) {
    let (head, tail) = matrix.split_at_mut(into * width);
    for (x, y) in tail[..width].iter_mut().zip(&head[from * width..(from + 1) * width]) {
        *x += share * y;
    }
}

/// Product of matrices by rows, `inner` columns on the left and `width` on the right.
pub(super) fn multiply(left: &[f64], right: &[f64], inner: usize, width: usize) -> Vec<f64> {
    let rows = left.len() / inner;
    let mut product = vec![0.0; rows * width];
    for i in 0..rows {
        for k in 0..inner {
            let l = left[i * inner + k];
            if l > 0.0 {
                for j in 0..width {
                    product[i * width + j] += l * right[k * width + j];
                }
            }
        }
    }
    product
}

/// `(I - P)^-1` for a substochastic matrix whose rows miss `leaves`, without subtraction: Grassmann, Taksar & Heyman.
pub(super) fn expected_visits(moves: &[f64], leaves: &[f64]) -> Vec<f64> {
    let n = leaves.len();
    let mut p = moves.to_vec();
    let mut out = leaves.to_vec();
    // Right-hand sides: the unit matrix.
    let mut x = vec![0.0; n * n];
    for i in 0..n {
        x[i * n + i] = 1.0;
    }
    let mut pivots = vec![0.0; n];
    for k in (0..n).rev() {
        // What leaves k for states not yet eliminated, or for good.
        let pivot = p[k * n..k * n + k].iter().sum::<f64>() + out[k];
        pivots[k] = pivot;
        for i in 0..k {
            let share = p[i * n + k] / pivot;
            if share > 0.0 {
                for j in 0..k {
                    p[i * n + j] += share * p[k * n + j];
                }
                out[i] += share * out[k];
                for j in 0..n {
                    x[i * n + j] += share * x[k * n + j];
                }
            }
        }
    }
    for k in 0..n {
        for i in 0..k {
            let share = p[k * n + i];
            if share > 0.0 {
                for j in 0..n {
                    x[k * n + j] += share * x[i * n + j];
                }
            }
        }
        for j in 0..n {
            x[k * n + j] /= pivots[k];
        }
    }
    x
}

/// Stationary law of a stochastic matrix, without subtraction: Grassmann, Taksar & Heyman 1985.
pub(super) fn stationary(mut p: Vec<Vec<f64>>) -> Vec<f64> {
    let n = p.len();
    for k in (1..n).rev() {
        let (head, tail) = p.split_at_mut(k);
        let row = &tail[0];
        let out: f64 = row[..k].iter().sum();
        if out <= 0.0 {
            continue;
        }
        for other in head.iter_mut() {
            let share = other[k] / out;
            other[k] = share;
            if share > 0.0 {
                for (x, y) in other[..k].iter_mut().zip(&row[..k]) {
                    *x += share * y;
                }
            }
        }
    }
    let mut chance = vec![0.0; n];
    chance[0] = 1.0;
    for k in 1..n {
        let reach = p[k][..k].iter().sum::<f64>() > 0.0;
        chance[k] = if reach { (0..k).map(|i| chance[i] * p[i][k]).sum() } else { 0.0 };
    }
    let total: f64 = chance.iter().sum();
    chance.iter().map(|x| x / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_are_the_inverse() {
        // I - P = [[0.5, -0.3], [-0.2, 0.9]]: determinant 0.39.
        let visits = expected_visits(&[0.5, 0.3, 0.2, 0.1], &[0.2, 0.7]);
        for (x, y) in visits.iter().zip([0.9, 0.3, 0.2, 0.5]) {
            assert!((x - y / 0.39).abs() < 1e-14, "{visits:?}");
        }
    }

    #[test]
    fn stationary_law_of_a_stiff_chain() {
        // Two states that exchange mass at 1e-18 and 2e-18: shares 2/3 and 1/3, which subtraction would lose.
        let law = stationary(vec![vec![1.0, 1e-18], vec![2e-18, 1.0]]);
        assert!((law[0] - 2.0 / 3.0).abs() < 1e-14, "{law:?}");
    }
}
