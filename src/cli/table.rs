//! Columns for reports.

use unicode_width::UnicodeWidthStr;

/// Rows of cells as aligned lines. Columns whose head starts with `>` are right-aligned.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heads
        .iter()
        .map(|head| head.trim_start_matches('>').width())
        .collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut out = String::new();
    let titles: Vec<String> = heads
        .iter()
        .map(|head| head.trim_start_matches('>').to_owned())
        .collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for ((cell, width), head) in row.iter().zip(&widths).zip(heads) {
            let gap = " ".repeat(width.saturating_sub(cell.width()));
            let (before, after) = if head.starts_with('>') {
                (gap.as_str(), "")
            } else {
                ("", gap.as_str())
            };
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A whole number with separators between the thousands.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let rows = [
            vec!["世界".to_owned(), "1".to_owned()],
            vec!["a".to_owned(), "12345".to_owned()],
        ];
        assert_eq!(
            table(&["name", ">n"], &rows),
            "name      n\n世界      1\na     12345\n"
        );
    }

    #[test]
    fn thousands_are_parted() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(n), text);
        }
    }
}
