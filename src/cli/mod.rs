//! The command line: from arguments to an exit status.
//!
//! Owns: the commands, the composition of the rooms, what is printed, the exit status.
//! Refuses: decisions about models or money.
//! Invariant: an error is exactly one line on standard error; no other room imports this one.

mod args;
mod ask;
mod ask_report;
mod budget;
mod budget_report;
mod cache;
mod chat;
mod completions;
mod config;
mod count;
mod doctor;
mod image_file;
mod input;
mod logging;
mod man_page;
mod models;
mod output;
mod payload;
mod runtime;
mod sessions;
mod setup;
mod stats;
mod stdout_writer;
mod stop;
mod table;
mod zone;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::chat::{Failure, FailureKind};
use args::{Cli, CliCommand};
use runtime::one_shot;

/// Runs the program.
pub fn main() -> ExitCode {
    // Everything this program writes is its user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let status = match Cli::try_parse() {
        Ok(cli) => run(cli).unwrap_or_else(|failure| {
            output::failure(&failure);
            failure.kind.exit_code()
        }),
        Err(error) => usage(&error),
    };
    ExitCode::from(status)
}

fn run(cli: Cli) -> Result<u8, Failure> {
    let shared = cli.shared;
    match cli.command {
        None if input::is_piped() || !has_screen() || asks_at_once(&shared) => {
            one_shot(ask::run(&shared, &cli.prompt))
        }
        None => chat::run(&shared, &cli.prompt),
        // `-f` belongs to the prompt, so only `ask` may follow it.
        Some(CliCommand::Ask(args)) => one_shot(ask::run(&shared, &args.after(cli.prompt))),
        Some(_) if !cli.prompt.files.is_empty() => Err(Failure::new(
            FailureKind::Usage,
            "-f FILE belongs to a prompt",
        )
        .hint("write it after `chat-agent ask`")),
        Some(CliCommand::Count(args)) => count::run(&shared, &args),
        Some(CliCommand::Models { action }) => models::run(&shared, action),
        Some(CliCommand::Stats(args)) => stats::run(&shared, &args),
        Some(CliCommand::Sessions { action }) => sessions::run(&shared, action),
        Some(CliCommand::Config { action }) => config::run(&shared, &action),
        Some(CliCommand::Doctor) => one_shot(doctor::run(&shared)),
        Some(CliCommand::Budget { action }) => one_shot(budget::run(&shared, &action)),
        Some(CliCommand::Cache { action }) => one_shot(cache::run(&shared, action)),
        Some(CliCommand::CacheOwner(args)) => Ok(cache::own(&args)),
        Some(CliCommand::Completions { target }) => completions::run(target),
    }
}

/// Whether there is a terminal that can show more than lines.
fn has_screen() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Options that make sense for one answer only.
fn asks_at_once(shared: &args::Shared) -> bool {
    shared.json || shared.estimate || shared.no_stream || shared.cost_file.is_some()
}

/// What clap has to say: help and version as they are, an error in one line.
fn usage(error: &clap::Error) -> u8 {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return u8::from(output::report(&error.render().to_string()).is_err());
    }
    let text = error.render().to_string();
    let words = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"));
    let line = words
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    let line = line.trim_start_matches("error: ");
    output::remark(&format!("{line} - `chat-agent --help` lists what there is"));
    FailureKind::Usage.exit_code()
}
