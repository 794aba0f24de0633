//! The answers on disk, in sled.
//!
//! Owns: answers in pieces, their versions, the order of their last use, the budget of bytes, and giving space back.
//! Refuses: concurrency and deadlines; one thread of the owner has it, see [`super::owner`].
//! Invariant: an answer, its pieces and the sums change in one batch. Beyond [`compaction::FLOOR`] for each generation (two
//! during a copy), the folder is never larger than three times the live bytes, nor than the user allows. Live bytes are
//! those of the answers and their keys.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::compaction;
use super::entry::CachedAnswer;
use super::generations::{self, Opened};
use super::tier::{Bytes, Freed, Verified};
use crate::chat::request::Digest;

/// sled moves larger values to files of their own, and never gives those back.
const PIECE: usize = 60 << 10;
/// Versions of an answer that are kept, the newest included.
const VERSIONS: usize = 4;
/// What a version takes up beside its bytes: its keys, its part of the record, and sled's own, as measured.
const OVERHEAD: u64 = 256;
/// Bytes written after which the size on disk is looked at.
const LOOK: u64 = 1 << 20;
/// Uses that are remembered before they are written down.
const TOUCHED: usize = 256;
const SUMS: &[u8] = b"s";

/// What is known of the entries together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct EntrySums {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// Grows with each use and each version.
    tick: u64,
}

/// One entry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Record {
    used: u64,
    /// Newest first.
    versions: Vec<Version>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Version {
    id: u64,
    bytes: u64,
}

impl EntrySums {
    /// Bytes that the entries take up where nothing is dead.
    pub(super) fn live(self) -> u64 {
        self.bytes + self.entries * OVERHEAD
    }
}

impl Record {
    fn bytes(&self) -> u64 {
        self.versions.iter().map(|version| version.bytes).sum()
    }
}

impl Version {
    fn pieces(self) -> u64 {
        self.bytes.div_ceil(PIECE as u64)
    }
}

pub(super) struct DiskStore {
    folder: PathBuf,
    generation: u64,
    db: sled::Db,
    sums: EntrySums,
    touched: HashMap<Digest, u64>,
    /// Bytes that may be live: a third of what the user allows. The rest is for what is dead, and for a copy.
    most: u64,
    limit: u64,
    written: u64,
    /// The bytes that lay there while the live ones were copied, and how many were live, each time.
    #[cfg(test)]
    pub(super) copies: Vec<(u64, u64)>,
}

impl DiskStore {
    /// Opens what is in `folder`, mending what can be mended. The second value is a notice for the user.
    pub(super) fn open(folder: &Path, limit: u64) -> Result<(Self, Option<String>), String> {
        Ok(Self::of(folder, limit, generations::open(folder)?))
    }

    /// Moves a damaged generation out of the way and goes on with an empty one.
    pub(super) fn anew(
        folder: &Path,
        limit: u64,
        damaged: u64,
    ) -> Result<(Self, Option<String>), String> {
        Ok(Self::of(
            folder,
            limit,
            generations::set_aside(folder, damaged)?,
        ))
    }

    fn of(folder: &Path, limit: u64, opened: Opened) -> (Self, Option<String>) {
        let sums = opened
            .db
            .get(SUMS)
            .ok()
            .flatten()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let disk_store = Self {
            folder: folder.to_path_buf(),
            generation: opened.generation,
            db: opened.db,
            sums: sums.unwrap_or_default(),
            touched: HashMap::new(),
            most: limit / 3,
            limit,
            written: LOOK,
            #[cfg(test)]
            copies: Vec::new(),
        };
        (disk_store, opened.notice)
    }

