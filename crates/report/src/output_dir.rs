//! Files that appear whole or not at all: written under a temporary name beside their final one, then renamed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

/// A file or folder could not be written. Nothing under the final name was changed.
#[derive(Debug, Error)]
#[error("{}: cannot {doing}: {source}; {remedy}", path.display())]
pub struct OutputError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
    remedy: &'static str,
}

impl OutputError {
    fn new(path: &Path, doing: &'static str, source: io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space, or choose another folder with --out"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose a folder that you may write with --out"
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                "a file is in the way: choose another folder with --out"
            }
            io::ErrorKind::FileTooLarge => {
                "raise the limit on file sizes (ulimit -f), or choose another folder with --out"
            }
            _ => "choose another folder with --out",
        };
        Self { path: path.to_owned(), doing, source, remedy }
    }
}

/// End of the names of files that are being written.
const TEMPORARY: &str = ".part";

/// A folder for results.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
}

impl OutputDir {
    /// Creates the folder and its parents where they are missing.
    ///
    /// # Errors
    /// If that is impossible.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        std::fs::create_dir_all(path)
            .map_err(|source| OutputError::new(path, "create this folder", source))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Removes temporary files that a killed process left here. Nobody else may be writing to this folder.
    pub fn remove_leftovers(&self) {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') && name.ends_with(TEMPORARY) {
                // One that cannot be removed does no harm.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Begins the file `name`. It appears with [`WrittenFile::publish`]; dropped before that, it never was.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn begin(&self, name: &str) -> Result<OutputFile, OutputError> {
        let path = self.path.join(name);
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(TEMPORARY)
            .tempfile_in(&self.path)
            .map_err(|source| OutputError::new(&path, "write to this folder", source))?;
        // A handle of its own: errors of the temporary file name its temporary path.
        let file = temporary.as_file().try_clone();
        let file = file.map_err(|source| OutputError::new(&path, "write to this folder", source))?;
        Ok(OutputFile { path, temporary, writer: BufWriter::new(file) })
    }

    /// Writes a whole file, still under its temporary name.
    ///
    /// # Errors
    /// If the folder cannot be written or is full.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<WrittenFile, OutputError> {
        let mut file = self.begin(name)?;
        file.write_all(content)
            .map_err(|source| OutputError::new(&self.path.join(name), "write this file", source))?;
        file.finish()
    }
}

/// A file on its way. Write to it, finish it, publish it.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    temporary: NamedTempFile,
    writer: BufWriter<File>,
}

/// A file that is complete and on disk, but not yet under its final name. The files of one run are all written before
/// the first is published, so that a full disk leaves the results of the last run whole.
#[derive(Debug)]
#[must_use = "it never was unless it is published"]
pub struct WrittenFile {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl WrittenFile {
    /// Puts the file under its final name.
    ///
    /// # Errors
    /// If the rename fails.
    pub fn publish(self) -> Result<(), OutputError> {
        let Self { path, temporary } = self;
        temporary
            .persist(&path)
            .map_err(|failed| OutputError::new(&path, "write this file", failed.error))?;
        Ok(())
    }
}

impl OutputFile {
    /// Brings all that was written to the disk.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn finish(self) -> Result<WrittenFile, OutputError> {
        let Self { path, temporary, writer } = self;
        let error = |source| OutputError::new(&path, "write this file", source);
        let file = writer.into_inner().map_err(|failed| error(failed.into_error()))?;
        file.sync_all().map_err(error)?;
        set_usual_permissions(&temporary).map_err(error)?;
        Ok(WrittenFile { path, temporary })
    }

    /// An error of this file, for a writer on top of it.
    pub(crate) fn error(path: &Path, source: io::Error) -> OutputError {
        OutputError::new(path, "write this file", source)
    }

    /// The final name.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Temporary files are private; results are as readable as other files.
#[cfg(unix)]
fn set_usual_permissions(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_usual_permissions(_file: &NamedTempFile) -> io::Result<()> {
    Ok(())
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let out = OutputDir::create(&dir.path().join("a/b")).unwrap();
        let mut file = out.begin("x.csv").unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(dir.path().join("a/b")).unwrap().count(), 0);
        let written = out.write("x.csv", b"whole").unwrap();
        assert!(!dir.path().join("a/b/x.csv").exists());
        written.publish().unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/b/x.csv")).unwrap(), b"whole");
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("taken"), b"mine").unwrap();
        let error = OutputDir::create(&dir.path().join("taken")).unwrap_err().to_string();
        assert!(error.contains("taken: cannot create this folder") && error.contains("--out"), "{error}");
        assert_eq!(std::fs::read(dir.path().join("taken")).unwrap(), b"mine");
    }
}
