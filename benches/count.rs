//! Counting tokens: prose, code, Chinese, and the two texts that are worst for the pattern engine.

use std::hint::black_box;
use std::time::Duration;

use chat_agent::tokens::{Encoding, count};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PROSE: &str =
    concat!(include_str!("../assets/guide/budgets.md"), include_str!("../assets/guide/troubleshooting.md"));
const CODE: &str = concat!(include_str!("../src/gateway/live.rs"), include_str!("../src/provider/endpoint.rs"));
const CHINESE: &str = "清晨的市场已经热闹起来。卖菜的老人把白菜一棵一棵摆好，又洒上一点水；旁边的女孩在数昨天的零钱，\
    数到一半被一只猫打断了。她抬起头，看见雨云正从山那边过来，于是把雨棚放低了一些。“今天要早点收摊，”她说。\n";
/// A long prompt with a file in it.
const LENGTH: usize = 256 * 1024;
const MEGABYTE: usize = 1_000_000;

/// Whole repetitions of `text` until it has at least `length` bytes.
fn filled(text: &str, length: usize) -> String {
    text.repeat(length.div_ceil(text.len()))
}

fn counting(c: &mut Criterion) {
    count(Encoding::O200kBase, "warm");
    let mut group = c.benchmark_group("count");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    for (name, text) in [
        ("prose", filled(PROSE, LENGTH)),
        ("code", filled(CODE, LENGTH)),
        ("chinese", filled(CHINESE, LENGTH)),
        ("a megabyte of spaces", " ".repeat(MEGABYTE)),
        ("a megabyte of one letter", "a".repeat(MEGABYTE)),
        ("a short question", "Why does `push` move my string?".to_owned()),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| count(Encoding::O200kBase, black_box(&text))));
    }
    group.finish();
}

criterion_group!(benches, counting);
criterion_main!(benches);
