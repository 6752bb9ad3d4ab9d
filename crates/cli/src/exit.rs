//! How the program ends, and what it says when it fails.

use std::io::{self, Write};
use std::process::ExitCode;

use kendall_report::OutputError;

use crate::progress::interrupted_code;

/// A reason to stop, with its exit code.
pub(crate) enum Failure {
    /// The run failed: 1.
    Failed(String),
    /// The input is invalid: 2.
    Invalid(String),
    /// The user interrupted: 130, or 143 for SIGTERM.
    Interrupted,
    /// The user interrupted something that left results: the same.
    InterruptedWith(String),
    /// Whoever reads our output has left: nothing to say, and nothing failed.
    ReaderLeft,
}

impl Failure {
    pub(crate) fn report(self) -> ExitCode {
        let (message, code) = match self {
            Self::Failed(message) => (message, 1),
            Self::Invalid(message) => (message, 2),
            Self::Interrupted => ("interrupted: no file was written".into(), interrupted_code()),
            Self::InterruptedWith(message) => (message, interrupted_code()),
            Self::ReaderLeft => return ExitCode::SUCCESS,
        };
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(
            io::stderr(),
            "{}",
            if message.starts_with("error") { message } else { format!("kendall: {message}") }
        );
        ExitCode::from(code)
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Writes to stdout; a reader that left early (`kendall ... | head`) is not an error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ReaderLeft),
        Err(error) => Err(Failure::Failed(format!("cannot write to standard output: {error}"))),
    }
}
