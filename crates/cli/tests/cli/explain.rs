//! `kendall explain`: parts that sum exactly, on a run that preempts, and what it refuses.

use serde_json::Value;

use crate::program::Bench;

const STARVED: &str = include_str!("../../../../scenarios/kv-starved.toml");

/// A run that preempts, in `out`.
fn starved(bench: &Bench) {
    bench.write("starved.toml", STARVED);
    let args = ["run", "starved.toml", "--quiet", "--out", "out", "--set", "workload.requests=600"];
    bench.kendall(&args).succeeds();
}

fn parts_sum(request: &Value, parts: &str, whole: &str) -> u64 {
    let sum =
        request[parts].as_object().expect("parts").values().map(|part| part.as_u64().expect("ps")).sum();
    assert_eq!(Some(sum), request[whole].as_u64(), "{request}");
    sum
}

/// Acceptance: for every request of a preempting run the parts sum to TTFT and E2E, and those are the times in
/// requests.csv, picosecond by picosecond.
#[test]
fn every_request_of_a_preempting_run_adds_up() {
    let bench = Bench::new();
    starved(&bench);
    let outcome = bench.kendall(&["explain", "out", "--worst", "600", "--by", "e2el", "--json"]);
    let explained: Value = serde_json::from_str(&outcome.succeeds().stdout).expect("JSON");
    let requests = explained["requests"].as_array().expect("requests");
    assert_eq!(requests.len(), 600);
    let text = bench.read("out/requests.csv");
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let headers = rows.headers().expect("a header").clone();
    let place = |name: &str| headers.iter().position(|header| header == name).expect("a column");
    let (number, ttft, e2e) = (place("request"), place("ttft_s"), place("e2el_s"));
    let ps = |text: &str| text.replace('.', "").parse::<u64>().expect("seconds with twelve decimals");
    let mut preempted = 0;
    for row in rows.records().map(|row| row.expect("a row")) {
        let request = requests.iter().find(|request| request["request"].as_u64() == row[number].parse().ok());
        let request = request.expect("explained");
        assert_eq!(parts_sum(request, "ttft_parts_ps", "ttft_ps"), ps(&row[ttft]));
        assert_eq!(parts_sum(request, "sojourn_parts_ps", "sojourn_ps"), ps(&row[e2e]));
        let lost = request["sojourn_parts_ps"]["preempted"].as_u64() > Some(0);
        assert!(!lost || request["preemptions"].as_u64() > Some(0));
        preempted += u32::from(lost);
    }
    assert!(preempted > 20, "{preempted} requests were preempted: the run does not test what it should");
}

#[test]
fn it_tells_the_story_of_a_request_and_of_the_tail() {
    let bench = Bench::new();
    starved(&bench);
    let story = bench.kendall(&["explain", "out", "500"]);
    for part in ["request 500 of starved, seed 0", "own prefill", "own decode", "sum", "It was sent at"] {
        assert!(story.succeeds().stdout.contains(part), "`{part}`:\n{}", story.stdout);
    }
    let tail = bench.kendall(&["explain", "out", "--worst", "3"]);
    assert!(tail.succeeds().stdout.contains("mean of these 3 requests"), "{}", tail.stdout);
    assert!(!tail.stdout.contains('\u{1b}'), "no colour where nobody sees it");
    let wide = |columns: &str| {
        let mut command = bench.command(&["explain", "out", "500"]);
        let text = crate::program::finish({
            command.env("COLUMNS", columns);
            command
        })
        .succeeds()
        .stdout
        .clone();
        text.lines().map(|line| line.chars().count()).max()
    };
    assert!(wide("70") < wide("120"), "the width of the terminal is respected");
    assert!(wide("70") <= Some(86));
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let bench = Bench::new();
    starved(&bench);
    bench.kendall(&["explain", "out"]).refuses(&["name requests by number", "--worst 10"]);
    bench.kendall(&["explain", "out", "600"]).refuses(&["request 600 is not in the run", "0 to 599"]);
    bench.kendall(&["explain", "out", "7", "x"]).refuses(&["`x` is no number of a request"]);
    bench.kendall(&["explain", "out", "7", "--seed", "1"]).refuses(&["is played as it was", "--seed"]);
    let changed = bench.read("out/requests.csv");
    let first_finish =
        changed.lines().nth(1).and_then(|row| row.split(',').nth(9)).expect("finish_s").to_owned();
    let number = changed.lines().nth(1).and_then(|row| row.split(',').next()).expect("request").to_owned();
    bench.write("out/requests.csv", changed.replace(&first_finish, "1.000000000000"));
    bench.kendall(&["explain", "out", &number]).refuses(&["another time", "another version"]);
    std::fs::remove_file(bench.path("out/summary.json")).expect("a result");
    bench.kendall(&["explain", "out", "7"]).refuses(&["summary.json", "kendall run --out"]);
}

