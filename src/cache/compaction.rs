//! When the answers on disk are copied out of a folder that has grown, and how.
//!
//! Owns: how large is too large, and a copy that takes up little more than what is copied.
//! Refuses: to choose between generations; see [`super::generations`].
//! Invariant: old and copy together take up no more than three times what is live, beyond [`FLOOR`] for each of them.

/// Bytes on disk for each live one, beyond [`GRAIN`], at which the live ones are copied out. The copy lies beside the old
/// ones for a moment, and takes up 1.4 times what is live, as measured.
const GROWTH: f64 = 1.5;
/// What sled takes up beside its entries, in whole segments.
const GRAIN: u64 = 4 << 20;
/// Bytes copied after which they are written out: sled uses the room of its own rewriting again only from then on. A copy
/// that is written out at its end takes up to three times the room.
const COPIED: usize = 256 << 10;
/// Bytes on disk that are never worth it: sled itself begins with about as many.
pub(super) const FLOOR: u64 = 8 << 20;
/// Entries and pieces that are put into the copy at once.
const BATCH: usize = 16;

/// Whether what lies on disk is too much for what is live.
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
