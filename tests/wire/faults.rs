//! Every fault of a server or of the way to it: what the caller gets, what the servers see, what is booked.
//!
//! Each row is played with the program itself against scripted servers, many at a time. The table is printed, and shown
//! in docs/faults.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the small functions of tests are tests"
)]
#![allow(clippy::print_stdout, reason = "the table is what this test is for")]

mod play;
mod row;
mod rows;
mod table;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Mutex;

use row::Row;
use verdict::Line;

/// Rows played at the same time: most of the time of most of them is waiting.
const AT_ONCE: usize = 12;
/// What a fault may take of memory, above an ordinary cut answer, in KiB.
const ROOM: u64 = 32 * 1024;

#[test]
fn every_fault_ends_as_it_must() {
    let mut chapters = rows::all();
    // `FAULT=quota cargo test --test wire faults`: only rows with this word.
    let only = std::env::var("FAULT").ok();
    for (_, rows) in &mut chapters {
        rows.retain(|row| only.as_ref().is_none_or(|only| row.fault.contains(only)));
    }
    let names: Vec<(&str, usize)> = chapters
        .iter()
        .map(|(name, rows)| (*name, rows.len()))
        .collect();
    let mut lines = played(chapters.into_iter().flat_map(|(_, rows)| rows)).into_iter();
    let mut chapters: Vec<(&str, Vec<Line>)> = names
        .into_iter()
        .map(|(name, n)| (name, lines.by_ref().take(n).collect()))
        .collect();
    weigh(&mut chapters);
    let table = table::markdown(&chapters);
    println!("{table}");
    let all = || chapters.iter().flat_map(|(_, lines)| lines);
    let wrong: Vec<String> = all()
        .filter(|line| !line.wrong.is_empty())
        .map(|line| format!("{}: {}", line.fault, line.wrong.join("; ")))
        .collect();
    println!("{} of {} right", all().count() - wrong.len(), all().count());
    let kept = if only.is_some() {
        Ok(())
    } else {
        table::compare(&table)
    };
    assert!(
        wrong.is_empty(),
        "{} rows are wrong:\n  {}",
        wrong.len(),
        wrong.join("\n  ")
    );
    assert_eq!(kept, Ok(()));
}

/// Plays all rows and judges each, in order.
fn played(rows: impl Iterator<Item = Row> + Send) -> Vec<Line> {
    let waiting = Mutex::new(rows.enumerate());
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((at, mut row)) = next else { return };
                    let seen = play::play(&mut row);
                    let line = verdict::judge(&row, &seen);
                    done.lock().unwrap().insert(at, line);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// Compares the memory of the heavy rows with the lightest of them, which is an ordinary cut answer.
fn weigh(chapters: &mut [(&str, Vec<Line>)]) {
    let ordinary = chapters
        .iter()
        .flat_map(|(_, lines)| lines)
        .filter_map(|line| line.peak)
        .min()
        .unwrap_or(0);
    println!("an ordinary request holds {} MiB at most", ordinary / 1024);
    for line in chapters.iter_mut().flat_map(|(_, lines)| lines) {
        if let Some(peak) = line.peak.filter(|peak| *peak > ordinary + ROOM) {
            line.wrong.push(format!(
                "{} MiB above an ordinary request",
                (peak - ordinary) / 1024
            ));
        }
    }
}
