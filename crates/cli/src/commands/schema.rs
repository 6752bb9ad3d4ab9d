//! `kendall schema`

use std::process::ExitCode;

use kendall_serving::scenario::Scenario;

use crate::exit::{Failure, print};

pub(crate) fn schema() -> Result<ExitCode, Failure> {
    let schema = schemars::schema_for!(Scenario);
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Failure::Failed(error.to_string()))?;
    print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}
