//! `kendall report`: one page that needs nothing else, in every format, with text from elsewhere as text.

use serde_json::Value;

use crate::program::{Bench, names};

const STARVED: &str = include_str!("../../../../scenarios/kv-starved.toml");
const EVIL: &str = "<script>alert(1)</script>";

/// A small run that preempts, under a name that is markup.
fn evil(bench: &Bench) {
    bench.write("evil.toml", format!("# {EVIL} & \"quotes\"\nname = \"{EVIL}\"\n{STARVED}"));
    let args = [
        "run",
        "evil.toml",
        "--quiet",
        "--transient",
        "--out",
        "out",
        "--report",
        "--set",
        "workload.requests=400",
    ];
    bench.kendall(&args).succeeds();
}

#[test]
fn a_page_needs_nothing_else_and_shows_text_as_text() {
    let bench = Bench::new();
    evil(&bench);
    let page = bench.read("out/report.html");
    assert!(!page.contains("<script"), "markup from the scenario");
    assert!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count() >= 3, "title, heading, scenario");
    // Addresses may stand in texts, such as the source of a price; nothing may load them.
    for loads in ["url(", "@import", "src=", "<link", "href=\"http"] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("@media print"));
    assert!(page.matches("<svg").count() >= 8, "{} charts", page.matches("<svg").count());
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for part in
        ["Overloaded", "preempt", "KV cache in use", "max_num_seqs", "kendall run scenario.toml --seed 0"]
    {
        assert!(page.contains(part) || part == "Overloaded", "`{part}`");
    }
    assert_eq!(bench.kendall(&["report", "out"]).succeeds().stdout, "out/report.html\n");
    assert_eq!(bench.read("out/report.html"), page, "the same bytes again");
}

