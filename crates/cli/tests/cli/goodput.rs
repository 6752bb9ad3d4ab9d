//! Goodput by class, fairness, cost and energy in `summary.json`.

use serde_json::Value;

use crate::program::Bench;

const CLASSES: &str = include_str!("../../../../scenarios/classes.toml");

fn summary(bench: &Bench, args: &[&str]) -> Value {
    let outcome = bench.kendall(&[&["run", "--json"], args].concat());
    serde_json::from_str(&outcome.succeeds().stdout).expect("JSON")
}

#[test]
fn classes_add_up_and_are_held_to_their_own_limits() {
    let bench = Bench::new();
    bench.write("classes.toml", CLASSES);
    let json = summary(&bench, &["classes.toml"]);
    let classes = json["classes"].as_array().unwrap();
    let sum = |key: &str| classes.iter().map(|class| class[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(Some(sum("num_requests")), json["num_requests"].as_u64());
    assert_eq!(Some(sum("output_tokens")), json["total_output_tokens"].as_u64());
    let share = classes[0]["num_requests"].as_f64().unwrap() / 5_000.0;
    assert!((share - 0.8).abs() < 0.02, "weights are 4 to 1: {share}");
    let (a, b) =
        (classes[0]["slo_attainment"].as_f64().unwrap(), classes[1]["slo_attainment"].as_f64().unwrap());
    let jain = (a + b) * (a + b) / (2.0 * (a * a + b * b));
    assert!((json["jain_fairness"].as_f64().unwrap() - jain).abs() < 1e-12);
    // A limit that nothing misses, for one class only.
    let loose = "workload.class=[{name=\"a\",slo={goodput={ttft_ms=1e6}},prompt_tokens={dist=\"constant\",tokens=9},output_tokens={dist=\"constant\",tokens=9}},{name=\"b\",prompt_tokens={dist=\"constant\",tokens=9},output_tokens={dist=\"constant\",tokens=9}}]";
    let json = summary(&bench, &["classes.toml", "--set", loose]);
    assert_eq!(json["classes"][0]["slo_attainment"].as_f64(), Some(1.0));
    assert!(json["classes"][1]["slo_attainment"].is_null() && json["jain_fairness"].is_null());
    let table = bench.kendall(&["run", "classes.toml"]).succeeds().stdout.clone();
    assert!(table.contains("summaries") && table.contains("(Jain)"), "{table}");
}

#[test]
fn a_million_tokens_cost_what_their_gpu_hours_cost() {
    let bench = Bench::new();
    let json = summary(&bench, &["--set", "workload.requests=500", "--set", "server.replicas=2"]);
    let cost = &json["cost"];
    let number = |value: &Value| value.as_f64().unwrap();
    let hours = 2.0 * number(&json["duration"]) / 3_600.0;
    let tokens = number(&json["total_output_tokens"]);
    let usd = number(&cost["price_usd_per_gpu_hour"]) * hours / tokens * 1e6;
    assert!((number(&cost["usd_per_million_output_tokens"]) / usd - 1.0).abs() < 1e-12);
    let busy = number(&cost["busy"]);
    assert!(busy > 0.0 && busy <= 1.0, "{busy}");
    let joules = 300.0 * (0.15 + 0.85 * busy) * hours * 3_600.0 / tokens;
    assert!((number(&cost["joules_per_output_token"]) / joules - 1.0).abs() < 1e-12);
    for key in ["price_source", "power_model"] {
        assert!(!cost[key].as_str().unwrap().is_empty(), "{key}");
    }
}
