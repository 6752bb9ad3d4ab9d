//! One request at a time and no limit on KV: the loss system is then M/G/1, and Pollaczek-Khinchine is exact.

use super::lengths::LengthLaw;
use super::step_times::StepTimes;

/// Exact moments of the system with a batch of one and unlimited KV. Gross & Harris, sections 5.1.1 and 5.1.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SingleRequest {
    /// Fraction of time that the server is busy, `lambda E[S]`.
    pub utilization: f64,
    /// Mean service time (s).
    pub mean_service_s: f64,
    /// Mean wait before the prefill starts (s); infinite if the utilization is 1 or more.
    pub mean_wait_s: f64,
    /// Variance of that wait (s^2), by Takacs' recursion; infinite if the utilization is 1 or more.
    pub var_wait_s2: f64,
    /// Mean time from arrival to the first token, which the first decode step emits (s).
    pub mean_ttft_s: f64,
}

impl SingleRequest {
    /// Service is the prefill of the prompt and one decode step for each output token, lengths independent.
    pub fn new(arrival_rate_per_s: f64, prompt: &LengthLaw, output: &LengthLaw, steps: &StepTimes) -> Self {
        let decode_s = steps.decode_s(1);
        let prefill = RawMoments::of(prompt, |tokens| steps.prefill_s(tokens, 1));
        let decode = RawMoments::of(output, |tokens| decode_s * tokens);
        let service = prefill.plus(&decode);
        let utilization = arrival_rate_per_s * service.first;
        let (mean_wait_s, var_wait_s2) = if utilization < 1.0 {
            let idle = 1.0 - utilization;
            let mean = arrival_rate_per_s * service.second / (2.0 * idle);
            (mean, mean * mean + arrival_rate_per_s * service.third / (3.0 * idle))
        } else {
            (f64::INFINITY, f64::INFINITY)
        };
        let mean_ttft_s = mean_wait_s + prefill.first + decode_s;
        Self { utilization, mean_service_s: service.first, mean_wait_s, var_wait_s2, mean_ttft_s }
    }
}

/// `E[X]`, `E[X^2]`, `E[X^3]`.
struct RawMoments {
    first: f64,
    second: f64,
    third: f64,
}

impl RawMoments {
    fn of(law: &LengthLaw, seconds: impl Fn(f64) -> f64) -> Self {
        let power = |n: i32| law.expect(|tokens| seconds(tokens).powi(n));
        Self { first: power(1), second: power(2), third: power(3) }
    }

    /// Of the sum with an independent variable.
    fn plus(&self, other: &Self) -> Self {
        Self {
            first: self.first + other.first,
            second: self.second + 2.0 * self.first * other.first + other.second,
            third: self.third
                + 3.0 * self.second * other.first
                + 3.0 * self.first * other.second
                + other.third,
        }
    }
}
