//! `kendall schema`

use std::process::ExitCode;

use kendall_serving::scenario::Scenario;

use crate::args::{SchemaArgs, SchemaFormat};
use crate::exit::{Failure, print};

use super::schema_text;

pub(crate) fn schema(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let schema = schemars::schema_for!(Scenario);
    let text = match args.format {
        SchemaFormat::Json => {
            serde_json::to_string_pretty(&schema).map_err(|error| Failure::Failed(error.to_string()))? + "\n"
        }
        SchemaFormat::Markdown => schema_text::markdown(schema.as_value()),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
