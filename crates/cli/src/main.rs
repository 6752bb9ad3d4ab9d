//! The `kendall` command: arguments, files, progress. No model lives here.
//!
//! Exit codes: 0 ok; 1 the run failed (it stalled, a schedule differs, a file cannot be written); 2 usage or invalid
//! input; 130 interrupted, 143 asked to end (SIGTERM).

mod args;
mod changes;
mod commands;
mod exit;
mod import;
mod origin;
mod progress;
mod scenario_file;
mod study;
mod terminal;
mod vllm;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, TheoryCommand};

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Run(run) => commands::run(&run),
        Command::Explain(explain) => commands::explain(&explain),
        Command::Report(report) => commands::report(&report),
        Command::Trace(trace) => commands::trace(&trace),
        Command::Calibrate(calibrate) => commands::calibrate(&calibrate),
        Command::Validate(validate) => commands::validate(&validate),
        Command::Sweep(sweep) => commands::sweep(&sweep),
        Command::Capacity(capacity) => commands::capacity(&capacity),
        Command::Predict(predict) => commands::predict(&predict),
        Command::Import(import) => commands::import(&import),
        Command::Conformance(conformance) => commands::conformance(&conformance),
        Command::Catalog(catalog) => commands::catalog(&catalog),
        Command::Theory(theory) => match theory.command {
            TheoryCommand::Check(check) => commands::theory_check(&check),
            TheoryCommand::Admission(admission) => commands::theory_admission(&admission),
        },
        Command::Schema(schema) => commands::schema(&schema),
        Command::Completions(args) => commands::completions(&args),
        Command::Man(args) => commands::man(&args),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
