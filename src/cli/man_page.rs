//! The man page: one page for the program and all its commands, made from the table of arguments.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::{Cli, ENVIRONMENT};

/// The two ways to start the program.
const SYNOPSIS: &str = "chat-agent [OPTIONS] [PROMPT]...\nchat-agent [OPTIONS] COMMAND";
const EXIT_STATUS: [(&str, &str); 6] = [
    ("0", "done"),
    ("1", "the request failed"),
    ("2", "bad usage or configuration"),
    ("3", "refused by a budget"),
    ("4", "the answer was cut short"),
    ("130", "interrupted"),
];

/// The page as roff.
pub(super) fn render() -> io::Result<String> {
    let page = Man::new(Cli::command().override_usage(SYNOPSIS));
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    let mut out = String::from_utf8_lossy(&out).into_owned();
    for section in [
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ] {
        out.push_str(&body(&page, section)?);
    }
    out.push_str(".SH COMMANDS\n");
    for command in commands(&Cli::command(), "chat-agent") {
        out.push_str(&command_page(command)?);
    }
    out.push_str(&list("ENVIRONMENT", &ENVIRONMENT));
    out.push_str(&list("EXIT STATUS", &EXIT_STATUS));
    Ok(out)
}

/// The visible commands that do something by themselves, by their full names, without the options that all take.
fn commands(parent: &Command, prefix: &str) -> Vec<Command> {
    let mut found = Vec::new();
    for command in parent
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = format!("{prefix} {}", command.get_name());
        if command.has_subcommands() {
            found.extend(commands(command, &name));
        } else {
            found.push(command.clone().bin_name(name).disable_help_flag(true));
        }
    }
    found
}

/// One command: its usage, what it does, its own options.
fn command_page(command: Command) -> io::Result<String> {
    let mut heading = Roff::new();
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    heading.control("SS", [name.as_str()]);
    let about = command.get_about().map(ToString::to_string);
    heading.text([roman(about.unwrap_or_default())]);
    let has_options = command.get_arguments().next().is_some();
    let page = Man::new(command);
    let mut out = heading.to_roff();
    if has_options {
        out.push_str(".PP\n");
        out.push_str(without_heading(&body(&page, Man::render_synopsis_section)?));
        out.push_str(without_heading(&body(&page, Man::render_options_section)?));
    }
    Ok(out)
}

/// A section without the preamble, which stands once at the top of the page.
fn body(page: &Man, section: fn(&Man, &mut dyn io::Write) -> io::Result<()>) -> io::Result<String> {
    let mut out = Vec::new();
    section(page, &mut out)?;
    let text = String::from_utf8_lossy(&out).into_owned();
    let start = text.find(".SH ").unwrap_or(text.len());
    Ok(text[start..].to_owned())
}

fn without_heading(section: &str) -> &str {
    section.split_once('\n').map_or("", |(_, text)| text)
}

fn list(heading: &str, items: &[(&str, &str)]) -> String {
    let mut section = Roff::new();
    section.control("SH", [heading]);
    for (name, text) in items {
        section.control("TP", []);
        section.text([bold(*name)]);
        section.text([roman(*text)]);
    }
    section.to_roff()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_section_command_and_option() {
        let page = render().unwrap();
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "COMMANDS",
            "ENVIRONMENT",
            "\"EXIT STATUS\"",
        ] {
            let heading = format!(".SH {section}\n");
            assert_eq!(page.matches(&heading).count(), 1, "{section}\n{page}");
        }
        assert!(
            page.contains("chat\\-agent \\- Chat with language models"),
            "{page}"
        );
        let root = Cli::command();
        for command in root.get_subcommands() {
            let name = format!("chat-agent {}", command.get_name());
            let listed = page.contains(&format!(".SS \"{name}"));
            assert_eq!(listed, !command.is_hide_set(), "{name}\n{page}");
            for inner in command.get_subcommands() {
                let heading = format!(".SS \"{name} {}\"\n", inner.get_name());
                assert!(page.contains(&heading), "{heading}");
            }
        }
        for option in ["max\\-usd", "limit", "detail", "since", "shared", "usd"] {
            assert!(page.contains(&format!("\\-\\-{option}")), "{option}");
        }
        for (variable, _) in ENVIRONMENT {
            assert!(page.contains(&format!("\\fB{variable}\\fR")), "{variable}");
        }
        assert_eq!(page.matches(".ie ").count(), 1, "one preamble");
    }
}
