//! Random numbers with addresses: (seed, replication, purpose, entity).
//!
//! A purpose has one `ChaCha8` key stream, and entity number `e` owns its block number `e`: 64 bytes, eight draws.
//! Reading entities in order therefore reads the stream straight through, and jumping to any entity costs one seek.
//! An entity that needs more than eight draws goes on in a key stream of its own, so that no draw is ever shared.
//!
//! Every variate is made by inversion of one uniform number, so that a replication with each `u` replaced by `1 - u` is its
//! antithetic partner (Law & Kelton, section 11.3): [`Streams::mirrored`].

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// What a random number is for. Numbers are appended, never reused: a reused number changes published results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Purpose(pub u32);

/// All random numbers of one replication of one experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
    replication: u32,
    mirrored: bool,
}

impl Streams {
    /// The streams of `replication` (0, 1, ...) under `seed`.
    pub fn new(seed: u64, replication: u32) -> Self {
        Self { seed, replication, mirrored: false }
    }

    /// The same addresses with every bit inverted: each uniform number `u` becomes exactly `1 - u`.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { mirrored: !self.mirrored, ..self }
    }

    /// The stream of one purpose.
    pub fn stream(self, purpose: Purpose) -> Stream {
        Stream {
            generator: ChaCha8Rng::from_seed(self.key(purpose, 0)),
            streams: self,
            purpose,
            next_group: 0,
            blocks: [[0; BYTES_PER_BLOCK]; GROUP],
        }
    }

    /// `generation` 0 is the stream shared by all entities, `e + 1` the overflow of entity `e`.
    fn key(self, purpose: Purpose, generation: u64) -> [u8; 32] {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..12].copy_from_slice(&self.replication.to_le_bytes());
        key[12..16].copy_from_slice(&purpose.0.to_le_bytes());
        key[16..24].copy_from_slice(&generation.to_le_bytes());
        key[24..].copy_from_slice(b"kendall1");
        key
    }
}

/// The random numbers of one purpose, addressed by entity.
#[derive(Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
    streams: Streams,
    purpose: Purpose,
    /// The group of entities whose blocks the generator gives next; the blocks held are those of the one before.
    next_group: u64,
    blocks: [[u8; BYTES_PER_BLOCK]; GROUP],
}

/// Blocks are made so many at a time, as the generator does.
const GROUP: usize = 4;
const BYTES_PER_BLOCK: usize = 64;
/// `ChaCha` counts 32-bit words; a block has sixteen.
const WORDS_PER_BLOCK: u128 = 16;

impl Stream {
    /// The random numbers of entity number `entity`, always the same ones, whatever was read before.
    #[inline]
    pub fn entity(&mut self, entity: u64) -> EntityRng {
        let block = *self.block(entity);
        EntityRng { block, used: 0, address: (self.streams, self.purpose, entity), overflow: None }
    }

    /// The first uniform draw of entity number `entity`: [`EntityRng::next_open01`] of a generator that nobody needs.
    #[inline]
    pub(crate) fn first_open01(&mut self, entity: u64) -> f64 {
        let block = self.block(entity);
        open01(u64::from_le_bytes(std::array::from_fn(|i| block[i])))
    }

    #[inline]
    fn block(&mut self, entity: u64) -> &[u8; BYTES_PER_BLOCK] {
        let group = entity / GROUP as u64;
        if group + 1 != self.next_group {
            self.make(group);
        }
        &self.blocks[(entity % GROUP as u64) as usize]
    }

    /// Makes the blocks of a group of entities.
    #[inline(never)]
    fn make(&mut self, group: u64) {
        if group != self.next_group {
            self.generator.set_word_pos(u128::from(group) * GROUP as u128 * WORDS_PER_BLOCK);
        }
        self.next_group = group + 1;
        let bytes = self.blocks.as_flattened_mut();
        self.generator.fill_bytes(bytes);
        if self.streams.mirrored {
            for byte in bytes {
                *byte = !*byte;
            }
        }
    }
}

/// The random numbers of one entity, drawn in order.
#[derive(Debug)]
pub struct EntityRng {
    block: [u8; BYTES_PER_BLOCK],
    /// Bytes of it that were drawn.
    used: usize,
    address: (Streams, Purpose, u64),
    overflow: Option<Box<ChaCha8Rng>>,
}

impl EntityRng {
    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        if let Some(draw) = self.block[self.used..].first_chunk() {
            self.used += 8;
            return u64::from_le_bytes(*draw);
        }
        let (streams, purpose, entity) = self.address;
        let overflow = self.overflow.get_or_insert_with(|| {
            Box::new(ChaCha8Rng::from_seed(streams.key(purpose, entity.wrapping_add(1))))
        });
        let bits = overflow.next_u64();
        if streams.mirrored { !bits } else { bits }
    }

    /// Uniform on the open interval (0, 1).
    #[inline]
    pub fn next_open01(&mut self) -> f64 {
        open01(self.next_u64())
    }
}

/// Uniform on the open interval (0, 1): 53 bits, centred, so that neither end is ever drawn and every inverse distribution
/// function is finite.
#[inline]
fn open01(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(rng: &mut EntityRng, n: usize) -> Vec<u64> {
        (0..n).map(|_| rng.next_u64()).collect()
    }

    #[test]
    fn an_address_always_holds_the_same_numbers() {
        let streams = Streams::new(7, 3);
        let mut forwards = streams.stream(Purpose(1));
        let in_order: Vec<_> = (0..50).map(|e| draws(&mut forwards.entity(e), 20)).collect();
        let mut backwards = streams.stream(Purpose(1));
        for entity in (0..50).rev() {
            assert_eq!(draws(&mut backwards.entity(entity), 20), in_order[entity as usize]);
        }
    }

    /// Also beyond the eight draws of a block. The sum is exact: both numbers are multiples of 2^-54.
    #[test]
    fn mirrored_streams_hold_one_minus_each_number() {
        let streams = Streams::new(7, 3);
        let (mut one, mut other) = (streams.stream(Purpose(1)), streams.mirrored().stream(Purpose(1)));
        for entity in 0..50 {
            assert_eq!((one.first_open01(entity) + other.first_open01(entity)).to_bits(), 1.0_f64.to_bits());
            let (mut one, mut other) = (one.entity(entity), other.entity(entity));
            for _ in 0..20 {
                assert_eq!((one.next_open01() + other.next_open01()).to_bits(), 1.0_f64.to_bits());
            }
        }
        assert_eq!(streams.mirrored().mirrored(), streams);
    }

    #[test]
    fn different_addresses_hold_different_numbers() {
        let mut seen = std::collections::BTreeSet::new();
        for (seed, replication, purpose) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            let mut stream = Streams::new(seed, replication).stream(Purpose(purpose));
            for entity in 0..100 {
                seen.extend(draws(&mut stream.entity(entity), 20));
            }
        }
        assert_eq!(seen.len(), 4 * 100 * 20);
    }
}
