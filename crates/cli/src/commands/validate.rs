//! `kendall validate`

use std::path::Path;
use std::process::ExitCode;

use kendall_report::{Colours, scatter};
use kendall_serving::catalog::Profile;
use kendall_serving::step_time::roofline::Efficiencies;
use kendall_validate::{Peers, RowResult, StepTimeChoice, Table, Validation, validate as compare};

use super::output;
use super::report::write_page;
use super::validate_text as text;
use crate::args::{StepTimes, ValidateArgs};
use crate::exit::{Failure, print};

/// Predictions of other simulators lie under this name beside a table.
const PEERS_FILE: &str = "peer_predictions.csv";

pub(crate) fn validate(args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let table = Table::of_servers(&args.table).map_err(|error| Failure::Invalid(error.to_string()))?;
    let peers = peers(args)?;
    let given = args.profile.iter().map(|path| profile(path)).collect::<Result<Vec<_>, _>>()?;
    let choice = match args.step_time {
        StepTimes::Roofline => StepTimeChoice::roofline(),
        StepTimes::Auto if given.is_empty() => StepTimeChoice::catalogue(),
        StepTimes::Auto => StepTimeChoice::of(&given),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| Failure::Failed(format!("cannot start threads: {error}")))?;
    let validation = pool.install(|| compare(&table, &peers, choice, Efficiencies::built_in()));
    if let Some(path) = &args.plot {
        write_plot(path, &validation.rows)?;
    }
    let json = to_json(args, &validation)?;
    if let Some(path) = &args.report {
        write_page(path, &json)?;
    }
    print(&if args.json { format!("{json:#}\n") } else { text::report(&validation, !args.summary_only) })?;
    Ok(ExitCode::SUCCESS)
}

fn profile(path: &Path) -> Result<Profile, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Invalid(format!("cannot read {}: {error}", path.display())))?;
    Profile::from_toml(&text, &path.display().to_string())
        .map_err(|error| Failure::Invalid(error.to_string()))
}

fn peers(args: &ValidateArgs) -> Result<Peers, Failure> {
    let beside = args.table.with_file_name(PEERS_FILE);
    let path = match &args.peers {
        Some(path) => path,
        None if beside.is_file() => &beside,
        None => return Ok(Peers::default()),
    };
    Peers::read(path).map_err(|error| Failure::Invalid(error.to_string()))
}

/// Predicted against measured means of the rows that count.
pub(super) fn write_plot(path: &Path, rows: &[RowResult]) -> Result<(), Failure> {
    let series = [("ttft_mean", "mean TTFT"), ("tpot_mean", "mean TPOT"), ("e2e_mean", "mean E2E")];
    let series = series.map(|(metric, label)| {
        let counted = rows.iter().filter(|row| row.counted);
        let pair = |compared: &kendall_validate::Compared| Some((compared.measured?, compared.predicted));
        let pairs = counted.filter_map(|row| pair(row.metrics.get(metric)?));
        (label, pairs.filter(|&(measured, predicted)| measured > 0.0 && predicted > 0.0).collect())
    });
    let title = "Predicted against measured latencies, one dot a row";
    let svg = scatter(title, "s", &series).to_svg(Colours::Fixed);
    let svg = svg.map_err(|error| Failure::Failed(error.to_string()))?;
    output::write(path, &svg)
}

/// The comparison as a report reads it: what `--json` prints, with what it was made of.
fn to_json(args: &ValidateArgs, validation: &Validation) -> Result<serde_json::Value, Failure> {
    let json = serde_json::to_value(validation);
    let mut json = json.map_err(|error| Failure::Failed(format!("cannot write JSON: {error}")))?;
    if let Some(fields) = json.as_object_mut() {
        let table = args.table.file_name().unwrap_or_default().to_string_lossy();
        fields.insert("kendall_version".into(), env!("CARGO_PKG_VERSION").into());
        let words = ["kendall", "validate", table.as_ref()];
        let roofline = (args.step_time == StepTimes::Roofline).then_some(["--step-time", "roofline"]);
        let words = words.into_iter().chain(roofline.into_iter().flatten());
        fields.insert("command".into(), shlex::try_join(words).unwrap_or_default().into());
        fields.insert("table".into(), table.as_ref().into());
    }
    Ok(json)
}
