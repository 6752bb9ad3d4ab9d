//! Whatever is done to a genuine file, its reader returns: runs that keep their promises, or an error that names the
//! file.

use kendall_calibrate::{Measured, read_bytes};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{FIXTURES, bytes};

/// Reads, and checks what every reader promises.
pub(crate) fn survives(bytes: &[u8]) {
    match read_bytes("t", bytes) {
        Ok(runs) => runs.iter().for_each(keeps_its_promises),
        Err(error) => assert!(error.to_string().starts_with("t:"), "{error}"),
    }
}

fn keeps_its_promises(run: &Measured) {
    for request in &run.requests {
        let times = [request.send_s, request.ttft_s, request.last_token_s, request.e2e_s, request.tpot_s()];
        let mut times = times.into_iter().flatten().chain(request.gaps_s.iter().copied());
        assert!(times.all(|time| time.is_finite() && time >= 0.0), "{request:?}");
        assert!(request.succeeded() || request.e2e_s.is_none(), "{request:?}");
    }
    for step in run.steps.iter().flat_map(|log| &log.steps) {
        assert!(
            step.duration_s.is_finite()
                && step.duration_s >= 0.0
                && step.decode_seqs + step.prefill_tokens > 0.0
        );
    }
    let summary = format!("{:?}", run.summary).replace("-0.0 ", "0.0 ").replace("-0.0)", "0.0)");
    for odd in ["inf", "NaN", " -", "(-"] {
        let at = summary.find(odd);
        assert!(at.is_none(), "{:?}", at.map(|at| &summary[at.saturating_sub(80)..]));
    }
    assert!(!run.requests.is_empty() || run.steps.is_some() || !run.caveats.is_empty());
}

/// Values that readers must not take for lengths of time or counts.
const ODD: [&str; 12] = [
    "null",
    "-1",
    "1e308",
    "1e-320",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
    "true",
    "NaN",
    "0.5",
    "\"x\"",
];

/// Replaces the `at`-th JSON scalar behind a colon or comma by something odd.
fn with_odd_value(text: &[u8], at: Index, odd: &str) -> Vec<u8> {
    let starts: Vec<usize> =
        (1..text.len()).filter(|&i| matches!(text[i - 1], b':' | b',' | b'[') && text[i] != b' ').collect();
    if starts.is_empty() {
        return text.to_vec();
    }
    let start = starts[at.index(starts.len())];
    let end =
        (start..text.len()).find(|&i| matches!(text[i], b',' | b']' | b'}' | b'\n')).unwrap_or(text.len());
    [&text[..start], odd.as_bytes(), &text[end..]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&bytes);
    }

    #[test]
    fn no_damage_to_a_genuine_file_panics(
        name in prop::sample::select(&FIXTURES[..]),
        damage in prop::collection::vec((any::<Index>(), 0_usize..6, prop::collection::vec(any::<u8>(), 0..6)), 1..4),
    ) {
        let mut bytes = bytes(name);
        for (at, removed, added) in damage {
            let from = at.index(bytes.len());
            let to = (from + removed).min(bytes.len());
            bytes.splice(from..to, added);
        }
        survives(&bytes);
    }

    #[test]
    fn no_odd_value_in_a_genuine_file_panics(
        name in prop::sample::select(&FIXTURES[..]),
        at in any::<Index>(),
        odd in prop::sample::select(&ODD[..]),
    ) {
        survives(&with_odd_value(&bytes(name), at, odd));
    }

    #[test]
    fn no_cut_of_a_genuine_file_panics(name in prop::sample::select(&FIXTURES[..]), at in any::<Index>()) {
        let bytes = bytes(name);
        survives(&bytes[..at.index(bytes.len())]);
    }

    #[test]
    fn no_text_of_csv_characters_panics(text in "[-0-9.,:eE #\n]{0,80}") {
        for header in [
            "send_s,prompt_tokens,output_tokens,ttft_s,e2e_s",
            "step_s,prefill_tokens,decode_seqs,decode_ctx_tokens",
            "start_s,end_s,prefill_tokens,decode_seqs,context_tokens,scheduled,admitted,preempted",
        ] {
            survives(format!("{header}\n{text}").as_bytes());
        }
    }
}
