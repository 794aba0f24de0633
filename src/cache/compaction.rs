//! Compaction: when and how the live answers are copied out of a folder that has grown.
//!
//! Owns: how large is too large, and a copy that is little larger than its content.
//! Refuses: to choose between generations; see [`super::generations`].
//! Invariant: the old folder and the copy together are no larger than three times the live bytes, beyond [`FLOOR`] for each.

/// Bytes on disk for each live byte, beyond [`GRAIN`], at which the live answers are copied. The copy takes 1.4 times the
/// live bytes, as measured.
const GROWTH: f64 = 1.5;
/// What sled takes up beside its entries, in whole segments.
const GRAIN: u64 = 4 << 20;
/// Bytes copied between two flushes: sled reuses the space of its own rewriting only after a flush. A copy that is flushed
/// only at its end takes up to three times the space.
const COPIED: usize = 256 << 10;
/// Below this size on disk nothing is copied: an empty sled takes about as much.
pub(super) const FLOOR: u64 = 8 << 20;
/// Entries and pieces that are put into the copy at once.
const BATCH: usize = 16;

/// Whether the folder is too large for its live bytes.
pub(super) fn is_overgrown(disk: u64, live: u64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes")]
    let grown = disk.saturating_sub(GRAIN) as f64 > live as f64 * GROWTH;
    disk > FLOOR && grown
}

/// Copies everything from one database into another, empty one.
pub(super) fn copy(from: &sled::Db, to: &sled::Db) -> sled::Result<()> {
    let (mut batch, mut copied) = (sled::Batch::default(), 0);
    for (n, item) in from.iter().enumerate() {
        let (key, value) = item?;
        copied += key.len() + value.len();
        batch.insert(key, value);
        if n % BATCH == BATCH - 1 {
            to.apply_batch(std::mem::take(&mut batch))?;
        }
        if copied >= COPIED {
            to.flush()?;
            copied = 0;
        }
    }
    to.apply_batch(batch)?;
    to.flush().map(drop)
}
