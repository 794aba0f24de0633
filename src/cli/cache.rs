//! `cache`: statistics, clearing and checking of the kept answers. Also the hidden command of the owner process.

use serde::Serialize;

use super::args::{CacheAction, CacheOwnerArgs, Shared};
use super::logging::{self, LogFilter};
use super::table::{table, thousands};
use super::{output, setup};
use crate::cache::owner::{Service, serve};
use crate::cache::{Cache, Freed, TierFigures, Verified};
use crate::chat::text::one_line;
use crate::chat::{Failure, FailureKind, Timestamp, Usd};
use crate::protocol::CacheHit;
use crate::store::{By, Db, StatsReader};

#[derive(Serialize)]
struct CacheStats {
    folder: String,
    /// Over everything that the store remembers.
    requests: u64,
    cache_hits: u64,
    /// From 0 to 1; null: nothing was asked yet.
    hit_rate: Option<f64>,
    /// null: none of the hits had a known price.
    saved_usd: Option<Usd>,
    #[serde(skip)]
    saved: String,
    tiers: Vec<TierFigures>,
}

#[derive(Serialize)]
struct TierResult<T> {
    tier: CacheHit,
    #[serde(flatten)]
    what: T,
}

pub(super) async fn run(shared: &Shared, action: CacheAction) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    let parts = core.gateway.parts();
    let Some(cache) = &parts.cache else {
        return Err(
            Failure::new(FailureKind::Usage, "the cache is switched off")
                .hint("leave --no-cache out, or set `enabled = true` under [cache]"),
        );
    };
    let outcome = match action {
        CacheAction::Stats => {
            let db = Db::open(&parts.data_dir).map_err(Failure::from)?;
            let total = StatsReader(&db)
                .stats(By::Model, Timestamp(0), |_| String::new())
                .map_err(Failure::from)?
                .total;
            let report = CacheStats {
                folder: parts.data_dir.join("cache").display().to_string(),
                requests: total.requests,
                cache_hits: total.cache_hits,
                hit_rate: rate(total.cache_hits, total.requests),
                saved_usd: total.known_saved(),
                saved: total.saved.short_sum(total.saved_unknown),
                tiers: cache.figures().await.into_iter().map(own_memory).collect(),
            };
            output::done(if shared.json {
                output::json(&report)
            } else {
                output::report(&as_table(&report))
            })
        }
        CacheAction::Clear { shared: also } => clear(shared, cache, also).await,
        CacheAction::Verify => verify(shared, cache).await,
    };
    match (outcome, cache.trouble()) {
        // One line says both that it failed and why.
        (Err(failure), Some(why)) => Err(failure.hint(why)),
        (outcome, why) => {
            if let Some(why) = why {
                output::remark(&why);
            }
            outcome
        }
    }
}

/// Runs the owner of the disk tier. It has no terminal, so it writes to the log.
pub(super) fn own(args: &CacheOwnerArgs) -> u8 {
    if let Some(data_dir) = args.folder.parent() {
        logging::start(&data_dir.join("log"), LogFilter::of_verbosity(0));
    }
    let linger = std::time::Duration::from_secs(args.linger);
    match serve(&Service {
        folder: args.folder.clone(),
        limit: args.limit,
        linger,
    }) {
        Ok(()) => 0,
        Err(error) => {
            tracing::warn!(%error, "the cache has no owner");
            1
        }
    }
}

/// What became of the answers of a tier.
#[derive(Serialize)]
#[serde(untagged)]
enum Cleared {
    Freed(Freed),
    /// Other machines share them.
    Left {
        note: &'static str,
    },
}

const LEFT: &str =
    "left as they are, others share them; `cache clear --shared` forgets them for everybody";

async fn clear(shared: &Shared, cache: &Cache, also_shared: bool) -> Result<u8, Failure> {
    let mut all: Vec<TierResult<Cleared>> = Vec::new();
    for tier in others(cache) {
        let what = match tier.name() {
            CacheHit::Redis if !also_shared => Cleared::Left { note: LEFT },
            name => Cleared::Freed(tier.clear().await.ok_or_else(|| away(name))?),
        };
        all.push(TierResult {
            tier: tier.name(),
            what,
        });
    }
    let line = |done: &TierResult<Cleared>| match &done.what {
        Cleared::Left { note } => format!("{}: {note}\n", name(done.tier)),
        Cleared::Freed(freed) => {
            let space = freed
                .bytes
                .map(|bytes| format!(", {} freed", size(bytes)))
                .unwrap_or_default();
            format!(
                "{}: {} answers forgotten{space}\n",
                name(done.tier),
                thousands(freed.entries)
            )
        }
    };
    output::done(if shared.json {
        output::json(&all)
    } else {
        output::report(&all.iter().map(line).collect::<String>())
    })
}

