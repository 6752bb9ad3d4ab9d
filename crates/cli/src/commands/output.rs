//! Files that a user names one by one: they appear under their names only once they are whole.

use std::path::Path;

use kendall_report::OutputDir;

use crate::exit::Failure;

/// The folder of a file, and its name.
pub(super) fn place(path: &Path) -> Result<(OutputDir, &str), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name else {
        return Err(Failure::Invalid(format!("{}: this is no name of a file", path.display())));
    };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((OutputDir::create(folder)?, name))
}

/// Writes a whole file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let (folder, name) = place(path)?;
    Ok(folder.write(name, text.as_bytes())?.publish()?)
}
