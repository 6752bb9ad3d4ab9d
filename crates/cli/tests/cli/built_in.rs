//! What is built in: the quick start, the schema, the catalogue, the scenarios of the repository.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::{Bench, QUICKSTART};

fn json_of(args: &[&str]) -> Value {
    let outcome = Bench::new().kendall(args);
    serde_json::from_str(&outcome.succeeds().stdout).expect("JSON on stdout")
}

fn validator() -> jsonschema::Validator {
    let schema = json_of(&["schema"]);
    assert!(jsonschema::meta::is_valid(&schema), "the schema is a JSON Schema");
    jsonschema::validator_for(&schema).expect("the schema compiles")
}

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let entries =
        std::fs::read_dir(folder).expect("the folder of scenarios").flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    files
}

fn as_json(toml: &str) -> Value {
    toml::from_str(toml).expect("TOML")
}

#[test]
fn without_arguments_the_embedded_quick_start_is_played() {
    let bench = Bench::new();
    bench.write("quickstart.toml", QUICKSTART);
    let embedded = bench.kendall(&["run"]);
    assert!(embedded.succeeds().stdout.contains("20,000 completed"), "{}", embedded.stdout);
    assert_eq!(embedded.stderr, "", "no progress where nobody sees it");
    assert_eq!(bench.kendall(&["run", "quickstart.toml"]).succeeds().stdout, embedded.stdout);
    assert_eq!(
        crate::program::names(&bench.path("")),
        ["quickstart.toml"],
        "without --out nothing is written"
    );
}

#[test]
fn the_schema_takes_every_scenario_of_the_repository() {
    let validator = validator();
    for path in scenarios() {
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let errors: Vec<_> = validator.iter_errors(&as_json(&text)).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", path.display());
    }
}

#[test]
fn the_schema_takes_what_the_program_takes() {
    let validator = validator();
    let bench = Bench::new();
    for (text, proper) in [
        ("step_time = { model = \"linear\", base_ps = 8_000_000_000, per_decode_seq_ps = 50_000_000 }", true),
        ("step_time = { model = \"linear\", base = 8 }", false),
        ("step_time = { model = \"cubic\" }", false),
        ("step_time = { model = \"roofline\" }", true),
        ("step_time = { model = \"roofline\", base_ps = 8 }", false),
        ("scheduling_policy = \"priority\"", true),
        ("scheduling_policy = \"lifo\"", false),
        ("max_num_seq = 3", false),
        ("watermark = -1", true),
    ] {
        let text = QUICKSTART.replace("engine = \"vllm-v1\"", text).replace("20_000", "5");
        assert_eq!(validator.is_valid(&as_json(&text)), proper, "schema: {text}");
        bench.write("mine.toml", &text);
        let accepted = bench.kendall(&["run", "mine.toml"]).code == Some(0);
        assert!(accepted == proper || text.contains("watermark"), "program: {text}");
    }
    let mut scenario = as_json(QUICKSTART);
    scenario["colour"] = json!("blue");
    assert!(!validator.is_valid(&scenario), "an unknown key at the top");
}

#[test]
fn every_scenario_of_the_repository_runs() {
    let bench = Bench::new();
    for path in scenarios() {
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let name = path.to_string_lossy();
        let mut opening = text.lines().take_while(|line| line.starts_with('#'));
        assert!(opening.any(|line| line.contains('?')), "{name} opens with the question that it answers");
        bench.kendall(&["run", &name, "--quiet"]).succeeds();
    }
}

#[test]
fn the_catalogue_has_sources_for_everything() {
    let catalog = json_of(&["catalog", "--json"]);
    for (part, least) in [("gpus", 16), ("models", 20)] {
        let entries = catalog[part].as_array().expect(part);
        assert!(entries.len() >= least, "{} {part}", entries.len());
        for entry in entries {
            let source =
                entry["source"].as_str().unwrap_or_else(|| panic!("{} has no source", entry["name"]));
            assert!(source.starts_with("http") || source.len() > 10, "{}: source `{source}`", entry["name"]);
        }
    }
    assert_eq!(catalog["engines"][0]["engine"], "vllm-v1");
    let table = Bench::new().kendall(&["catalog"]);
    for entry in catalog["gpus"].as_array().into_iter().chain(catalog["models"].as_array()).flatten() {
        assert!(table.succeeds().stdout.contains(entry["name"].as_str().expect("a name")));
    }
    assert_eq!(json_of(&["catalog", "models", "--json"])["models"], catalog["models"]);
}
