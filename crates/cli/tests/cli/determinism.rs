//! Equal scenario, seed and version: equal bytes, at any thread count and in every build profile (invariant 1).

use crate::program::{Bench, finish};

/// FNV-1a of `requests.csv` of the quick start with 2,000 requests. It holds in every build profile and on every
/// system. A change of it is a change of results: it needs a line under "Results changed" in CHANGELOG.md.
const QUICKSTART_DIGEST: u64 = 1_168_029_690_570_404_756;

const FILES: [&str; 5] = ["requests.csv", "scenario.toml", "steps.csv", "summary.json", "timeline.csv"];

/// The files of the quick start with 2,000 requests.
fn files(seed: u64, threads: Option<&str>) -> [String; FILES.len()] {
    let bench = Bench::new();
    let seed = seed.to_string();
    let change = "workload.requests=2000";
    let mut command = bench.command(&["run", "--out", "out", "--steps", "--seed", &seed, "--set", change]);
    if let Some(threads) = threads {
        command.env("RAYON_NUM_THREADS", threads);
    }
    finish(command).succeeds();
    assert_eq!(bench.results(), FILES);
    FILES.map(|name| bench.read(&format!("out/{name}")))
}

/// 64-bit FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn one_seed_gives_the_same_bytes_at_any_thread_count() {
    let first = files(0, None);
    for threads in [None, Some("1"), Some("2")] {
        assert_eq!(files(0, threads), first, "threads: {threads:?}");
    }
}

#[test]
fn another_seed_gives_other_requests() {
    let (zero, one) = (files(0, None), files(1, None));
    assert_ne!(zero[0], one[0]);
    assert_ne!(zero[2], one[2]);
    assert_eq!(zero[1], one[1], "the scenario does not depend on --seed");
}

#[test]
fn every_build_profile_gives_the_same_requests() {
    let [requests, ..] = files(0, None);
    assert_eq!(requests.lines().count(), 2_001);
    assert_eq!(fnv1a(&requests), QUICKSTART_DIGEST, "results changed: see the constant's comment");
}

/// The seed of the command line wins over the scenario's, and the scenario's over 0.
#[test]
fn the_seed_has_one_place_after_another() {
    let bench = Bench::new();
    let run = |args: &[&str]| {
        let outcome = bench.kendall(&[&["run", "--set", "workload.requests=50"], args].concat());
        outcome.succeeds().stdout.clone()
    };
    assert_eq!(run(&["--seed", "0"]), run(&[]));
    assert_eq!(run(&["--seed", "7"]), run(&["--set", "seed=7"]));
    assert_eq!(run(&["--seed", "7"]), run(&["--set", "seed=3", "--seed", "7"]));
    assert_ne!(run(&["--seed", "7"]), run(&[]));
}
