//! `kendall completions` and `kendall man`: what a package installs beside the binary.

use std::process::ExitCode;

use clap::CommandFactory;
use kendall_report::{OutputDir, WrittenFile};

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::exit::{Failure, print};

pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "kendall", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let cannot = |error: std::io::Error| Failure::Failed(format!("cannot make the manual page: {error}"));
    let mut command = Args::command();
    command.build();
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(cannot)?;
        print(&String::from_utf8_lossy(&page))?;
        return Ok(ExitCode::SUCCESS);
    };
    let out = OutputDir::create(folder)?;
    let mut files = Vec::new();
    let subcommands: Vec<clap::Command> =
        command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    let pages =
        std::iter::once((command.clone(), "kendall".to_owned())).chain(subcommands.into_iter().map(|sub| {
            let name = format!("kendall-{}", sub.get_name());
            (sub, name)
        }));
    for (command, name) in pages {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).title(name.to_uppercase()).render(&mut page).map_err(cannot)?;
        files.push(out.write(&format!("{name}.1"), &page)?);
    }
    files.into_iter().try_for_each(WrittenFile::publish)?;
    Ok(ExitCode::SUCCESS)
}
