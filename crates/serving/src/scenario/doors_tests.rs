//! Keys of orders and admission, and what is wrong with them.

use super::{Beside, Scenario, resolve_with_files};
use crate::zoo::{Order, ZooConfig};

const SCENARIO: &str = r#"
[server]
engine = "orca"
max_model_len = 2048
num_gpu_blocks = 16384
step_time = { model = "curve" }

[slo]
goodput = { tpot_ms = 50 }

[workload]
requests = 10
arrivals = { process = "poisson", rate_per_s = 1.0 }
prompt_tokens = { dist = "constant", tokens = 100 }
output_tokens = { dist = "constant", tokens = 10 }

[[workload.class]]
name = "chat"
slo = { goodput = { ttft_ms = 500 } }

[[workload.class]]
name = "batch"
"#;

const TABLE: &str = "# class: largest size in tokens; 0: 100\ninside_0,accept_0\n0,1\n1,0\n";

fn resolved(keys: &str, table: Option<&str>) -> Result<ZooConfig, String> {
    let text = SCENARIO.replace("[server]\n", &format!("[server]\n{keys}\n"));
    let scenario = Scenario::from_toml(&text).map_err(|error| error.to_string())?;
    let beside = Beside { admission_table: table, ..Beside::default() };
    let resolved = resolve_with_files(&scenario, beside).map_err(|error| error.to_string())?;
    Ok(resolved.simulation.engine.zoo.expect("an engine of the zoo"))
}

#[test]
fn keys_reach_the_engine() {
    let zoo = resolved(
        "queue_order = \"predicted_sjf\"\nqueue_limit = 7\nqueue = { prediction_sigma = 1.5 }\nadmission = { \
         slo_aware = true, token_bucket = { tokens_per_s = 10, burst_tokens = 20 }, kv_reservation = { \
         output_tokens = 30 }, policy_table = \"t.csv\" }",
        Some(TABLE),
    )
    .expect("a scenario");
    assert_eq!((zoo.order, zoo.queue.prediction_sigma.to_bits()), (Order::PredictedSjf, 1.5_f64.to_bits()));
    let admission = &zoo.admission;
    assert_eq!((admission.queue_limit, admission.slo_aware), (Some(7), true));
    let bucket = admission.token_bucket.expect("a bucket");
    assert_eq!(
        (bucket.tokens_per_s.to_bits(), bucket.burst_tokens.to_bits()),
        (10_f64.to_bits(), 20_f64.to_bits())
    );
    let kv = admission.kv_reservation.expect("a reservation");
    assert_eq!((kv.output_tokens, kv.share.to_bits()), (30, 1_f64.to_bits()));
    assert_eq!(admission.table.as_ref().map(|table| table.num_states()), Some(2));
    let limit_ms = |class| zoo.ttft_limits.of(class).map(|limit| limit.as_secs_f64() * 1e3);
    assert_eq!(
        (limit_ms(0), limit_ms(1)),
        (Some(500.0), None),
        "the second class has the scenario's objectives"
    );
}

#[test]
fn mistakes_name_the_key_and_the_remedy() {
    for (keys, parts) in [
        ("queue_order = \"lifo\"", ["lifo", "fair_share"]),
        ("queue = { sigma = 1.0 }", ["sigma", "prediction_sigma"]),
        ("queue = { prediction_sigma = 1.0 }", ["queue.prediction_sigma", "predicted_sjf"]),
        ("queue = { output_weight = 5 }", ["queue.output_weight", "fair_share"]),
        (
            "queue_order = \"predicted_sjf\"\nqueue = { prediction_sigma = -1.0 }",
            ["prediction_sigma", "between 0 and 10"],
        ),
        (
            "queue_order = \"fair_share\"\nqueue = { prompt_weight = 0, output_weight = 0 }",
            ["output_weight", "nothing would count"],
        ),
        ("admission = { bucket = 1 }", ["bucket", "token_bucket"]),
        (
            "admission = { token_bucket = { tokens_per_s = 0.0, burst_tokens = 1.0 } }",
            ["tokens_per_s", "above 0"],
        ),
        (
            "admission = { kv_reservation = { output_tokens = 1, share = nan } }",
            ["kv_reservation.share", "above 0"],
        ),
        ("admission = { policy_table = \"t.csv\" }", ["admission.policy_table", "t.csv"]),
    ] {
        let error = resolved(keys, None).expect_err(keys);
        assert!(parts.iter().all(|part| error.contains(part)), "{keys}: {error}");
    }
    let error = resolved("admission = { policy_table = \"t.csv\" }", Some("0,1")).expect_err("no table");
    assert!(error.contains("t.csv") && error.contains("line 1"), "{error}");
}

#[test]
fn deadlines_need_a_limit() {
    for keys in ["queue_order = \"earliest_deadline\"", "admission = { slo_aware = true }"] {
        resolved(keys, None).expect(keys);
        let text = SCENARIO.replace("slo = { goodput = { ttft_ms = 500 } }\n", "");
        let text = text.replace("[server]\n", &format!("[server]\n{keys}\n"));
        let scenario = Scenario::from_toml(&text).expect("a scenario");
        let error = resolve_with_files(&scenario, Beside::default()).expect_err("no limit").to_string();
        assert!(error.contains("ttft_ms"), "{error}");
    }
}

#[test]
fn vllm_has_none_of_them() {
    for keys in ["queue_order = \"fcfs\"", "queue_limit = 3", "queue = {}", "admission = {}"] {
        let text =
            SCENARIO.replace("engine = \"orca\"\n", "").replace("[server]\n", &format!("[server]\n{keys}\n"));
        let scenario = Scenario::from_toml(&text).expect("a scenario");
        let error = resolve_with_files(&scenario, Beside::default()).expect_err("vLLM").to_string();
        assert!(error.contains("scheduling_policy"), "{error}");
    }
}
