//! Compensated summation: long products of rates are sums of logarithms, whose error must not grow with their number.

/// A running sum after Neumaier (1974): its error does not grow with the number of terms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, term: f64) {
        let next = self.total + term;
        self.lost += if self.total.abs() >= term.abs() {
            (self.total - next) + term
        } else {
            (term - next) + self.total
        };
        self.total = next;
    }

    pub(crate) fn value(self) -> f64 {
        self.total + self.lost
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::default();
        for term in terms {
            sum.add(term);
        }
        sum
    }
}

/// Multiplies all weights by a factor.
pub(crate) fn scale(weights: &mut [f64], factor: f64) {
    for weight in weights {
        *weight *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn small_terms_survive_large_ones() {
        let sum: Sum = [1e16, 1.0, 1.0, -1e16].into_iter().collect();
        assert!((sum.value() - 2.0).abs() < 1e-15);
    }
}
