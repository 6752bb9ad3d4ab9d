//! The same customers at another pace, in pairs, or with longer outputs: what a search and its sensitivities change.

use kendall_des::SimTime;
use kendall_serving::{RequestRecord, RequestSpec, Workload, WorkloadError};

/// How a workload is changed on its way to the server. Its random numbers stay the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Factor on the times of arrival: 0.5 sends the same requests at twice the rate, 0 all at once.
    pub pace: f64,
    /// Whether requests arrive two by two, which doubles the variance of counts.
    pub pairs: bool,
    /// Exponent of the spread of output lengths about `median`: above 1 long outputs get longer, short ones shorter.
    pub tail: Option<Tail>,
}

/// Output lengths `x` become `median * (x / median)^exponent`: of a log-normal distribution, sigma times `exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Length that stays, in tokens.
    pub median: f64,
    /// Factor on logarithms.
    pub exponent: f64,
}

impl Load {
    /// As it is.
    pub const UNCHANGED: Self = Self { pace: 1.0, pairs: false, tail: None };
}

/// A workload under a [`Load`].
pub struct Loaded {
    inner: Box<dyn Workload + Send>,
    load: Load,
    /// The second request of a pair, which arrives with the first.
    second: Option<RequestSpec>,
}

impl Loaded {
    /// `inner` under this load.
    pub fn new(inner: Box<dyn Workload + Send>, load: Load) -> Self {
        Self { inner, load, second: None }
    }

    fn paced(&self, time: SimTime) -> SimTime {
        // The product of a time and a factor is rounded to a picosecond; beyond the horizon the run ends anyway.
        let ps = libm::round(time.as_ps() as f64 * self.load.pace);
        SimTime::from_ps(if ps < u64::MAX as f64 { ps as u64 } else { u64::MAX })
    }

    fn changed(&self, mut spec: RequestSpec) -> RequestSpec {
        let patience = spec.abort.map(|abort| abort - spec.arrival);
        spec.arrival = self.paced(spec.arrival);
        // A client's patience does not depend on how often others come.
        spec.abort = patience.and_then(|patience| spec.arrival.checked_add(patience));
        if let Some(Tail { median, exponent }) = self.load.tail {
            let tokens = median * libm::pow(f64::from(spec.max_tokens) / median, exponent);
            spec.max_tokens = libm::round(tokens).clamp(1.0, f64::from(1_u32 << 30)) as u32;
        }
        spec
    }
}

impl Workload for Loaded {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        if let Some(second) = self.second.take() {
            return Some(Ok(second));
        }
        let first = match self.inner.next_request()? {
            Ok(spec) => self.changed(spec),
            Err(error) => return Some(Err(error)),
        };
        if !self.load.pairs {
            return Some(Ok(first));
        }
        match self.inner.next_request() {
            None => Some(Ok(first)),
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(spec)) => {
                let second = self.changed(spec);
                let mut first = first;
                let patience = first.abort.map(|abort| abort - first.arrival);
                first.arrival = second.arrival;
                first.abort = patience.and_then(|patience| first.arrival.checked_add(patience));
                self.second = Some(second);
                Some(Ok(first))
            }
        }
    }

    fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        self.inner.departed(record)
    }

    fn shares_tokens(&self) -> bool {
        self.inner.shares_tokens()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(load: Load) -> Vec<(u64, u32)> {
        let specs = (1..=5).map(|i| Ok(RequestSpec::new(SimTime::from_ps(1_000 * i), 10, 100 * i as u32)));
        let mut loaded = Loaded::new(Box::new(specs), load);
        let next = || loaded.next_request().map(|spec| spec.expect("no error"));
        std::iter::from_fn(next).map(|spec| (spec.arrival.as_ps(), spec.max_tokens)).collect()
    }

    #[test]
    fn the_same_requests_come_at_another_pace() {
        assert_eq!(requests(Load::UNCHANGED)[4], (5_000, 500));
        let faster = requests(Load { pace: 0.25, ..Load::UNCHANGED });
        assert_eq!(faster, [(250, 100), (500, 200), (750, 300), (1_000, 400), (1_250, 500)]);
        assert!(requests(Load { pace: 0.0, ..Load::UNCHANGED }).iter().all(|&(arrival, _)| arrival == 0));
    }

    #[test]
    fn pairs_arrive_when_the_second_one_would() {
        let pairs = requests(Load { pairs: true, ..Load::UNCHANGED });
        assert_eq!(pairs, [(2_000, 100), (2_000, 200), (4_000, 300), (4_000, 400), (5_000, 500)]);
    }

    #[test]
    fn a_heavier_tail_keeps_the_median() {
        let tail = Some(Tail { median: 200.0, exponent: 2.0 });
        let tokens: Vec<_> =
            requests(Load { tail, ..Load::UNCHANGED }).iter().map(|&(_, tokens)| tokens).collect();
        assert_eq!(tokens, [50, 200, 450, 800, 1_250]);
    }
}
