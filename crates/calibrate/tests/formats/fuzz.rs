//! The long mode: mutates one fixture after another for `KENDALL_FUZZ_SECONDS` each (60 by default). Not run by default:
//! `cargo test -p kendall-calibrate --release -- --ignored every_reader_survives`.

use std::io::Write as _;

use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::properties::survives;
use crate::{FIXTURES, bytes};

/// Pieces that turn up in such files; two of them together make most of the odd cases.
const PIECES: [&str; 20] = [
    "null",
    "-1",
    "1e308",
    "9e999",
    "\"\"",
    "[]",
    "{}",
    "[[]]",
    "true",
    "NaN",
    "\n",
    ",",
    ":",
    "}",
    "]",
    "\"",
    "\\",
    "\u{feff}",
    "1795304636594326802",
    "0.1",
];

fn mutated(rng: &mut ChaCha8Rng, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..=bytes.len());
        let to = (at + rng.random_range(0..12_usize)).min(bytes.len());
        match rng.random_range(0..5_u8) {
            0 => drop(bytes.splice(at..to, PIECES[rng.random_range(0..PIECES.len())].bytes())),
            1 => drop(bytes.splice(at..to, [])),
            2 => bytes.truncate(at),
            3 => {
                let from = rng.random_range(0..=bytes.len());
                let piece = bytes[from..(from + 40).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ if at < bytes.len() => bytes[at] = rng.next_u32().to_le_bytes()[0],
            _ => {}
        }
    }
    bytes
}

#[test]
#[ignore = "runs for a minute a fixture"]
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the time limit of a fuzzer, not of a model"
)]
fn every_reader_survives_for_the_given_time() {
    let seconds = std::env::var("KENDALL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for (number, name) in FIXTURES.iter().enumerate() {
        let whole = bytes(name);
        let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
        let (start, mut inputs) = (std::time::Instant::now(), 0_u64);
        while start.elapsed().as_secs() < seconds {
            for _ in 0..16 {
                survives(&mutated(&mut rng, &whole));
                inputs += 1;
            }
        }
        let _ = writeln!(std::io::stderr(), "{name}: {inputs} inputs in {seconds} s, no panic");
    }
}
