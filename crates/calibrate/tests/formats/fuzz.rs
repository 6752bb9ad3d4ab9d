//! The long mode: mutates the files of one format after another for `KENDALL_FUZZ_SECONDS` each (60 by default), on as
//! many threads as there are; `KENDALL_FUZZ_FORMATS=Aibrix,OwnCsv` fuzzes these alone. Not run by default:
//! `cargo test -p kendall-calibrate --release -- --ignored every_reader_survives`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use kendall_calibrate::Format;
use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::properties::survives;
use crate::{FIXTURES, bytes, runs};

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

/// Cuts, copies and replaces bytes: most such files are malformed.
fn with_other_bytes(rng: &mut ChaCha8Rng, whole: &[u8]) -> Vec<u8> {
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

/// Replaces what stands between two separators, so that text stays a table, a scrape or a YAML tree.
fn with_other_cells(rng: &mut ChaCha8Rng, whole: &[u8]) -> Vec<u8> {
    let separator = |&byte: &u8| matches!(byte, b',' | b'\n' | b' ' | b'"');
    let mut bytes = whole.to_vec();
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..=bytes.len());
        let from = bytes[..at].iter().rposition(separator).map_or(0, |before| before + 1);
        let to = bytes[at..].iter().position(separator).map_or(bytes.len(), |after| at + after);
        drop(bytes.splice(from..to, PIECES[rng.random_range(0..PIECES.len())].bytes()));
    }
    bytes
}

/// Some node of a tree, deep ones as likely as shallow ones.
fn some_node<'a>(rng: &mut ChaCha8Rng, tree: &'a mut Value) -> &'a mut Value {
    let children = match &*tree {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if children == 0 || rng.random_range(0..8_u8) == 0 {
        return tree;
    }
    let child = rng.random_range(0..children);
    let below = match tree {
        Value::Array(items) => items.get_mut(child),
        Value::Object(fields) => fields.values_mut().nth(child),
        _ => None,
    };
    some_node(rng, below.expect("the child was counted"))
}

fn odd_value(rng: &mut ChaCha8Rng, old: &Value) -> Value {
    match rng.random_range(0..14_u8) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => (-1).into(),
        3 => 0.into(),
        4 => u64::MAX.into(),
        5 => 1e308.into(),
        6 => 5e-324.into(),
        7 => "".into(),
        8 => "1e3".into(),
        9 => Value::Array(Vec::new()),
        10 => Value::Array(vec![old.clone(), Value::Null]),
        11 => Value::Object(serde_json::Map::new()),
        12 => old.as_f64().map_or(Value::Null, |number| (number * -1e6).into()),
        _ => old.as_f64().map_or("\u{0}".into(), |number| (number * 1e12).into()),
    }
}

/// Changes values and drops keys of a JSON tree, which stays one: such files reach the readers' inner parts.
fn with_other_values(rng: &mut ChaCha8Rng, tree: &Value) -> Vec<u8> {
    let mut tree = tree.clone();
    for _ in 0..rng.random_range(1..5) {
        let node = some_node(rng, &mut tree);
        match (rng.random_range(0..3_u8), node) {
            (0, Value::Array(items)) if !items.is_empty() => {
                let at = rng.random_range(0..items.len());
                let item = items.swap_remove(at);
                if rng.random() {
                    items.extend([item.clone(), item]);
                }
            }
            (0, Value::Object(fields)) if !fields.is_empty() => {
                let key = fields.keys().nth(rng.random_range(0..fields.len())).cloned();
                key.and_then(|key| fields.remove(&key));
            }
            (_, node) => *node = odd_value(rng, node),
        }
    }
    tree.to_string().into_bytes()
}

struct Seed {
    whole: Vec<u8>,
    tree: Option<Value>,
}

impl Seed {
    fn of(name: &str) -> Self {
        let whole = bytes(name);
        let tree = serde_json::from_slice(&whole).ok();
        Self { whole, tree }
    }

    fn mutated(&self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        match (&self.tree, rng.random_range(0..3_u8)) {
            (_, 0) => with_other_bytes(rng, &self.whole),
            (Some(tree), _) => with_other_values(rng, tree),
            (None, _) => with_other_cells(rng, &self.whole),
        }
    }
}

#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the time limit of a fuzzer, not of a model"
)]
fn fuzz(format: Format, names: &[&str], seconds: u64) {
    let seeds: Vec<Seed> = names.iter().map(|name| Seed::of(name)).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(format as u64);
    let (start, mut inputs) = (std::time::Instant::now(), 0_u64);
    while start.elapsed().as_secs() < seconds {
        for seed in &seeds {
            survives(&seed.mutated(&mut rng));
            inputs += 1;
        }
    }
    let _ = writeln!(std::io::stderr(), "{format:?}: {inputs} inputs in {seconds} s, no panic");
}

#[test]
#[ignore = "runs for a minute a format"]
fn every_reader_survives_for_the_given_time() {
    let seconds = std::env::var("KENDALL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut by_format: BTreeMap<Format, Vec<&str>> = BTreeMap::new();
    for name in FIXTURES {
        by_format.entry(runs(name)[0].format).or_default().push(name);
    }
    assert_eq!(by_format.len(), Format::ALL.len(), "a format without a fixture is not fuzzed");
    let wanted = std::env::var("KENDALL_FUZZ_FORMATS").ok();
    let is_wanted = |format: &Format| {
        wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == format!("{format:?}")))
    };
    let cases: Vec<_> = by_format.into_iter().filter(|(format, _)| is_wanted(format)).collect();
    assert!(!cases.is_empty(), "no format has one of these names: {wanted:?}");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((format, names)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    fuzz(*format, names, seconds);
                }
            });
        }
    });
}
