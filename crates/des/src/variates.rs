//! Draws of one distribution by entity, a few made ahead.

use crate::{Distribution, Stream};

/// So many are made at once where entities come in order. The steps of one variate wait for each other, those of several do
/// not: made together they take half the time.
const AHEAD: u64 = 4;

/// The variates of one distribution and one stream, one for each entity: the same whatever was read before.
#[derive(Debug)]
pub struct Variates {
    distribution: Distribution,
    stream: Stream,
    /// The last ones made in order, `held` of them, up to the entity before `next`.
    ahead: [f64; AHEAD as usize],
    held: u64,
    next: u64,
}

impl Variates {
    /// Variates of this distribution, drawn from this stream.
    pub fn new(distribution: Distribution, stream: Stream) -> Self {
        Self { distribution, stream, ahead: [0.0; AHEAD as usize], held: 0, next: 0 }
    }

    /// The variate of entity number `entity`.
    #[inline]
    pub fn of(&mut self, entity: u64) -> f64 {
        let back = self.next.wrapping_sub(entity);
        // 0 is none.
        if back.wrapping_sub(1) < self.held {
            return self.ahead[(AHEAD - back) as usize];
        }
        if back == 0 && entity <= u64::MAX - AHEAD {
            return self.make_ahead();
        }
        self.distribution.sample(&mut self.stream.entity(entity))
    }

    /// Makes the next ones and gives the first of them.
    fn make_ahead(&mut self) -> f64 {
        self.distribution.of_entities(&mut self.stream, self.next, &mut self.ahead);
        self.next += AHEAD;
        self.held = AHEAD;
        self.ahead[0]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Purpose, Streams};

    proptest! {
        #[test]
        fn every_entity_has_its_own_whatever_was_read_before(
            entities in prop::collection::vec(prop_oneof![0_u64..20, (u64::MAX - 9)..=u64::MAX], 0..60),
        ) {
            let distribution = Distribution::gamma(0.7, 2.0).unwrap();
            let stream = || Streams::new(5, 1).stream(Purpose(3));
            let mut variates = Variates::new(distribution.clone(), stream());
            for entity in entities {
                let alone = distribution.sample(&mut stream().entity(entity));
                prop_assert_eq!(variates.of(entity).to_bits(), alone.to_bits());
            }
        }
    }

    #[test]
    fn in_order_too() {
        let distribution = Distribution::exponential(1.0).unwrap();
        let stream = || Streams::new(5, 1).stream(Purpose(3));
        let mut variates = Variates::new(distribution.clone(), stream());
        for entity in (0..50).chain(43..60) {
            let alone = distribution.sample(&mut stream().entity(entity));
            assert_eq!(variates.of(entity).to_bits(), alone.to_bits());
        }
    }
}
