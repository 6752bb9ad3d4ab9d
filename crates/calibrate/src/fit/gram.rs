//! Sums of products of a least-squares problem: all that a fit needs of thousands of steps, and additive, so that a
//! resample of blocks costs one sum a block.

use super::terms::{TERMS, Vector, amounts};
use crate::steps::MeasuredStep;

/// `A'A`, `A'y` of weighted rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Gram {
    /// `A'A`.
    pub(crate) products: [Vector; TERMS],
    /// `A'y`.
    pub(crate) targets: Vector,
}

impl Gram {
    /// Adds a step with this weight on its squared error.
    pub(crate) fn add(&mut self, step: &MeasuredStep, weight: f64) {
        let row = amounts(step);
        for (i, left) in row.iter().enumerate() {
            self.targets[i] += weight * left * step.duration_s;
            for (product, right) in self.products[i].iter_mut().zip(&row) {
                *product += weight * left * right;
            }
        }
    }

    /// Adds the sums of a block.
    pub(crate) fn add_sums(&mut self, other: &Self) {
        for i in 0..TERMS {
            self.targets[i] += other.targets[i];
            for j in 0..TERMS {
                self.products[i][j] += other.products[i][j];
            }
        }
    }

    /// Takes away the sums of a block.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for i in 0..TERMS {
            rest.targets[i] -= other.targets[i];
            for j in 0..TERMS {
                rest.products[i][j] -= other.products[i][j];
            }
        }
        rest
    }
}