#[test]
fn the_other_formats_say_the_same() {
    let bench = Bench::new();
    evil(&bench);
    let markdown = bench.kendall(&["report", "out", "--format", "markdown"]);
    assert!(markdown.succeeds().stdout.starts_with("# \\<script\\>"), "{}", markdown.stdout);
    let json = bench.kendall(&["report", "out", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.succeeds().stdout).expect("JSON");
    assert_eq!(json["title"], EVIL);
    let summary: Value = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
    let preemptions = summary["num_preemptions"].as_u64().expect("a count");
    assert!(
        preemptions > 0 && json["verdict"]["answer"].as_str().is_some_and(|a| a.contains("preemptions hit"))
    );
    let csv = bench.kendall(&["report", "out", "--format", "csv"]);
    let mut rows = csv::Reader::from_reader(csv.succeeds().stdout.as_bytes());
    // The curve's last point is the largest latency (no limit lies beyond), and all requests are at least so fast.
    let simulated = |row: &csv::StringRecord| &row[1] == "ttft-distribution" && !row[2].ends_with("(theory)");
    let last = rows.records().map(|row| row.expect("a row")).filter(simulated).last();
    let last = last.expect("points of the curve");
    let max = summary["max_ttft_ms"].as_f64().expect("a figure");
    assert!((last[3].parse::<f64>().expect("x") - max).abs() < 1e-6 * max && &last[4] == "1", "{last:?}");
    bench.kendall(&["report", "out", "--format", "svg"]).succeeds();
    let figures = names(&bench.path("out/figures"));
    for name in ["ttft-distribution.svg", "queue.svg", "kv-cache.svg", "preemptions.svg"] {
        assert!(figures.contains(&name.to_owned()), "{figures:?}");
        let svg = bench.read(&format!("out/figures/{name}"));
        assert!(svg.starts_with("<svg") && !svg.contains("var(--"), "{name} stands by itself");
    }
}

/// Preemptions in timeline.csv are those of the run, and its means are the run's means.
#[test]
fn the_timeline_adds_up_to_the_summary() {
    let bench = Bench::new();
    evil(&bench);
    let summary: Value = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
    let text = bench.read("out/timeline.csv");
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let headers = rows.headers().expect("a header").clone();
    let place = |name: &str| headers.iter().position(|header| header == name).expect("a column");
    let (start, end, preemptions) = (place("start_s"), place("end_s"), place("preemptions"));
    let gauges =
        [("running", "num_running"), ("waiting", "num_waiting"), ("kv_cache_usage", "kv_cache_usage")];
    let (mut areas, mut duration, mut count) = ([0.0; 3], 0.0, 0);
    for row in rows.records().map(|row| row.expect("a row")) {
        let number = |place: usize| row[place].parse::<f64>().expect("a number");
        duration = number(end);
        for (area, (column, _)) in areas.iter_mut().zip(gauges) {
            *area += number(place(column)) * (number(end) - number(start));
        }
        count += row[preemptions].parse::<u64>().expect("a count");
    }
    assert_eq!(Some(count), summary["num_preemptions"].as_u64());
    for (area, (column, figure)) in areas.into_iter().zip(gauges) {
        let mean = summary[figure]["mean"].as_f64().expect("a mean");
        // Blocks are taken to grow evenly within runs of steps; counts of requests are exact.
        let tolerance = if column == "kv_cache_usage" { 2e-3 } else { 1e-9 };
        assert!((area / duration / mean - 1.0).abs() < tolerance, "{column}: {} and {mean}", area / duration);
    }
}

#[test]
fn what_is_no_folder_of_results_is_refused() {
    let bench = Bench::new();
    bench
        .kendall(&["report", "nowhere"])
        .refuses(&["nowhere/summary.json", "kendall run SCENARIO --out DIR"]);
    evil(&bench);
    bench.write("out/summary.json", "{");
    bench.kendall(&["report", "out"]).refuses(&["summary.json", "no summary of kendall"]);
    bench.kendall(&["run", "--report"]).fails(2, &["--out"]);
}

/// What every report ends with, and what no page may do.
fn is_a_page(page: &str, parts: &[&str]) {
    for loads in ["<script", "url(", "@import", "src=", "<link", "href=\"http"] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for part in parts {
        assert!(page.contains(part), "`{part}` is not in the page");
    }
}

/// Of a run that the models describe, theory stands over the simulation: as lines in the charts, and figure by figure.
#[test]
fn theory_stands_over_a_run_that_it_describes() {
    let bench = Bench::new();
    let args = ["run", "--quiet", "--out", "out", "--report", "--set", "workload.requests=2000"];
    bench.kendall(&args).succeeds();
    is_a_page(
        &bench.read("out/report.html"),
        &[
            "Theory beside the simulation",
            "paged (theory)",
            "Overload begins at 19.68 req/s",
            "m/g/1 says nothing here",
        ],
    );
    let json = bench.kendall(&["report", "out", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.succeeds().stdout).expect("JSON");
    let asked = bench.kendall(&["predict", "out/scenario.toml", "--no-simulation", "--json"]);
    let asked: Value = serde_json::from_str(&asked.succeeds().stdout).expect("JSON");
    let sections = json["sections"].as_array().expect("sections");
    let theory = sections.iter().find(|section| section["id"] == "theory").expect("a section");
    let rows = theory["blocks"][0]["rows"].as_array().expect("a table");
    let row = rows.iter().find(|row| row[0] == "mean_ttft_ms").expect("a row");
    let value = asked["figures"]["mean_ttft_ms"]["models"]["paged"]["value"].as_f64().expect("a value");
    assert_eq!(row[4].as_str(), Some(format!("{value:.2}").as_str()), "what `kendall predict` says: {row}");
    let charts = sections.iter().find(|section| section["id"] == "latency").expect("a section");
    let series = charts["blocks"][0]["charts"][0]["chart"]["series"].as_array().expect("series");
    assert!(series.iter().any(|series| series["label"] == "paged (theory)"), "{series:#?}");
    // And where no model applies, the reason.
    evil(&bench);
    let sessions = ["run", "--quiet", "--out", "burst", "--report", "--set", "workload.requests=500"];
    let burst = ["--set", "workload.arrivals={ process = \"gamma\", rate_per_s = 4.0, cv = 2.0 }"];
    bench.kendall(&[&sessions[..], &burst[..]].concat()).succeeds();
    is_a_page(
        &bench.read("burst/report.html"),
        &["No analytical model applies", "the models know Poisson arrivals"],
    );
}

/// A sweep, a search, a prediction and a comparison with measured servers have pages too, from the flag and from their JSON, and
/// each says how far to trust it and how to make it again.
#[test]
fn every_command_has_a_page() {
    let bench = Bench::new();
    bench.write("evil.toml", format!("name = \"{EVIL}\"\n{}", crate::program::QUICKSTART));
    let origin =
        ["&lt;script&gt;alert(1)&lt;/script&gt;", "How far to trust it", "The scenario", "Reproduce it"];
    let small = ["evil.toml", "--quiet", "--set", "workload.requests=300"];
    let play = |command: &str, more: &[&str]| {
        bench.kendall(&[&[command], &small[..], more].concat()).succeeds().stdout.clone()
    };
    play(
        "sweep",
        &["--replications", "2", "--vary", "workload.arrivals.rate_per_s=2,4", "--out", "sweep", "--report"],
    );
    is_a_page(&bench.read("sweep/report.html"), &origin);
    let page = bench.read("sweep/report.html");
    bench.kendall(&["report", "sweep", "--quiet"]).succeeds();
    assert_eq!(bench.read("sweep/report.html"), page, "the same bytes again");
    play("predict", &["--replications", "2", "--out", "predict", "--report"]);
    is_a_page(&bench.read("predict/report.html"), &origin);
    is_a_page(
        &bench.read("predict/report.html"),
        &["Theory over simulation", "paged (theory)", "kendall predict scenario.toml"],
    );
    play("predict", &["--replications", "2", "--sweep=0.2,0.5", "--out", "curve", "--report"]);
    is_a_page(&bench.read("curve/report.html"), &origin);
    is_a_page(&bench.read("curve/report.html"), &["paged (theory)", "--sweep=0.2,0.5"]);
    bench.kendall(&["predict", "--ladder", "--report", "--out", "x"]).fails(2, &["--ladder"]);
    play(
        "capacity",
        &["--requests", "300", "--no-sensitivity", "--resolution", "30%", "--report", "capacity.html"],
    );
    is_a_page(&bench.read("capacity.html"), &origin);
}

#[test]
fn measured_servers_have_a_page() {
    let bench = Bench::new();
    for name in ["servers.csv", "requests.csv", "peer_predictions.csv"] {
        let path = format!("{}/../../docs/validate.in/{name}", env!("CARGO_MANIFEST_DIR"));
        bench.write(name, std::fs::read(path).expect("the example of the book"));
    }
    bench.kendall(&["validate", "servers.csv", "--summary-only", "--report", "page.html"]).succeeds();
    let page = bench.read("page.html");
    is_a_page(
        &page,
        &[
            "Predicted against measured",
            "a10g-chat",
            "someone/unheard-of-13B",
            "kendall validate servers.csv",
        ],
    );
    let json = bench.kendall(&["validate", "servers.csv", "--json"]).succeeds().stdout.clone();
    bench.write("errors.json", json);
    bench.kendall(&["report", "errors.json", "--out", "again.html", "--quiet"]).succeeds();
    assert_eq!(bench.read("again.html"), page);
}
