//! `kendall import`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use kendall_report::OutputDir;

use crate::args::ImportArgs;
use crate::exit::{Failure, print};
use crate::import::import as read;

pub(crate) fn import(args: &ImportArgs) -> Result<ExitCode, Failure> {
    let imported = read(args)?;
    let mut table = imported.table;
    if imported.num_lost > 0 {
        let lost = imported.num_lost;
        // Writing to a string cannot fail.
        let _ = write!(table, "\n! not carried over, though they may change the result: {lost}");
    }
    let Some(out) = &args.out else {
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(std::io::stderr(), "{table}");
        print(&imported.text)?;
        return Ok(ExitCode::SUCCESS);
    };
    if out.exists() && !args.force {
        return Err(Failure::Invalid(format!(
            "{}: it exists: name another file, or add --force",
            out.display()
        )));
    }
    let Some(name) = out.file_name() else {
        return Err(Failure::Invalid(format!("--out {}: it names no file", out.display())));
    };
    let folder = out.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let written = OutputDir::create(folder)?.write(&name.to_string_lossy(), imported.text.as_bytes())?;
    written.publish()?;
    print(&format!("{table}\n\nwrote {}: kendall run {}\n", out.display(), out.display()))?;
    Ok(ExitCode::SUCCESS)
}
