//! What a measured server says about the parts of its roofline: a factor on each.
//!
//! A linear model fitted to a server whose prompts came from the prefix cache says nothing of prompts that did not. A
//! roofline with factors keeps its bends where nothing was measured.

use serde::{Deserialize, Serialize};

/// Factors on the parts of a roofline step; 1 is the roofline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrections {
    /// On what every step takes whatever its batch: launches and the engine's own time.
    pub fixed: f64,
    /// On products, norms and all-reduce: everything that sees tokens one by one.
    pub tokens: f64,
    /// On what each sequence costs: sampling, the output layer, its row of attention.
    pub sequences: f64,
    /// On reading the KV cache.
    pub context: f64,
    /// On attention of prompts.
    pub prefill_attention: f64,
}

impl Default for Corrections {
    fn default() -> Self {
        Self { fixed: 1.0, tokens: 1.0, sequences: 1.0, context: 1.0, prefill_attention: 1.0 }
    }
}

impl Corrections {
    /// Names of the factors, as keys.
    pub const KEYS: [&'static str; 5] = ["fixed", "tokens", "sequences", "context", "prefill_attention"];

    /// Largest factor that a server may have, and the inverse of the smallest.
    const LARGEST: f64 = 100.0;

    /// The factor with this key.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut f64> {
        Some(match key {
            "fixed" => &mut self.fixed,
            "tokens" => &mut self.tokens,
            "sequences" => &mut self.sequences,
            "context" => &mut self.context,
            "prefill_attention" => &mut self.prefill_attention,
            _ => return None,
        })
    }

    /// Checks that every factor lies between a hundredth and a hundred.
    ///
    /// # Errors
    /// The key and the value of the first that does not.
    pub fn check(&self) -> Result<(), String> {
        let mut copy = *self;
        for key in Self::KEYS {
            let factor = copy.get_mut(key).map_or(f64::NAN, |factor| *factor);
            if !(1.0 / Self::LARGEST..=Self::LARGEST).contains(&factor) {
                return Err(format!("corrections.{key} = {factor}: it must lie between 0.01 and 100"));
            }
        }
        Ok(())
    }
}
