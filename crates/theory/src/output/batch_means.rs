//! Batch means with a given number of batches: one long run cut into pieces that are nearly independent.
//!
//! The number of batches is the caller's.

use super::interval::{Interval, t_interval};

/// Means of equal, adjacent batches, and the interval that they give.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchMeans {
    /// Mean of each batch, in order.
    pub means: Vec<f64>,
    /// Observations in each batch.
    pub batch_size: usize,
    /// Interval of the mean over all batches.
    pub interval: Interval,
}

/// Nonoverlapping batch means with `batches` batches of `values.len() / batches` observations; a remainder at the end
/// is left out. Law & Kelton, section 9.5.3.
///
/// `None` below two batches, with fewer values than batches, or where [`t_interval`] has none.
pub fn batch_means(values: &[f64], batches: usize, confidence: f64) -> Option<BatchMeans> {
    let batch_size = values.len().checked_div(batches).filter(|&size| size > 0)?;
    let mean = |batch: &[f64]| batch.iter().sum::<f64>() / batch_size as f64;
    let means: Vec<f64> = values.chunks_exact(batch_size).take(batches).map(mean).collect();
    let interval = t_interval(&means, confidence)?;
    Some(BatchMeans { means, batch_size, interval })
}
