//! Several classes of requests with one arrival process: each request belongs to one of them by chance.

use kendall_des::{Distribution, DistributionError, SimTime, Stream, Streams};

use crate::record::RequestRecord;
use crate::request::RequestSpec;

use super::body::{Body, RequestClass};

/// Classes, and how to choose among them.
#[derive(Debug)]
pub(super) struct Mixture {
    classes: Vec<Body>,
    /// Number of the first of them among all classes of the workload.
    first_class: u16,
    /// Absent where there is one class only.
    choice: Option<(Distribution, Stream)>,
}

impl Mixture {
    /// `named` if requests are to say who sent them even where there is one class only.
    pub(super) fn new(
        classes: &[RequestClass],
        first_class: u16,
        named: bool,
        streams: Streams,
    ) -> Result<Self, DistributionError> {
        let choice = if classes.len() == 1 {
            None
        } else {
            let table: Vec<_> =
                classes.iter().enumerate().map(|(at, class)| (at as f64, class.weight)).collect();
            let purpose = super::class_purpose(super::CLASSES, first_class);
            Some((Distribution::empirical(&table)?, streams.stream(purpose)))
        };
        let named = named || classes.len() > 1 || first_class > 0;
        let body = |(number, class): (u16, &RequestClass)| Body::new(class, number, named, streams);
        let classes = (first_class..).zip(classes).map(body).collect::<Result<_, _>>()?;
        Ok(Self { classes, first_class, choice })
    }

    /// Whether two requests may have tokens in common.
    pub(super) fn shares_tokens(&self) -> bool {
        self.classes.iter().any(Body::shares_tokens)
    }

    /// Request `number`.
    #[inline]
    pub(super) fn request(&mut self, number: u64, arrival: SimTime) -> RequestSpec {
        let class = match &mut self.choice {
            None => 0,
            Some((classes, stream)) => classes.sample(&mut stream.entity(number)) as usize,
        };
        self.classes[class].request(number, arrival)
    }

    /// What the client of a request that has left sends because of that.
    pub(super) fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        let class = record.session?.class.checked_sub(self.first_class)?;
        self.classes.get_mut(usize::from(class))?.departed(record)
    }
}
