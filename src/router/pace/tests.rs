use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A day with a limit of $5, at this hour.
fn day(spent: Usd, hour: i64, held: u32) -> PaceInput {
    let window = PaceWindow {
        scope: Scope::Day,
        began_at: Timestamp(0),
        resets_at: Timestamp(24 * HOUR),
        spent,
        limit: usd("5"),
        by: format!("{hour:02}:00"),
    };
    PaceInput {
        now: Timestamp(hour * HOUR),
        windows: vec![window],
        held,
    }
}

#[test]
fn the_level_follows_the_spending_of_a_day() {
    for (hour, spent, held, level, why) in [
        (0, "0", 0, 0, "nothing is spent"),
        (
            0,
            "1.60",
            0,
            0,
            "one expensive question at midnight is no pace",
        ),
        (
            0,
            "1.70",
            0,
            1,
            "a third of the day's money in its first minutes is",
        ),
        (
            0,
            "3.00",
            0,
            1,
            "and still not a reason to take the cheapest",
        ),
        (0, "3.40", 0, 2, "two thirds are"),
        (11, "0.83", 0, 0, "$1.81 by the end"),
        (12, "2.50", 0, 0, "exactly on the line is not over it"),
        (12, "2.60", 0, 1, "$5.20 by the end"),
        (
            14,
            "2.60",
            1,
            1,
            "$4.46: inside, but not by enough to go up again",
        ),
        (14, "2.60", 0, 0, "nor a reason to go down"),
        (16, "2.60", 1, 0, "$3.90: up again"),
        (23, "4.99", 0, 1, "$5.21"),
        (23, "2.00", 9, 0, "a level from yesterday does not last"),
    ] {
        assert_eq!(
            day(usd(spent), hour, held).verdict().level,
            level,
            "{hour}:00 {spent} held {held}: {why}"
        );
    }
}

#[test]
fn the_tightest_window_counts_and_says_so() {
    let mut pace = day(usd("1"), 12, 0);
    let month = PaceWindow {
        scope: Scope::Month,
        resets_at: Timestamp(30 * 24 * HOUR),
        spent: usd("30"),
        limit: usd("50"),
        by: "12 Nov".to_owned(),
        ..pace.windows[0].clone()
    };
    pace.windows.push(month);
    let verdict = pace.verdict();
    assert_eq!(verdict.level, 1);
    assert_eq!(
        verdict.window.unwrap().in_words(),
        "keeps the month's pace: $30.00 of $50.00 by 12 Nov"
    );
}

#[test]
fn unusable_windows_change_nothing() {
    let base = day(usd("4"), 12, 0);
    let with = |change: fn(&mut PaceWindow)| {
        let mut pace = base.clone();
        change(&mut pace.windows[0]);
        pace.verdict().level
    };
    assert_eq!(
        with(|w| w.limit = Usd::ZERO),
        0,
        "nothing may be spent: the limit itself refuses"
    );
    assert_eq!(with(|w| w.resets_at = w.began_at), 0);
    assert_eq!(with(|w| w.spent = usd("-1")), 0);
    assert_eq!(
        with(|w| (w.began_at, w.resets_at) = (Timestamp(i64::MIN), Timestamp(i64::MAX))),
        1,
        "no end, no panic"
    );
    assert_eq!(
        PaceInput {
            windows: vec![],
            held: 3,
            ..base.clone()
        }
        .verdict()
        .level,
        0,
        "no limit, no pace"
    );
}

proptest! {
    #[test]
    fn more_spent_never_means_a_higher_rung(a in 0i128..8_000_000, b in 0i128..8_000_000, hour in 0i64..24, held in 0u32..5) {
        let level = |micro: i128| day(Usd::from_pico(micro * 1_000_000), hour, held).verdict().level;
        prop_assert!(level(a.min(b)) <= level(a.max(b)));
    }

    #[test]
    fn time_that_passes_never_means_a_lower_rung(micro in 0i128..8_000_000, hour in 0i64..23, held in 0u32..5) {
        let level = |hour| day(Usd::from_pico(micro * 1_000_000), hour, held).verdict().level;
        prop_assert!(level(hour + 1) <= level(hour));
    }

    /// Spend that wanders within a fifth of itself changes the level once at most, after the first look.
    #[test]
    fn the_level_does_not_flap(
        micro in 10i128..8_000_000,
        hour in 0i64..24,
        held in 0u32..5,
        wander in prop::collection::vec(1000i128..1240, 2..40),
    ) {
        let mut levels = vec![];
        let mut held = held;
        for share in wander {
            held = day(Usd::from_pico(micro * 1_000 * share), hour, held).verdict().level;
            levels.push(held);
        }
        let changes = levels.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(changes <= 1, "{levels:?}");
    }
}
