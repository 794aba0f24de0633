//! The table: on standard output, and as docs/faults.md shows it.
//!
//! Owns: its form in Markdown, and its place in docs/faults.md.
//! Refuses: figures that differ from run to run.
//! Invariant: docs/faults.md is written only when that is asked for (`UPDATE_DOCS=1`); else it must be what was found.

use std::fmt::Write;
use std::path::PathBuf;

use crate::faults::verdict::Line;

const BEGIN: &str = "<!-- faults -->";
const END: &str = "<!-- /faults -->";

pub fn markdown(chapters: &[(&str, Vec<Line>)]) -> String {
    let mut text = format!("{BEGIN}\n");
    for (chapter, lines) in chapters {
        write!(text, "\n**{chapter}**\n\n| fault | what the caller got | what the servers saw | what was booked | verdict |\n|---|---|---|---|---|\n").unwrap();
        for line in lines {
            let verdict = if line.wrong.is_empty() {
                "right"
            } else {
                "WRONG"
            };
            let row = [
                line.fault,
                &line.caller,
                &line.servers,
                &line.ledger,
                verdict,
            ]
            .map(|cell| cell.replace('|', "\\|"));
            writeln!(text, "| {} |", row.join(" | ")).unwrap();
        }
    }
    writeln!(text, "\n{END}").unwrap();
    text
}

/// `Err`: docs/faults.md shows another table.
pub fn compare(found: &str) -> Result<(), String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(BEGIN)
        .ok_or("docs/faults.md has no place for the table")?;
    let (kept, after) = rest
        .split_once(END)
        .ok_or("the place for the table in docs/faults.md has no end")?;
    let found = found
        .trim_start_matches(BEGIN)
        .trim_end()
        .trim_end_matches(END);
    if kept == found {
        return Ok(());
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [before, BEGIN, found, END, after].concat()).unwrap();
        return Ok(());
    }
    let differs = kept
        .lines()
        .zip(found.lines())
        .find(|(old, new)| old != new);
    Err(format!(
        "docs/faults.md shows another table, first at {differs:#?}\n`UPDATE_DOCS=1 cargo test --test wire faults` writes it"
    ))
}
