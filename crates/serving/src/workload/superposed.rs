//! Classes of requests that each have an arrival process of their own.

use crate::record::RequestRecord;
use crate::request::{RequestSpec, Workload, WorkloadError};

use super::SyntheticWorkload;

/// Several synthetic workloads at once, in order of arrival; of simultaneous requests the first class's comes first.
#[derive(Debug)]
pub struct Superposed {
    parts: Vec<SyntheticWorkload>,
    /// The next request of each part; `None` before it is asked and after its end.
    heads: Vec<Option<RequestSpec>>,
    /// Number of each part's first class, in increasing order.
    first_classes: Vec<u16>,
    is_begun: bool,
    /// Requests left.
    left: u64,
}

impl Superposed {
    /// The first `requests` requests of all `parts` together. Each part comes with the number of its first class, in increasing
    /// order, and has as many requests itself.
    pub fn new(parts: Vec<(u16, SyntheticWorkload)>, requests: u64) -> Self {
        let (first_classes, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let heads = parts.iter().map(|_| None).collect();
        Self { parts, heads, first_classes, is_begun: false, left: requests }
    }

    fn fetch(&mut self, part: usize) -> Result<(), WorkloadError> {
        self.heads[part] = self.parts[part].next_request().transpose()?;
        Ok(())
    }

    fn take(&mut self) -> Result<Option<RequestSpec>, WorkloadError> {
        if self.left == 0 {
            return Ok(None);
        }
        if !self.is_begun {
            self.is_begun = true;
            for part in 0..self.parts.len() {
                self.fetch(part)?;
            }
        }
        let arrivals = self.heads.iter().enumerate();
        let first = arrivals.filter_map(|(part, head)| Some((head.as_ref()?.arrival, part))).min();
        let Some((_, part)) = first else { return Ok(None) };
        let spec = self.heads[part].take();
        self.left -= 1;
        if let Err(error) = self.fetch(part) {
            self.left = 0;
            return Err(error);
        }
        Ok(spec)
    }
}

impl Workload for Superposed {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        self.take().transpose()
    }

    fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        let class = record.session?.class;
        let part = self.first_classes.partition_point(|&first| first <= class).checked_sub(1)?;
        self.parts[part].departed(record)
    }

    fn shares_tokens(&self) -> bool {
        self.parts.iter().any(Workload::shares_tokens)
    }
}
