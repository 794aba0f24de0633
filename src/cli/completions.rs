//! `completions`: scripts for shells, and the man page.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::{Cli, CompletionTarget};
use super::{man_page, output};
use crate::chat::{Failure, FailureKind};

pub(super) fn run(target: CompletionTarget) -> Result<u8, Failure> {
    let text = match target {
        CompletionTarget::Bash => script(Shell::Bash),
        CompletionTarget::Elvish => script(Shell::Elvish),
        CompletionTarget::Fish => script(Shell::Fish),
        CompletionTarget::Powershell => script(Shell::PowerShell),
        CompletionTarget::Zsh => script(Shell::Zsh),
        CompletionTarget::Man => man_page::render().map_err(|error| {
            Failure::new(
                FailureKind::Request,
                format!("the man page cannot be made: {error}"),
            )
        })?,
    };
    output::done(output::report(&text))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chat-agent", &mut script);
    // For bash, clap_complete names a command with a dash in one way and looks for it in another.
    String::from_utf8_lossy(&script).replace("chat__subcmd__agent", "chat__agent")
}
