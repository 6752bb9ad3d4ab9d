//! The admission process of a loss system: classes of request sizes from its length laws.

use super::batch_admission::{BatchAdmission, BatchClass};
use crate::batching::System;
use crate::queueing::{QueueingError, Result};

/// Mass and weighted sums of the requests of one size.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    mass: f64,
    size: f64,
    prompt: f64,
    output: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.mass += other.mass;
        self.size += other.size;
        self.prompt += other.prompt;
        self.output += other.output;
    }

    fn class(self, most_tokens: usize, rate_per_s: f64) -> BatchClass {
        BatchClass {
            most_tokens: u32::try_from(most_tokens).unwrap_or(u32::MAX),
            size_tokens: self.size / self.mass,
            rate_per_s: rate_per_s * self.mass,
            prompt_tokens: self.prompt / self.mass,
            output_tokens: self.output / self.mass,
        }
    }
}

impl BatchAdmission {
    /// The process for a loss system whose arrivals are split by size, prompt and output: a class for each part, the
    /// first of the shares `parts` of the arrivals up to the first, and so on; the last takes what is left of the sizes that
    /// fit. What never fits is in no class.
    ///
    /// # Errors
    /// Parts that do not rise from above 0 to 1.
    pub fn of_system(system: &System, parts: &[f64], ttft_limit_s: f64, rejection_cost: f64) -> Result<Self> {
        let rising = parts.windows(2).all(|pair| pair[0] < pair[1]);
        let ends = parts.first().is_some_and(|first| *first > 0.0) && parts.last() == Some(&1.0);
        if !(rising && ends) {
            return Err(QueueingError::Parameter {
                name: "parts",
                value: format!("{parts:?}"),
                must: "shares of the arrivals that rise from above 0 to 1, such as 0.4, 0.8, 1",
            });
        }
        let by_size = by_size(system);
        let mut classes = Vec::new();
        let (mut below, mut open) = (0.0, Sums::default());
        let mut bounds = parts.iter().copied().filter(|part| *part < 1.0).peekable();
        for (size, sums) in by_size.into_iter().enumerate() {
            below += sums.mass;
            open.add(sums);
            let last = size == system.kv_tokens();
            if open.mass > 0.0 && (last || bounds.peek().is_some_and(|bound| below >= *bound)) {
                while bounds.next_if(|bound| below >= *bound).is_some() {}
                classes.push(open.class(size, system.arrival_rate_per_s()));
                open = Sums::default();
            }
        }
        let steps = system.steps();
        let batches = 1..=system.max_batch();
        Ok(Self {
            classes,
            kv_tokens: system.kv_tokens() as f64,
            decode_s: batches.clone().map(|b| steps.decode_s(b)).collect(),
            prefill_s: batches.map(|b| (steps.at(b).prefill_base_s, steps.at(b).prefill_token_s)).collect(),
            ttft_limit_s,
            rejection_cost,
        })
    }
}

/// Mass and sums of the sizes 0, 1, ... up to the KV cache (tokens).
fn by_size(system: &System) -> Vec<Sums> {
    let kv = system.kv_tokens();
    let mut by_size = vec![Sums::default(); kv + 1];
    for (prompt, &of_prompt) in system.prompt().masses().iter().enumerate().filter(|x| *x.1 > 0.0) {
        let room = (kv + 1).saturating_sub(prompt);
        for (output, &of_output) in system.output().masses().iter().enumerate().take(room) {
            let mass = of_prompt * of_output;
            by_size[prompt + output].add(Sums {
                mass,
                size: mass * (prompt + output) as f64,
                prompt: mass * prompt as f64,
                output: mass * output as f64,
            });
        }
    }
    by_size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batching::{LengthLaw, StepTimes};

    /// Rates add up to the arrivals that fit, classes follow each other by size, and class means make up the means of all.
    #[test]
    fn classes_are_the_arrivals_that_fit() {
        let system = System::study(3.0, 4, 2_048).unwrap();
        let process = BatchAdmission::of_system(&system, &[0.4, 0.8, 1.0], 2.0, 0.25).unwrap();
        let fits: f64 = by_size(&system).iter().map(|sums| sums.mass).sum();
        assert!(fits < 1.0);
        let total: f64 = process.classes.iter().map(|class| class.rate_per_s).sum();
        assert!((total / (3.0 * fits) - 1.0).abs() < 1e-12, "{total} {fits}");
        assert!(process.classes.windows(2).all(|pair| pair[0].most_tokens < pair[1].most_tokens));
        assert!((process.classes[0].rate_per_s / 3.0 - 0.4).abs() < 0.01);
        for class in &process.classes {
            assert!((class.prompt_tokens + class.output_tokens - class.size_tokens).abs() < 1e-9);
            assert!(class.size_tokens <= f64::from(class.most_tokens));
        }
    }

    /// Constant sizes are one class, however many are asked for.
    #[test]
    fn one_size_is_one_class() {
        let law = || LengthLaw::constant(10).unwrap();
        let system = System::new(1.0, 2, 100, law(), law(), StepTimes::study(2)).unwrap();
        let process = BatchAdmission::of_system(&system, &[0.5, 1.0], 1.0, 0.0).unwrap();
        assert_eq!(process.classes.len(), 1);
        assert!((process.classes[0].size_tokens - 20.0).abs() < 1e-12);
        for wrong in [&[][..], &[0.5][..], &[0.0, 1.0][..], &[0.8, 0.4, 1.0][..]] {
            assert!(BatchAdmission::of_system(&system, wrong, 1.0, 0.0).is_err(), "{wrong:?}");
        }
    }
}