/// Two requests of 1,000 prompt and 10 output tokens, the second when the first is long gone. A step takes 10 ms and 20 us for
/// each token of a prompt; the front end takes nothing.
const ALONE: &str = "
[workload]
requests = 2
arrivals = { process = \"constant\", rate_per_s = 0.1 }
prompt_tokens = { dist = \"constant\", tokens = 1_000 }
output_tokens = { dist = \"constant\", tokens = 10 }
[server]
num_gpu_blocks = 1_000
max_model_len = 4_096
front_end_overhead_ms = 0
step_time = { model = \"linear\", base_ps = 10_000_000_000, per_prefill_token_ps = 20_000_000 }
";

/// The first and the second request with these changes to `[server]`.
fn alone(changes: &[&str]) -> [Value; 2] {
    let bench = Bench::new();
    bench.write("alone.toml", ALONE);
    let changes: Vec<String> = changes.iter().map(|change| format!("server.{change}")).collect();
    let mut arguments = vec!["explain", "alone.toml", "0", "1", "--json"];
    arguments.extend(changes.iter().flat_map(|change| ["--set", change]));
    let outcome = bench.kendall(&arguments);
    let explained: Value = serde_json::from_str(&outcome.succeeds().stdout).expect("JSON");
    let requests = explained["requests"].as_array().expect("requests").clone();
    for request in &requests {
        parts_sum(request, "ttft_parts_ps", "ttft_ps");
        parts_sum(request, "sojourn_parts_ps", "sojourn_ps");
        let front_end: u64 = request["front_end_parts_ps"]
            .as_object()
            .expect("parts")
            .values()
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(request["ttft_parts_ps"]["front_end"].as_u64(), Some(front_end));
    }
    requests.try_into().expect("two requests")
}

fn ps(request: &Value, pointer: &str) -> u64 {
    request.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} of {request}"))
}

/// Each key of the front end makes TTFT and E2E longer by exactly what it says, in its own part, and leaves what the
/// engine does alone: TTFT is 30 ms without a front end, and every further token 10 ms.
#[test]
fn keys_of_the_front_end_move_a_lone_request_by_what_they_say() {
    const MS: u64 = 1_000_000_000;
    for (changes, part, first, second) in [
        (&["front_end_overhead_ms=20"][..], "receipt", 20 * MS, 20 * MS),
        (&["tokenising_us_per_token=7.5"], "tokenising", 7_500_000 * 1_000, 7_500_000 * 1_000),
        (&["streaming_us_per_token=300"], "streaming", 300_000_000, 300_000_000),
        (&["cold_start_ms=600"], "held_up", 600 * MS, 0),
        (&[], "receipt", 0, 0),
    ] {
        for (request, longer) in alone(changes).iter().zip([first, second]) {
            assert_eq!(ps(request, "/ttft_ps"), 30 * MS + longer, "{changes:?}");
            assert_eq!(ps(request, "/sojourn_ps"), 120 * MS + longer, "{changes:?}");
            assert_eq!(ps(request, &format!("/front_end_parts_ps/{part}")), longer, "{changes:?}");
            assert_eq!(ps(request, "/ttft_parts_ps/prefill"), 30 * MS);
            assert_eq!(ps(request, "/sojourn_parts_ps/decode"), 90 * MS);
        }
    }
}

#[test]
fn keys_of_the_front_end_add_up() {
    let all = [
        "front_end_overhead_ms=20",
        "tokenising_us_per_token=7",
        "streaming_us_per_token=300",
        "cold_start_ms=600",
    ];
    let [first, second] = alone(&all);
    for (request, held_up) in [(&first, 600_000_000_000), (&second, 0)] {
        let parts = [20_000_000_000, 7_000_000_000, 300_000_000, held_up];
        for (part, ps_of_part) in ["receipt", "tokenising", "streaming", "held_up"].iter().zip(parts) {
            assert_eq!(ps(request, &format!("/front_end_parts_ps/{part}")), ps_of_part);
        }
        assert_eq!(ps(request, "/ttft_ps"), 30_000_000_000 + parts.iter().sum::<u64>());
    }
}
