//! Distributions against their own moments, against the distribution functions of `statrs`, and against the digest of
//! their first draws, which must be the same on every machine.

use statrs::distribution::ContinuousCDF;

use super::*;
use crate::{Purpose, Streams};

const N: u64 = 100_000;

fn families() -> Vec<(&'static str, Distribution)> {
    let table: Vec<_> = (1..=5).map(|i| (f64::from(i) * 10.0, f64::from(i))).collect();
    vec![
        ("constant", Distribution::constant(3.5).unwrap()),
        ("uniform", Distribution::uniform(-1.0, 4.0).unwrap()),
        ("exponential", Distribution::exponential(0.25).unwrap()),
        ("normal", Distribution::normal(512.0, 256.0).unwrap()),
        ("lognormal", Distribution::log_normal(256.0, 0.55).unwrap()),
        ("gamma", Distribution::gamma(2.5, 3.0).unwrap()),
        ("gamma below 1", Distribution::gamma(0.3, 3.0).unwrap()),
        ("weibull", Distribution::weibull(0.7, 2.0).unwrap()),
        ("pareto", Distribution::pareto(4.5, 10.0).unwrap()),
        ("empirical", Distribution::empirical(&table).unwrap()),
        ("truncated", Distribution::bounded_normal(100.0, 80.0, (16.0, 300.0), Outside::Truncate).unwrap()),
        ("far tail", Distribution::bounded_normal(0.0, 1.0, (9.0, 11.0), Outside::Truncate).unwrap()),
        ("clipped", Distribution::bounded_normal(100.0, 80.0, (16.0, 300.0), Outside::Clip).unwrap()),
        (
            "clipped lognormal",
            Distribution::bounded_log_normal(256.0, 1.5, (1.0, 2048.0), Outside::Clip).unwrap(),
        ),
        (
            "truncated lognormal",
            Distribution::bounded_log_normal(256.0, 1.5, (64.0, 2048.0), Outside::Truncate).unwrap(),
        ),
        ("zipf", Distribution::zipf(1.2, 1_000).unwrap()),
    ]
}

fn draws(distribution: &Distribution, n: u64) -> Vec<f64> {
    let mut stream = Streams::new(42, 0).stream(Purpose(9));
    (0..n).map(|entity| distribution.sample(&mut stream.entity(entity))).collect()
}

#[test]
fn samples_have_the_stated_moments() {
    for (name, distribution) in families() {
        let sample = draws(&distribution, N);
        let mean = sample.iter().sum::<f64>() / N as f64;
        let variance = sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / N as f64;
        let (exact_mean, exact_variance) = (distribution.mean().unwrap(), distribution.variance().unwrap());
        let tolerance = 5.0 * (exact_variance / N as f64).sqrt();
        assert!((mean - exact_mean).abs() <= tolerance, "{name}: mean {mean}, exactly {exact_mean}");
        assert!(
            (variance - exact_variance).abs() <= 0.15 * exact_variance,
            "{name}: variance {variance}, exactly {exact_variance}"
        );
    }
}

