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

/// A chance so small that, divided by, it would leave the range of numbers. Lower states that are left for with it have no mass
/// that could be told from none.
const NEVER: f64 = 1e-200;

/// Stationary law of a stochastic matrix, without subtraction: Grassmann, Taksar & Heyman 1985.
pub(super) fn stationary(mut p: Vec<Vec<f64>>) -> Vec<f64> {
    let n = p.len();
    // The lowest state that is ever come back to.
    let mut base = 0;
    for k in (1..n).rev() {
        let (head, tail) = p.split_at_mut(k);
        let row = &tail[0];
        let out: f64 = row[..k].iter().sum();
        if out < NEVER {
            // Nobody comes here, or who comes never goes lower.
            if head.iter().any(|other| other[k] > 0.0) {
                base = k;
                break;
            }
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
    chance[base] = 1.0;
    for k in base + 1..n {
        let reach = p[k][..k].iter().sum::<f64>() > 0.0;
        chance[k] = if reach { (base..k).map(|i| chance[i] * p[i][k]).sum() } else { 0.0 };
        // Far up in a chain that hardly ever comes down chances leave the range of numbers: only their ratios count.
        if chance[k] > 1.0 / NEVER {
            chance[base..=k].iter_mut().for_each(|c| *c *= NEVER);
        }
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

    #[test]
    fn a_chain_may_climb_beyond_the_range_of_numbers() {
        // Up with 1 - 1e-10, down with 1e-10: each state has 1e10 times the mass of the one before.
        let n = 60;
        let (up, down) = (1.0 - 1e-10, 1e-10);
        let to = |i: usize| if i == 0 { (0, 1) } else { (i - 1, (i + 1).min(n - 1)) };
        let row = |i: usize| {
            let mut row = vec![0.0; n];
            row[to(i).0] += down;
            row[to(i).1] += up;
            row
        };
        let law = stationary((0..n).map(row).collect());
        assert!((law[n - 1] - (1.0 - 1e-10)).abs() < 1e-12 && law[0] == 0.0, "{law:?}");
    }

    #[test]
    fn what_is_never_come_back_to_has_no_mass() {
        // From state 2 down the chance is 1e-300; above it 2 and 3 exchange mass evenly. State 1 is never entered.
        let law = stationary(vec![
            vec![0.0, 0.0, 1.0, 0.0],
            vec![0.0; 4],
            vec![1e-300, 0.0, 0.5, 0.5],
            vec![0.0, 0.0, 0.5, 0.5],
        ]);
        assert!((law[2] - 0.5).abs() < 1e-14 && (law[3] - 0.5).abs() < 1e-14, "{law:?}");
    }
}
