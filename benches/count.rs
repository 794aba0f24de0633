//! Counting tokens: prose, code, Chinese, and the texts that are worst for pattern engines and for merging; beside
//! tiktoken-rs and bpe-openai. Before that, the first count of a process; after it, a key pressed in a draft.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on stops, and says what it saw"
)]

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use chat_agent::tokens::{Encoding, IncrementalCount, count};
use criterion::{Criterion, Throughput, criterion_group};

const PROSE: &str = concat!(
    include_str!("../assets/guide/budgets.md"),
    include_str!("../assets/guide/troubleshooting.md")
);
const CODE: &str = concat!(
    include_str!("../src/gateway/stream/reader.rs"),
    include_str!("../src/provider/endpoint.rs")
);
const CHINESE: &str = "清晨的市场已经热闹起来。卖菜的老人把白菜一棵一棵摆好，又洒上一点水；旁边的女孩在数昨天的零钱，\
    数到一半被一只猫打断了。她抬起头，看见雨云正从山那边过来，于是把雨棚放低了一些。“今天要早点收摊，”她说。\n";
/// A long prompt with a file in it.
const LENGTH: usize = 256 * 1024;
const MEGABYTE: usize = 1_000_000;
/// tiktoken-rs overflows its stack on a megabyte of spaces.
const SPACES_OF_TIKTOKEN: usize = 200_000;

/// Whole repetitions of `text` until it has at least `length` bytes.
fn filled(text: &str, length: usize) -> String {
    text.repeat(length.div_ceil(text.len()))
}

/// Letters of base64 without an order; letters only, so that they are one piece.
fn base64(length: usize) -> String {
    let mut state = 1_u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(state >> 16) as usize % 52],
        )
    });
    letters.take(length).collect()
}

fn counting(c: &mut Criterion) {
    let mut group = c.benchmark_group("count");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    let (tiktoken, bpe) = (
        tiktoken_rs::o200k_base_singleton(),
        bpe_openai::o200k_base(),
    );
    for (name, text) in [
        ("prose", filled(PROSE, LENGTH)),
        ("code", filled(CODE, LENGTH)),
        ("chinese", filled(CHINESE, LENGTH)),
        ("200 kB of spaces", " ".repeat(SPACES_OF_TIKTOKEN)),
        ("a megabyte of spaces", " ".repeat(MEGABYTE)),
        ("a megabyte of tabs", "\t".repeat(MEGABYTE)),
        ("a megabyte of one letter", "a".repeat(MEGABYTE)),
        ("a megabyte of letters of base64", base64(MEGABYTE)),
        (
            "a short question",
            "Why does `push` move my string?".to_owned(),
        ),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| count(Encoding::O200kBase, black_box(&text)));
        });
        group.bench_function(format!("{name}, bpe-openai"), |b| {
            b.iter(|| bpe.count(black_box(text.as_str())));
        });
        let spaces = text.bytes().all(|byte| byte.is_ascii_whitespace());
        if !spaces || text.len() <= SPACES_OF_TIKTOKEN {
            group.bench_function(format!("{name}, tiktoken-rs"), |b| {
                b.iter(|| tiktoken.count_ordinary(black_box(&text)));
            });
        }
    }
    group.finish();
}

/// A letter typed in the middle of a text and taken back: two changes.
fn typing(c: &mut Criterion) {
    let mut group = c.benchmark_group("draft");
    for (name, length) in [
        ("a key in 1 kB", 1000),
        ("a key in 1 MB", MEGABYTE),
        ("a key in 10 MB", 10 * MEGABYTE),
    ] {
        let mut draft = IncrementalCount::new(Encoding::O200kBase);
        let text = filled(PROSE, length);
        let at = text.floor_char_boundary(length / 2);
        draft.splice(0..0, &text[..text.floor_char_boundary(length)]);
        group.bench_function(name, |b| {
            b.iter(|| {
                draft.splice(at..at, black_box("x"));
                draft.splice(at..at + 1, "");
                draft.tokens()
            });
        });
    }
    group.finish();
}

/// What a fresh process prints that counts one text: the time in microseconds, and the kilobytes that it then holds
/// more than before.
const FIRST: &str = "FIRST_COUNT";

fn first_count(text: &str, engine: &str) {
    let before = resident();
    let start = Instant::now();
    let tokens = match engine {
        "ours" => count(Encoding::O200kBase, text),
        "tiktoken-rs" => tiktoken_rs::o200k_base_singleton().count_ordinary(text) as u64,
        _ => bpe_openai::o200k_base().count(text) as u64,
    };
    let took = start.elapsed().as_micros();
    println!("{took} {} {tokens}", resident() - before);
}

/// Kilobytes of memory in use, where Linux says so; 0 elsewhere.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// The medians of 21 processes.
fn report_first_counts() {
    for engine in ["ours", "tiktoken-rs", "bpe-openai"] {
        let seen: Vec<Vec<u64>> = (0..21).map(|_| one_first_count(engine)).collect();
        let median = |column: usize| {
            let mut values: Vec<u64> = seen.iter().map(|row| row[column]).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        println!(
            "first count, {engine}: {} µs, {} kB more ({} tokens)",
            median(0),
            median(1),
            median(2)
        );
    }
}

fn one_first_count(engine: &str) -> Vec<u64> {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).env(FIRST, engine).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

criterion_group!(benches, counting, typing);

fn main() {
    if let Ok(engine) = std::env::var(FIRST) {
        first_count(PROSE, &engine);
        return;
    }
    if std::env::args().any(|argument| argument == "--bench") {
        report_first_counts();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