/// Kolmogorov-Smirnov at 100,000 draws; 1.95 / sqrt(n) is exceeded with probability 0.001.
#[test]
fn samples_follow_the_independent_distribution_functions() {
    use statrs::distribution::{Exp, Gamma, LogNormal, Normal, Pareto, Uniform, Weibull};
    type Cdf = Box<dyn Fn(f64) -> f64>;
    let references: Vec<(&str, Cdf)> = vec![
        ("uniform", Box::new(|x| Uniform::new(-1.0, 4.0).unwrap().cdf(x))),
        ("exponential", Box::new(|x| Exp::new(4.0).unwrap().cdf(x))),
        ("normal", Box::new(|x| Normal::new(512.0, 256.0).unwrap().cdf(x))),
        ("lognormal", Box::new(|x| LogNormal::new(libm::log(256.0), 0.55).unwrap().cdf(x))),
        ("gamma", Box::new(|x| Gamma::new(2.5, 1.0 / 3.0).unwrap().cdf(x))),
        ("gamma below 1", Box::new(|x| Gamma::new(0.3, 1.0 / 3.0).unwrap().cdf(x))),
        ("weibull", Box::new(|x| Weibull::new(0.7, 2.0).unwrap().cdf(x))),
        ("pareto", Box::new(|x| Pareto::new(10.0, 4.5).unwrap().cdf(x))),
        (
            "truncated",
            Box::new(|x| {
                let normal = Normal::new(100.0, 80.0).unwrap();
                (normal.cdf(x) - normal.cdf(16.0)) / (normal.cdf(300.0) - normal.cdf(16.0))
            }),
        ),
        (
            "far tail",
            Box::new(|x| {
                let normal = Normal::new(0.0, 1.0).unwrap();
                (normal.sf(9.0) - normal.sf(x)) / (normal.sf(9.0) - normal.sf(11.0))
            }),
        ),
        (
            "truncated lognormal",
            Box::new(|x| {
                let law = LogNormal::new(libm::log(256.0), 1.5).unwrap();
                (law.cdf(x) - law.cdf(64.0)) / (law.cdf(2048.0) - law.cdf(64.0))
            }),
        ),
    ];
    let families = families();
    for (name, cdf) in references {
        let (_, distribution) = families.iter().find(|(n, _)| *n == name).unwrap();
        let mut sample = draws(distribution, N);
        sample.sort_by(f64::total_cmp);
        let distance = sample.iter().enumerate().map(|(i, &x)| {
            let f = cdf(x);
            (f - i as f64 / N as f64).max((i + 1) as f64 / N as f64 - f)
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.95 / (N as f64).sqrt(), "{name}: Kolmogorov-Smirnov distance {distance}");
    }
}

/// The first draws of each family as bits. A change here changes every published result: it needs a line under
/// *Results changed* in CHANGELOG.md.
#[test]
fn first_draws_are_the_same_bits_everywhere() {
    let digest = |distribution: &Distribution| {
        draws(distribution, 1_000).iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, x| {
            (hash ^ x.to_bits()).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let digests: Vec<_> = families().iter().map(|(name, d)| format!("{name} {:016x}", digest(d))).collect();
    assert_eq!(digests, DIGESTS, "the digests of first draws changed");
}

const DIGESTS: [&str; 16] = [
    "constant fc233b178b17a745",
    "uniform c4d5dcbb99f7d5f1",
    "exponential 44d7e3a6bb758645",
    "normal 0bb8877d3d630da1",
    "lognormal 6c5fd4834e39982f",
    "gamma 1617f37284651789",
    "gamma below 1 ce81062daede638a",
    "weibull 9db8d06a0393c1d0",
    "pareto 5faebdbc5297dde4",
    "empirical 18b43b178b17a745",
    "truncated a2d2f2a566041c36",
    "far tail 85f4ed7b85b2e9da",
    "clipped 16bf485301c5f38a",
    "clipped lognormal a363f15086836e7d",
    "truncated lognormal 37f4cfa53cc76517",
    "zipf 357363178b17a745",
];

/// The inverse of `statrs`' distribution function, from the far lower to the far upper tail.
#[test]
fn gamma_quantiles_invert_the_distribution_function() {
    use statrs::distribution::Gamma;
    for shape in [0.05, 0.3, 1.0, 2.5, 40.0, 2_000.0] {
        let reference = Gamma::new(shape, 1.0).unwrap();
        let distribution = Distribution::gamma(shape, 1.0).unwrap();
        for u in [1e-9, 1e-4, 0.01, 0.3, 0.5, 0.9, 0.999, 1.0 - 1e-9] {
            let x = distribution.quantile(u);
            // Near 0 the distribution function is a power, which the reference takes for 0.
            let power = libm::pow(x, shape) / libm::tgamma(shape + 1.0);
            let back = if x < 1e-12 { power } else { reference.cdf(x) };
            assert!((back - u).abs() < 1e-9 * u, "shape {shape}: u {u} became {x} and {back}");
        }
        let unit = |i: u32| distribution.quantile(f64::from(i) / 1_000.0);
        assert!((1..999).all(|i| unit(i) <= unit(i + 1)), "shape {shape}: quantiles decrease");
    }
}

/// Chi-square over the first ranks of Zipf's law; 99.9 % of samples stay below 44.3 with 19 degrees of freedom.
#[test]
fn zipf_has_its_frequencies() {
    let (exponent, ranks) = (1.2, 1_000);
    let distribution = Distribution::zipf(exponent, ranks).unwrap();
    let total: f64 = (1..=ranks).map(|k| libm::pow(f64::from(k), -exponent)).sum();
    let sample = draws(&distribution, N);
    let mut chi_square = 0.0;
    let mut rest = (N as f64, N as f64);
    for k in 1..=19_u32 {
        let expected = N as f64 * libm::pow(f64::from(k), -exponent) / total;
        let found = sample.iter().filter(|&&x| (x - f64::from(k)).abs() < 0.5).count() as f64;
        chi_square += (found - expected) * (found - expected) / expected;
        rest = (rest.0 - expected, rest.1 - found);
    }
    chi_square += (rest.1 - rest.0) * (rest.1 - rest.0) / rest.0;
    assert!(chi_square < 44.3, "chi-square {chi_square}");
}

#[test]
fn the_normal_quantile_matches_published_values() {
    for (u, z) in [
        (0.5, 0.0),
        (0.975, 1.959_963_984_540_054),
        (0.001, -3.090_232_306_167_813_5),
        (1e-12, -7.034_483_825_301_131),
    ] {
        assert!((standard_normal_quantile(u) - z).abs() < 1e-12, "at {u}");
    }
}

#[test]
fn parameters_outside_their_domain_are_errors() {
    assert!(Distribution::exponential(0.0).is_err());
    assert!(Distribution::gamma(-1.0, 1.0).is_err());
    assert!(Distribution::log_normal(f64::NAN, 1.0).is_err());
    assert!(Distribution::uniform(2.0, 1.0).is_err());
    assert!(Distribution::bounded_normal(0.0, 1.0, (2.0, 1.0), Outside::Clip).is_err());
    assert!(Distribution::bounded_normal(0.0, 1.0, (50.0, 51.0), Outside::Truncate).is_err());
    assert!(Distribution::zipf(1.0, 0).is_err());
    assert!(Distribution::empirical(&[]).is_err());
    assert!(Distribution::empirical(&[(1.0, -1.0)]).is_err());
    assert_eq!(Distribution::pareto(0.9, 1.0).unwrap().mean(), None);
}
