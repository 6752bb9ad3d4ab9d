//! The autocorrelated series with a decaying start on which reference values for MSER-5, batch means and quantiles
//! were computed independently (in Python, to more digits), and those values.

use super::{batch_means, mser5, quantile_type7};

struct Series {
    n: usize,
    seed: u64,
    phi: f64,
    mu: f64,
    bias: f64,
    decay: f64,
}

impl Series {
    /// `x_i = mu + bias decay^i + y_i`, where y is autoregressive with uniform noise from a congruential generator.
    fn values(&self) -> Vec<f64> {
        let (mut state, mut y, mut transient) = (self.seed, 0.0, self.bias);
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
            y = self.phi * y + (uniform - 0.5);
            let x = self.mu + transient + y;
            transient *= self.decay;
            x
        };
        (0..self.n).map(next).collect()
    }
}

const RISING: Series = Series { n: 500, seed: 1, phi: 0.6, mu: 5.0, bias: -4.0, decay: 0.97 };
const FALLING: Series = Series { n: 2000, seed: 7, phi: 0.9, mu: 2.0, bias: 3.0, decay: 0.99 };
const STATIONARY: Series = Series { n: 1000, seed: 3, phi: 0.2, mu: 1.0, bias: 0.0, decay: 1.0 };

#[test]
fn mser5_cuts_where_the_reference_cuts() {
    let rising = mser5(&RISING.values()).unwrap();
    assert_eq!((rising.truncation, rising.at_bound), (90, false));
    let falling = mser5(&FALLING.values()).unwrap();
    assert!((falling.truncated_mean - 1.986_638_208_623_672_7).abs() < 1e-10, "{falling:?}");
    assert_eq!(mser5(&STATIONARY.values()).unwrap().truncation, 0);
}

#[test]
fn batch_means_are_the_reference() {
    let rising = batch_means(&RISING.values(), 20, 0.95).unwrap();
    assert!((rising.interval.half_width - 0.321_663_692_847_478_64).abs() < 1e-8);
    let stationary = batch_means(&STATIONARY.values(), 20, 0.95).unwrap();
    assert!((stationary.interval.mean - 1.010_312_264_196_851_2).abs() < 1e-10);
    assert!((stationary.interval.half_width - 0.023_186_991_140_632_38).abs() < 1e-8);
    assert_eq!((stationary.means.len(), stationary.batch_size), (20, 50));
    assert_eq!(batch_means(&[1.0, 2.0], 3, 0.95), None);
}

#[test]
fn quantiles_are_the_reference() {
    for (series, p, expected) in [
        (RISING, 0.5, 4.913_108_332_092_518),
        (RISING, 0.95, 5.473_421_038_410_493_5),
        (FALLING, 0.5, 2.052_357_229_858_044),
        (FALLING, 0.99, 4.442_534_967_927_432),
    ] {
        assert!((quantile_type7(&series.values(), p).unwrap() - expected).abs() < 1e-10, "{p}");
    }
}
