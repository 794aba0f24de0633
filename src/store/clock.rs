//! The ledger and the clock: by which time windows are chosen, and what becomes of charges that a wrong clock has dated.
//!
//! Owns: the time of the ledger, the row of `clock`, and the machine's own clock.
//! Refuses: to judge whether a clock is wrong; that is `budget`.
//! Invariant: the ledger's time never falls, except by the user's word, and then no charge leaves its own window.

use rusqlite::{OptionalExtension, named_params, params};

#[cfg(target_os = "linux")]
use super::owner;
use super::{Db, StoreError, Windows};
use crate::chat::{Timestamp, Uptime};

/// What both clocks said at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClockReading {
    pub(crate) wall: Timestamp,
    pub(crate) uptime: Uptime,
}

/// How long this machine has been running, time asleep included; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn uptime() -> Option<Uptime> {
    let boot = owner::boot()?;
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let ms = time
        .tv_sec
        .checked_mul(1000)?
        .checked_add(time.tv_nsec / 1_000_000)?;
    Some(Uptime { boot, ms })
}

/// Only Linux names its starts and counts the time asleep.
#[cfg(not(target_os = "linux"))]
pub fn uptime() -> Option<Uptime> {
    None
}

/// The ledger's time, and what the clocks said last.
pub(crate) struct LedgerClock<'a>(pub &'a Db);

impl LedgerClock<'_> {
    /// When the newest charge was taken, without those whose date the user has set right.
    pub(crate) fn newest_charge(&self) -> Result<Option<Timestamp>, StoreError> {
        let newest: Option<i64> = self
            .0
            .conn
            .prepare_cached("SELECT max(taken_at) FROM charges WHERE clock_settled IS NULL")?
            .query_row([], |row| row.get(0))?;
        Ok(newest.map(Timestamp))
    }

    /// The time by which windows are chosen: now, but never earlier than the newest charge, so that a clock that is
    /// set back gives no day a second time.
    pub(crate) fn ledger_time(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        Ok(self.newest_charge()?.map_or(now, |newest| now.max(newest)))
    }

    /// What the clocks said at the last admission.
    pub(crate) fn clock_seen(&self) -> Result<Option<ClockReading>, StoreError> {
        Ok(self
            .0
            .conn
            .prepare_cached("SELECT wall, up, boot FROM clock")?
            .query_row([], |row| {
                let uptime = Uptime {
                    boot: row.get::<_, String>(2)?.into(),
                    ms: row.get(1)?,
                };
                Ok(ClockReading {
                    wall: Timestamp(row.get(0)?),
                    uptime,
                })
            })
            .optional()?)
    }

    /// Keeps what the clocks say now.
    pub(crate) fn remember_clock(
        &self,
        wall: Timestamp,
        uptime: &Uptime,
    ) -> Result<(), StoreError> {
        self.0.write(|db| {
            db.conn
                .prepare_cached(
                    "INSERT INTO clock (one, wall, up, boot) VALUES (1, ?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET wall = excluded.wall, up = excluded.up, boot = excluded.boot",
                )?
                .execute(params![wall.0, uptime.ms, &*uptime.boot])?;
            Ok(())
        })
    }

    /// The user says that it is `now`, although the ledger has later charges. Those keep their own windows and count in the
    /// day and the month of now as well: the money is already spent, and it must still count when its own day comes. The
    /// days between are free of it. Returns the number of these charges.
    pub(crate) fn settle_clock(
        &self,
        now: Timestamp,
        windows: &Windows,
        uptime: Option<&Uptime>,
    ) -> Result<usize, StoreError> {
        self.0.write(|db| {
            let ahead = db.conn.execute(
                "UPDATE charges SET clock_settled = :now,
                   also_day_start = iif(day_start > :now, :day_start, NULL),
                   also_day_end = iif(day_start > :now, :day_end, NULL),
                   also_month_start = iif(month_start > :now, :month_start, NULL),
                   also_month_end = iif(month_start > :now, :month_end, NULL)
                 WHERE taken_at > :now AND clock_settled IS NULL",
                named_params! {
                    ":now": now.0,
                    ":day_start": windows.day_start.0,
                    ":day_end": windows.day_end.0,
                    ":month_start": windows.month_start.0,
                    ":month_end": windows.month_end.0,
                },
            )?;
            if ahead > 0 {
                db.conn.execute_batch(
                    "DELETE FROM totals; INSERT INTO totals SELECT * FROM charge_sums;",
                )?;
            }
            match uptime {
                Some(uptime) => LedgerClock(db).remember_clock(now, uptime)?,
                None => drop(db.conn.execute("DELETE FROM clock", [])?),
            }
            Ok(ahead)
        })
    }
}
