//! Percentiles of small sets.

/// The smallest value that at least `percent` of the values do not exceed.
pub(super) fn percentile(mut values: Vec<u64>, percent: usize) -> Option<u64> {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}
