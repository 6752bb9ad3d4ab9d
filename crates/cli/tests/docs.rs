//! The book holds together: console blocks print what they show, pages made from types are up to date, links lead somewhere.

use std::path::{Path, PathBuf};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn console_blocks_print_what_they_show() {
    // Paths in them begin at the top of the repository, or in the folder PAGE.in beside the page.
    std::env::set_current_dir(REPOSITORY).expect("the repository");
    trycmd::TestCases::new()
        // The width of help, whatever the terminal is.
        .env("COLUMNS", "100")
        .case("README.md")
        .case("docs/*.md")
        .case("docs/tutorial/*.md")
        .case("docs/guides/*.md")
        .case("docs/concepts/*.md")
        .case("docs/reference/*.md");
}

/// `kendall schema --format markdown > docs/reference/scenario.md` makes the page again.
#[test]
fn the_page_of_the_scenario_file_is_made_from_its_types() {
    let page =
        std::fs::read_to_string(Path::new(REPOSITORY).join("docs/reference/scenario.md")).expect("the page");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_kendall"))
        .args(["schema", "--format", "markdown"])
        .output();
    let made = String::from_utf8(made.expect("kendall runs").stdout).expect("text");
    assert!(
        page == made,
        "docs/reference/scenario.md is old: kendall schema --format markdown > docs/reference/scenario.md"
    );
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("book") {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// Targets of `[text](target)` and `[name]: target` outside of code.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        if in_code {
            continue;
        }
        targets.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
    }
    targets
}

/// Every page is in the book, and every link within the repository leads to a file.
#[test]
fn links_lead_somewhere_and_every_page_is_in_the_book() {
    let docs = Path::new(REPOSITORY).join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).expect("SUMMARY.md");
    let listed = targets(&summary);
    let mut lost = Vec::new();
    let readmes = ["README.md", "ARCHITECTURE.md"].map(|name| Path::new(REPOSITORY).join(name));
    for page in pages(&docs).into_iter().chain(readmes) {
        let name = page.strip_prefix(&docs).ok().and_then(Path::to_str);
        if let Some(name) = name.filter(|&name| name != "SUMMARY.md")
            && !name.contains(".in/")
            && !name.contains(".out/")
            && !listed.iter().any(|target| target == name)
        {
            lost.push(format!("{name} is not in SUMMARY.md"));
        }
        let text = std::fs::read_to_string(&page).expect("a page");
        for target in targets(&text) {
            let path = target.split('#').next().unwrap_or_default();
            let is_outside = target.contains("://") || path.is_empty();
            if !is_outside && !page.parent().expect("a folder").join(path).exists() {
                lost.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// What the tutorials tell the reader to save is what their commands run on.
#[test]
fn the_scenarios_of_the_tutorials_are_those_that_run() {
    let tutorial = Path::new(REPOSITORY).join("docs/tutorial");
    for (page, file) in [("first-answer", "my.toml"), ("vllm-to-capacity", "plan.toml")] {
        let text = std::fs::read_to_string(tutorial.join(format!("{page}.md"))).expect("a page");
        let shown =
            text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a scenario");
        let run = std::fs::read_to_string(tutorial.join(format!("{page}.in/{file}"))).expect("a scenario");
        assert_eq!(shown, run, "{page}");
    }
}

/// Numbers on both sides of each ` +- `, as they are written.
fn intervals(text: &str) -> Vec<(String, String)> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | 'e' | '-');
    let pieces: Vec<&str> = text.split(" +- ").collect();
    let pairs = pieces.windows(2).filter_map(|pair| {
        let mean = pair[0].rsplit(|c| !is_part(c)).next()?;
        let half_width = pair[1].split(|c| !is_part(c)).next()?;
        let clean = |number: &str| number.replace(',', "").trim_end_matches(['.', '-', 'e']).to_owned();
        Some((clean(mean), clean(half_width)))
    });
    pairs.filter(|(mean, half_width)| !mean.is_empty() && !half_width.is_empty()).collect()
}

/// Whether a number is another one rounded to the decimals that it shows.
fn is_rounded(shown: &str, value: f64) -> bool {
    let decimals = shown.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let half_a_digit = 0.5 * 10_f64.powi(-i32::try_from(decimals).expect("a few digits"));
    // Results are rounded themselves, to four digits.
    shown.parse::<f64>().is_ok_and(|shown| (shown - value).abs() <= half_a_digit + 1e-3 * value.abs())
}

/// Every interval that the findings of a study state is one of its results, rounded: what a study's command rebuilds and what its
/// page says cannot drift apart.
#[test]
fn findings_state_what_was_measured() {
    let studies = Path::new(REPOSITORY).join("analysis");
    let mut checked = 0;
    let mut strange = Vec::new();
    for entry in std::fs::read_dir(studies).expect("studies").flatten() {
        let [findings, results] =
            ["README.md", "results.md"].map(|name| std::fs::read_to_string(entry.path().join(name)));
        let (Ok(findings), Ok(results)) = (findings, results) else { continue };
        let results: Vec<(f64, f64)> = intervals(&results)
            .into_iter()
            .map(|(mean, half_width)| {
                (mean.parse().expect("a mean"), half_width.parse().expect("a half-width"))
            })
            .collect();
        for (mean, half_width) in intervals(&findings) {
            // Percent, thousands, seconds instead of milliseconds.
            let known = [1.0, 1e-2, 1e2, 1e-3, 1e3].into_iter().any(|scale| {
                results
                    .iter()
                    .any(|&(m, h)| is_rounded(&mean, m * scale) && is_rounded(&half_width, h * scale))
            });
            checked += 1;
            if !known {
                strange.push(format!("{}: {mean} +- {half_width}", entry.path().display()));
            }
        }
    }
    assert!(strange.is_empty(), "not among the results: {strange:#?}");
    assert!(checked > 40, "only {checked} intervals were found");
}