    pub(super) fn sums(&self) -> EntrySums {
        self.sums
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Bytes that everything takes up, with what was set aside.
    pub(super) fn kept(&self) -> u64 {
        generations::size(&self.folder)
    }

    /// Bytes that the generation in use takes up.
    fn size(&self) -> u64 {
        generations::size(&generations::path(&self.folder, self.generation))
    }

    /// The newest version.
    pub(super) fn get(&mut self, digest: Digest) -> sled::Result<Option<Bytes>> {
        let Some(record) = self.record(digest)? else {
            return Ok(None);
        };
        let newest = match record.versions.first() {
            Some(version) => self.read(digest, *version)?,
            None => None,
        };
        if newest.is_none() {
            self.remove(digest)?;
        } else {
            self.sums.tick += 1;
            self.touched.insert(digest, self.sums.tick);
            if self.touched.len() >= TOUCHED {
                self.write_uses()?;
                self.tidy()?;
            }
        }
        Ok(newest)
    }

    /// Adds a version, unless it is the newest already. Older ones than [`VERSIONS`] go.
    pub(super) fn put(&mut self, digest: Digest, bytes: &[u8]) -> sled::Result<()> {
        let old = self.record(digest)?;
        if let Some(newest) = old.as_ref().and_then(|record| record.versions.first())
            && self
                .read(digest, *newest)?
                .is_some_and(|kept| *kept == *bytes)
        {
            return Ok(());
        }
        let mut sums = self.sums;
        sums.tick += 1;
        sums.entries += u64::from(old.is_none());
        sums.bytes += bytes.len() as u64;
        let mut record = old.unwrap_or_default();
        record.used = sums.tick;
        record.versions.insert(
            0,
            Version {
                id: sums.tick,
                bytes: bytes.len() as u64,
            },
        );
        let mut batch = sled::Batch::default();
        for gone in record.versions.drain(VERSIONS.min(record.versions.len())..) {
            sums.bytes = sums.bytes.saturating_sub(gone.bytes);
            (0..gone.pieces()).for_each(|n| batch.remove(piece_key(digest, gone.id, n)));
        }
        for (n, piece) in (0..).zip(bytes.chunks(PIECE)) {
            batch.insert(piece_key(digest, sums.tick, n), piece);
        }
        batch.insert(record_key(digest), json(&record));
        self.apply(batch, sums)?;
        self.touched.remove(&digest);
        self.written += bytes.len() as u64 + OVERHEAD;
        self.tidy()
    }

    pub(super) fn remove(&mut self, digest: Digest) -> sled::Result<()> {
        let Some(record) = self.record(digest)? else {
            return Ok(());
        };
        let mut batch = sled::Batch::default();
        let mut sums = self.sums;
        forget(&mut batch, &mut sums, digest, &record);
        self.apply(batch, sums)?;
        self.touched.remove(&digest);
        Ok(())
    }

    /// Starts anew.
    pub(super) fn clear(&mut self) -> Result<Freed, String> {
        let freed = Freed {
            entries: self.sums.entries,
            bytes: Some(self.kept()),
        };
        let next = generations::create(&self.folder, self.generation + 1)?;
        self.turn_to(next, EntrySums::default())?;
        generations::remove_set_aside(&self.folder, |_| true);
        Ok(freed)
    }

    /// Reads every entry; the damaged ones go, and so do pieces that belong to none. The sums are made anew.
    pub(super) fn verify(&mut self) -> sled::Result<Verified> {
        let (mut verified, mut sums) = (
            Verified::default(),
            EntrySums {
                tick: self.sums.tick,
                ..EntrySums::default()
            },
        );
        let mut versions = std::collections::HashSet::new();
        for item in self.db.scan_prefix(b"r") {
            let (key, value) = item?;
            let digest = key
                .get(1..)
                .and_then(|digest| digest.try_into().ok())
                .map(Digest);
            let record: Option<Record> = serde_json::from_slice(&value).ok();
            if let (Some(digest), Some(record)) = (digest, record)
                && self.is_sound(digest, &record)?
            {
                verified.good += 1;
                sums.entries += 1;
                sums.bytes += record.bytes();
                versions.extend(record.versions.iter().map(|version| version.id));
            } else {
                verified.removed += 1;
                self.db.remove(key)?;
            }
        }
        for item in self.db.scan_prefix(b"p") {
            let (key, _) = item?;
            let id = key
                .get(33..41)
                .and_then(|id| id.try_into().ok())
                .map(u64::from_be_bytes);
            if id.is_none_or(|id| !versions.contains(&id)) {
                self.db.remove(key)?;
            }
        }
        self.apply(sled::Batch::default(), sums)?;
        Ok(verified)
    }

    /// Writes everything out.
    pub(super) fn flush(&mut self) -> sled::Result<()> {
        self.write_uses()?;
        self.db.flush().map(drop)
    }

    fn is_sound(&self, digest: Digest, record: &Record) -> sled::Result<bool> {
        for version in &record.versions {
            if self
                .read(digest, *version)?
                .is_none_or(|bytes| CachedAnswer::decode(digest, &bytes).is_none())
            {
                return Ok(false);
            }
        }
        Ok(!record.versions.is_empty())
    }

    fn record(&self, digest: Digest) -> sled::Result<Option<Record>> {
        Ok(self
            .db
            .get(record_key(digest))?
            .and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// A version, put together; `None`: a piece is missing.
    fn read(&self, digest: Digest, version: Version) -> sled::Result<Option<Bytes>> {
        let mut bytes = Vec::new();
        for n in 0..version.pieces() {
            let Some(piece) = self.db.get(piece_key(digest, version.id, n))? else {
                return Ok(None);
            };
            bytes.extend_from_slice(&piece);
        }
        Ok((bytes.len() as u64 == version.bytes).then(|| bytes.into()))
    }

    fn apply(&mut self, mut batch: sled::Batch, sums: EntrySums) -> sled::Result<()> {
        batch.insert(SUMS, json(&sums));
        self.db.apply_batch(batch)?;
        self.sums = sums;
        Ok(())
    }

    fn write_uses(&mut self) -> sled::Result<()> {
        let mut batch = sled::Batch::default();
        self.written += self.touched.len() as u64 * OVERHEAD;
        for (digest, used) in std::mem::take(&mut self.touched) {
            if let Some(record) = self.record(digest)? {
                batch.insert(record_key(digest), json(&Record { used, ..record }));
            }
        }
        self.apply(batch, self.sums)
    }

    /// Keeps the budget of bytes, live and on disk.
    fn tidy(&mut self) -> sled::Result<()> {
        if self.sums.live() > self.most {
            self.evict()?;
        }
        if self.written < LOOK {
            return Ok(());
        }
        self.written = 0;
        if self.kept() + self.sums.live() > self.limit {
            // The room is needed.
            generations::remove_set_aside(&self.folder, |_| true);
        }
        if compaction::is_overgrown(self.size(), self.sums.live()) {
            self.write_uses()?;
            self.compact()?;
        }
        Ok(())
    }

    /// The least recently used go until there is room for a fifth more.
    fn evict(&mut self) -> sled::Result<()> {
        self.write_uses()?;
        let mut all = Vec::new();
        for item in self.db.scan_prefix(b"r") {
            let (key, value) = item?;
            if let (Some(Ok(digest)), Ok(record)) = (
                key.get(1..).map(TryInto::try_into),
                serde_json::from_slice(&value),
            ) {
                let record: Record = record;
                all.push((record.used, Digest(digest), record));
            }
        }
        all.sort_by_key(|(used, ..)| *used);
        let (mut batch, mut sums, mut count) = (sled::Batch::default(), self.sums, 0);
        for (_, digest, record) in all {
            if sums.live() <= self.most / 5 * 4 {
                break;
            }
            forget(&mut batch, &mut sums, digest, &record);
            count += 1;
            if count % 500 == 0 {
                self.apply(std::mem::take(&mut batch), sums)?;
            }
        }
        self.apply(batch, sums)
    }

    /// Copies what is live into a new generation. When that fails, as on a full disk, the tier starts anew.
    fn compact(&mut self) -> sled::Result<()> {
        let copy = || -> Result<sled::Db, String> {
            let next = generations::create(&self.folder, self.generation + 1)?;
            compaction::copy(&self.db, &next).map_err(|error| error.to_string())?;
            Ok(next)
        };
        let copied = copy();
        #[cfg(test)]
        self.copies.push((self.kept(), self.sums.live()));
        let (next, sums) = match copied {
            Ok(next) => (next, self.sums),
            Err(cause) => {
                tracing::warn!(%cause, "the answers cannot be copied; starting anew");
                let next = generations::create(&self.folder, self.generation + 1)
                    .map_err(sled::Error::Unsupported)?;
                (next, EntrySums::default())
            }
        };
        self.turn_to(next, sums).map_err(sled::Error::Unsupported)
    }

    /// From now on the next generation is the one in use, and the last one goes.
    fn turn_to(&mut self, next: sled::Db, sums: EntrySums) -> Result<(), String> {
        generations::choose(&self.folder, self.generation + 1)?;
        let last = generations::path(&self.folder, self.generation);
        self.generation += 1;
        self.db = next;
        self.sums = sums;
        self.touched.clear();
        // The threads of the last one may write for another moment; what they leave goes at the next opening.
        let _ = fs::remove_dir_all(last);
        Ok(())
    }
}

fn forget(batch: &mut sled::Batch, sums: &mut EntrySums, digest: Digest, record: &Record) {
    for version in &record.versions {
        (0..version.pieces()).for_each(|n| batch.remove(piece_key(digest, version.id, n)));
    }
    batch.remove(record_key(digest));
    sums.entries = sums.entries.saturating_sub(1);
    sums.bytes = sums.bytes.saturating_sub(record.bytes());
}

fn record_key(digest: Digest) -> Vec<u8> {
    [b"r", &digest.0[..]].concat()
}

fn piece_key(digest: Digest, version: u64, n: u64) -> Vec<u8> {
    [
        b"p",
        &digest.0[..],
        &version.to_be_bytes(),
        &n.to_be_bytes(),
    ]
    .concat()
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
