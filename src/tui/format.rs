//! Figures in the words of the screen.
//!
//! Owns: thousands, short token counts, durations, spark lines and bars.
//! Refuses: money, which `chat::money` prints.
//! Invariant: an unknown is `n/a`, never a zero.

use std::time::Duration;

/// `2,310`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `512`, `2.6k`, `400k`, `1.0M`.
pub(crate) fn short(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..10_000 => format!("{}.{}k", n / 1_000, n % 1_000 / 100),
        10_000..1_000_000 => format!("{}k", n / 1_000),
        _ => format!("{}.{}M", n / 1_000_000, n % 1_000_000 / 100_000),
    }
}

/// `412 ms`, `2.1 s`, `3 min 5 s`.
pub(crate) fn millis(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

pub(crate) fn millis_or_na(ms: Option<u64>) -> String {
    ms.map_or_else(|| "n/a".to_owned(), millis)
}

/// `148.2`.
pub(crate) fn speed(tokens_per_second: Option<f64>) -> String {
    tokens_per_second
        .filter(|t| t.is_finite())
        .map_or_else(|| "n/a".to_owned(), |t| format!("{t:.1}"))
}

/// Whole seconds, for a clock that ticks once a second: `12 s`.
pub(crate) fn seconds(d: Duration) -> String {
    match d.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}

/// A length of time in its largest unit: `40 s`, `5 min`, `2 h`, `3 d`.
pub(crate) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last `width` values as a spark line, scaled to the largest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a level between 0 and 7"
)]
pub(crate) fn spark(values: &[f64], width: usize) -> String {
    let tail = &values[values.len().saturating_sub(width)..];
    let top = tail
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .fold(0.0, f64::max);
    tail.iter()
        .map(|v| {
            if top > 0.0 && v.is_finite() {
                LEVELS[((v / top * 7.0).round().max(0.0) as usize).min(7)]
            } else {
                LEVELS[0]
            }
        })
        .collect()
}

/// A bar of `width` cells, `share` of them full; anything above nothing shows at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "cells"
)]
pub(crate) fn bar(share: f64, width: usize) -> String {
    let full = if share.is_finite() {
        (share.clamp(0.0, 1.0) * width as f64).ceil() as usize
    } else {
        0
    }
    .min(width);
    (0..width)
        .map(|i| if i < full { '▓' } else { '░' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        for (n, long, brief) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (2_655, "2,655", "2.6k"),
            (400_000, "400,000", "400k"),
            (1_047_576, "1,047,576", "1.0M"),
        ] {
            assert_eq!((thousands(n).as_str(), short(n).as_str()), (long, brief));
        }
        assert_eq!(millis(412), "412 ms");
        assert_eq!(millis(2_140), "2.1 s");
        assert_eq!(millis(185_000), "3 min 5 s");
        assert_eq!(millis_or_na(None), "n/a");
        assert_eq!(speed(Some(148.23)), "148.2");
        assert_eq!(speed(None), "n/a");
        assert_eq!(seconds(Duration::from_secs(72)), "1 min 12 s");
        assert_eq!(
            [59, 3_599, 7_200, 259_205].map(age),
            ["59 s", "59 min", "2 h", "3 d"]
        );
    }

    #[test]
    fn spark_lines_and_bars_survive_odd_numbers() {
        assert_eq!(spark(&[1.0, 2.0, 4.0, 8.0], 3), "▃▅█");
        assert_eq!(spark(&[0.0, f64::NAN], 7), "▁▁");
        assert_eq!(spark(&[], 7), "");
        assert_eq!(bar(0.17, 9), "▓▓░░░░░░░");
        assert_eq!(bar(0.0, 3), "░░░");
        assert_eq!(bar(7.0, 3), "▓▓▓");
        assert_eq!(bar(f64::NAN, 2), "░░");
    }
}