async fn verify(shared: &Shared, cache: &Cache) -> Result<u8, Failure> {
    let mut all: Vec<TierResult<Verified>> = Vec::new();
    for tier in others(cache).filter(|tier| tier.name() == CacheHit::Disk) {
        let what = tier.verify().await.ok_or_else(|| away(tier.name()))?;
        all.push(TierResult {
            tier: tier.name(),
            what,
        });
    }
    let line = |done: &TierResult<Verified>| {
        let (good, removed) = (thousands(done.what.good), thousands(done.what.removed));
        format!(
            "{}: {good} answers are sound, {removed} were damaged and are removed\n",
            name(done.tier)
        )
    };
    output::done(if shared.json {
        output::json(&all)
    } else {
        output::report(&all.iter().map(line).collect::<String>())
    })
}

/// The tiers outside this process; its own memory is empty.
fn others(cache: &Cache) -> impl Iterator<Item = &dyn crate::cache::Tier> {
    cache
        .tiers()
        .iter()
        .map(AsRef::as_ref)
        .filter(|tier| tier.name() != CacheHit::Memory)
}

/// Memory belongs to each process: that of this short-lived one says nothing.
fn own_memory(figures: TierFigures) -> TierFigures {
    if figures.tier != CacheHit::Memory {
        return figures;
    }
    let note = Some("each chat has its own".to_owned());
    TierFigures {
        limit_bytes: figures.limit_bytes,
        note,
        ..TierFigures::of(CacheHit::Memory)
    }
}

fn away(tier: CacheHit) -> Failure {
    Failure::new(
        FailureKind::Request,
        format!("the answers in {} cannot be reached", name(tier)),
    )
    .hint("`chat-agent doctor` says why")
}

fn name(tier: CacheHit) -> &'static str {
    match tier {
        CacheHit::None => "nowhere",
        CacheHit::Memory => "memory",
        CacheHit::Disk => "disk",
        CacheHit::Redis => "redis",
    }
}

fn rate(hits: u64, requests: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let rate = hits as f64 / requests as f64;
    (requests > 0).then_some(rate)
}

fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let bytes = bytes as f64;
    match bytes {
        ..1024.0 => format!("{bytes} B"),
        ..1_048_576.0 => format!("{:.1} KiB", bytes / 1024.0),
        ..1_073_741_824.0 => format!("{:.1} MiB", bytes / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes / 1_073_741_824.0),
    }
}

fn as_table(report: &CacheStats) -> String {
    let count = |n: Option<u64>| n.map_or_else(|| "n/a".to_owned(), thousands);
    let bytes = |n: Option<u64>| n.map_or_else(|| "n/a".to_owned(), size);
    let line = |tier: &TierFigures| {
        let owner = tier.owner.as_ref().map(|owner| {
            format!(
                "owner {}, up {} s, {} connected",
                owner.pid,
                thousands(owner.uptime_s),
                owner.clients
            )
        });
        let note = tier
            .note
            .as_deref()
            .map(|note| one_line(note).as_str().to_owned());
        let words: Vec<String> = owner.into_iter().chain(note).collect();
        vec![
            name(tier.tier).to_owned(),
            count(tier.entries),
            bytes(tier.live_bytes),
            bytes(tier.kept_bytes),
            bytes(tier.limit_bytes),
            words.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = report.tiers.iter().map(line).collect();
    let rate = report
        .hit_rate
        .map_or_else(|| "n/a".to_owned(), |rate| format!("{:.0} %", rate * 100.0));
    format!(
        "{}\ncache hit {rate}: {} of {} answers, saved {}\n",
        table(
            &["tier", ">answers", ">bytes", ">kept in", ">limit", ""],
            &rows
        ),
        thousands(report.cache_hits),
        thousands(report.requests),
        report.saved,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (64 << 20, "64.0 MiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
