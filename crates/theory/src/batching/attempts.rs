//! Arrivals that try their luck one after the other: each is accepted if the KV cache still holds it.

use super::kernels::cumulate;
use super::services::Services;

/// Probabilities below this are left out.
const NEGLIGIBLE: f64 = 1e-10;

/// `tries[j][r]`: law of the reserved KV after `j` attempts, as increments from `r`.
pub(super) fn attempts(size: &[f64], most: usize) -> Vec<Vec<Vec<f64>>> {
    let points = size.len();
    let fits = cumulate(size);
    let largest = size.iter().rposition(|&f| f > NEGLIGIBLE).unwrap_or(0);
    let mut tries = vec![(0..points).map(|_| vec![1.0]).collect::<Vec<Vec<f64>>>()];
    for _ in 0..most {
        let before = &tries[tries.len() - 1];
        let next = (0..points)
            .map(|r| {
                let old = &before[r];
                let mut law = vec![0.0; (old.len() + largest).min(points - r)];
                for (i, &p) in old.iter().enumerate().filter(|x| *x.1 > 0.0) {
                    law[i] += p * (1.0 - fits[points - 1 - r - i]);
                    for (into, f) in law[i..].iter_mut().zip(&size[..=largest]) {
                        *into += p * f;
                    }
                }
                law
            })
            .collect();
        tries.push(next);
    }
    tries
}

/// For a service of size `s` that starts with `r >= s` reserved: law of what is reserved after its departure, by `r - s`,
/// as increments from `r - s`.
pub(super) fn after_service(services: &Services, tries: &[Vec<Vec<f64>>], s: usize) -> Vec<Vec<f64>> {
    let counts = services.exactly(s);
    if counts.is_empty() {
        return Vec::new();
    }
    (s..services.points())
        .map(|r| {
            let mut law = vec![0.0; tries[counts.len() - 1][r].len()];
            for (j, &p) in counts.iter().enumerate() {
                for (into, q) in law.iter_mut().zip(&tries[j][r]) {
                    *into += p * q;
                }
            }
            law
        })
        .collect()
}
