//! The ledger's side of a group's budget: which charges count in it, and what this machine has leased.
//!
//! Owns: the rows of `group_charges` and `group_leases`, the name of this machine, and what was last heard of the group.
//! Refuses: Redis; what is asked there and what its answers mean is `budget::shared`.
//! Invariant: an amount never rises, so what Redis is told late or twice is only ever too high; a lease counts here after
//! Redis has granted it, and is lowered here before Redis hears of it.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{ChargeScope, Db, StoreError, Windows};
use crate::chat::id::AttemptId;
use crate::chat::{Timestamp, Usd};

/// Pico-dollars in a nano-dollar, the unit of leases: whole numbers of it are exact in Redis's scripts.
const NANO: i128 = 1000;
/// A lease that was asked for this long ago was not answered.
const UNANSWERED: i64 = 15_000;
/// For so long a lease of nothing is remembered: Redis may come back with an older copy, in which it is of something.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

/// A part of the group's money that this machine has, or that it had and gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub id: String,
    /// The day it is of.
    pub day_start: Timestamp,
    /// Nano-dollars.
    pub amount: i64,
}

/// What Redis was last heard to say of a group and its month.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupSnapshot {
    pub month_start: i64,
    /// The name of Redis's memory; another one, and it has forgotten.
    pub epoch: String,
    /// The machines with a share in the month; `false`: one that has not said its share since Redis forgot it.
    pub members: BTreeMap<String, bool>,
    /// Its count of the calls of this machine and of all machines that were answered.
    #[serde(default)]
    pub calls: i64,
    #[serde(default)]
    pub all_calls: i64,
    /// What the other machines have leased, on this day and in the month, in nano-dollars.
    #[serde(default)]
    pub day_start: i64,
    #[serde(default)]
    pub others_day: i64,
    #[serde(default)]
    pub others_month: i64,
}

impl GroupSnapshot {
    /// What the other machines have leased, as it was last heard; nothing, of a day of which nothing was heard.
    pub fn others(&self, windows: &Windows) -> Allowance {
        let of = |nano: i64, known: bool| {
            Usd::from_pico(i128::from(if known { nano.max(0) } else { 0 }) * NANO)
        };
        let (day, month) = (
            windows.day_start.0 == self.day_start,
            windows.month_start.0 == self.month_start,
        );
        Allowance {
            day: of(self.others_day, day && month),
            month: of(self.others_month, month),
        }
    }

    /// Whether it is later than another one of the same memory.
    pub fn is_after(&self, other: &Self) -> bool {
        self.epoch != other.epoch || self.all_calls > other.all_calls
    }
}

/// A part of the group's money, in one window each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub day: Usd,
    pub month: Usd,
}

impl Db {
    /// The name of this machine, or rather of this data folder; made of `bits` at the first call.
    pub fn machine(&self, bits: u64) -> Result<String, StoreError> {
        self.write(|db| {
            if let Some(name) = db.remembered("machine")? {
                return Ok(name);
            }
            let name = AttemptId::from_bits(bits).to_string();
            db.remember("machine", &name)?;
            Ok(name)
        })
    }

    /// Counts the charge that is written next against a group. In the same [`Db::write`] as the charge.
    pub fn count_in_group(
        &self,
        attempt: &AttemptId,
        group: &str,
        windows: &Windows,
    ) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO group_charges (attempt, name, day_start, day_end, month_start, month_end)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let w = windows;
        let cells = params![
            attempt.as_str(),
            group,
            w.day_start.0,
            w.day_end.0,
            w.month_start.0,
            w.month_end.0
        ];
        self.conn.prepare_cached(sql)?.execute(cells)?;
        Ok(())
    }

    /// What this machine has leased, spent or not.
    pub fn leased(&self, group: &str, windows: &Windows) -> Result<Allowance, StoreError> {
        let sql = "SELECT coalesce(sum(amount) FILTER (WHERE day_start = ?3), 0), coalesce(sum(amount), 0)
                   FROM group_leases WHERE name = ?1 AND month_start = ?2 AND state = 'held'";
        let window = params![group, windows.month_start.0, windows.day_start.0];
        let usd = |nano: i64| Usd::from_pico(i128::from(nano) * NANO);
        Ok(self.conn.prepare_cached(sql)?.query_row(window, |row| {
            Ok(Allowance {
                day: usd(row.get(0)?),
                month: usd(row.get(1)?),
            })
        })?)
    }

    /// What of it is not spent; negative when more was billed than reserved.
    pub fn unspent(
        &self,
        group: &str,
        at: Timestamp,
        windows: &Windows,
    ) -> Result<Allowance, StoreError> {
        let leased = self.leased(group, windows)?;
        let day = self.sum(ChargeScope::GroupDay(group, at))?.total();
        let month = self.sum(ChargeScope::GroupMonth(group, at))?.total();
        Ok(Allowance {
            day: leased.day - day,
            month: leased.month - month,
        })
    }

    /// Notes that a lease will be asked for. Those that were never answered become leases of nothing, of which Redis
    /// hears: whenever the answer is made, it is nothing.
    pub fn ask_lease(
        &self,
        id: &str,
        group: &str,
        windows: &Windows,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            db.conn.execute(
                "UPDATE group_leases SET state = 'held', told = ''
                 WHERE state = 'asked' AND (at < ?1 - ?2 OR at > ?1 + ?2)",
                params![at.0, UNANSWERED],
            )?;
            // Months that have ended, and leases of nothing that Redis has known for long.
            db.conn.execute(
                "DELETE FROM group_leases WHERE name = ?1 AND month_start < ?2
                 OR state = 'held' AND amount = 0 AND told != '' AND at < ?3 - ?4",
                params![group, windows.month_start.0, at.0, REMEMBERED],
            )?;
            db.conn.execute(
                "INSERT INTO group_leases (id, name, day_start, month_start, amount, state, told, at)
                 VALUES (?1, ?2, ?3, ?4, 0, 'asked', '', ?5)",
                params![id, group, windows.day_start.0, windows.month_start.0, at.0],
            )?;
            Ok(())
        })
    }

    /// Redis has granted a lease: from now on it may be spent. `false`: it was given up in the meantime.
    pub fn hold_lease(&self, id: &str, nano: i64, epoch: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE group_leases SET state = 'held', amount = ?2, told = ?3 WHERE id = ?1 AND state = 'asked'";
        Ok(self
            .conn
            .prepare_cached(sql)?
            .execute(params![id, nano, epoch])?
            == 1)
    }

    /// No answer came: whatever it will be, it is a lease of nothing.
    pub fn give_up_lease(&self, id: &str) -> Result<(), StoreError> {
        self.conn.execute(
            "UPDATE group_leases SET state = 'held', told = '' WHERE id = ?1 AND state = 'asked'",
            [id],
        )?;
        Ok(())
    }

    /// Redis has refused a lease.
    pub fn drop_lease(&self, id: &str) -> Result<(), StoreError> {
        self.conn.execute(
            "DELETE FROM group_leases WHERE id = ?1 AND state = 'asked'",
            [id],
        )?;
        Ok(())
    }

    /// Gives back what is leased and not spent, but for `keep`; and where more was billed than leased, notes a lease of
    /// the difference under `id`.
    pub fn trim_leases(
        &self,
        id: &str,
        group: &str,
        at: Timestamp,
        windows: &Windows,
        keep: Usd,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            let unspent = db.unspent(group, at, windows)?;
            let over = (Usd::ZERO - unspent.day).max(Usd::ZERO - unspent.month);
            if over > Usd::ZERO {
                db.conn.execute(
                    "INSERT INTO group_leases (id, name, day_start, month_start, amount, state, told, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, 'held', '', ?6)",
                    params![id, group, windows.day_start.0, windows.month_start.0, nano_up(over), at.0],
                )?;
                return Ok(());
            }
            let past = unspent.month - unspent.day;
            db.lower(group, windows, false, nano_down(past))?;
            let rest = unspent.day.min(unspent.month) - keep;
            db.lower(group, windows, true, nano_down(rest))
        })
    }

    /// Takes this much off the leases of today, or of the days before in this month.
    fn lower(
        &self,
        group: &str,
        windows: &Windows,
        today: bool,
        mut nano: i64,
    ) -> Result<(), StoreError> {
        if nano <= 0 {
            return Ok(());
        }
        let mut query = self.conn.prepare_cached(
            "SELECT id, amount FROM group_leases WHERE name = ?1 AND month_start = ?2 AND (day_start = ?3) = ?4
             AND state = 'held' AND amount > 0 ORDER BY amount DESC",
        )?;
        let window = params![group, windows.month_start.0, windows.day_start.0, today];
        let rows = query.query_map(window, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        for (id, amount) in rows {
            let off = amount.min(nano);
            self.conn
                .prepare_cached(
                    "UPDATE group_leases SET amount = amount - ?2, told = '' WHERE id = ?1",
                )?
                .execute(params![id, off])?;
            nano -= off;
            if nano == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The shares of this month that this memory of Redis has not been told as they are.
    pub fn untold(
        &self,
        group: &str,
        windows: &Windows,
        epoch: &str,
    ) -> Result<Vec<Share>, StoreError> {
        let mut query = self.conn.prepare_cached(
            "SELECT id, day_start, amount FROM group_leases
             WHERE name = ?1 AND month_start = ?2 AND state = 'held' AND (told = '' OR told != ?3)",
        )?;
        let rows = query.query_map(params![group, windows.month_start.0, epoch], |row| {
            Ok(Share {
                id: row.get(0)?,
                day_start: Timestamp(row.get(1)?),
                amount: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// This memory of Redis knows these now.
    pub fn shares_told(&self, shares: &[Share], epoch: &str) -> Result<(), StoreError> {
        self.write(|db| {
            let mut told = db.conn.prepare_cached(
                "UPDATE group_leases SET told = ?3 WHERE id = ?1 AND amount = ?2",
            )?;
            for share in shares {
                told.execute(params![share.id, share.amount, epoch])?;
            }
            Ok(())
        })
    }

    /// What Redis was last heard to say of a group in this month; nothing, when it was another month.
    pub fn heard(&self, group: &str, windows: &Windows) -> Result<GroupSnapshot, StoreError> {
        let heard: Option<GroupSnapshot> = self.remembered(&format!("group {group}"))?;
        let this = heard.filter(|heard| heard.month_start == windows.month_start.0);
        Ok(this.unwrap_or(GroupSnapshot {
            month_start: windows.month_start.0,
            ..GroupSnapshot::default()
        }))
    }

    pub fn remember_heard(&self, group: &str, heard: &GroupSnapshot) -> Result<(), StoreError> {
        self.remember(&format!("group {group}"), heard)
    }

    /// Whether a charge counts against a group.
    pub fn group_of(&self, attempt: &AttemptId) -> Result<Option<String>, StoreError> {
        let sql = "SELECT name FROM group_charges WHERE attempt = ?1";
        Ok(self
            .conn
            .prepare_cached(sql)?
            .query_row([attempt.as_str()], |row| row.get(0))
            .optional()?)
    }
}

/// In nano-dollars, rounded up: what is needed.
pub fn nano_up(usd: Usd) -> i64 {
    let pico = usd.pico();
    i64::try_from(pico.div_euclid(NANO) + i128::from(pico.rem_euclid(NANO) != 0))
        .unwrap_or(i64::MAX)
}

/// In nano-dollars, rounded down: what is there.
pub fn nano_down(usd: Usd) -> i64 {
    i64::try_from(usd.pico().div_euclid(NANO)).unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_others_have_is_known_of_its_own_day_and_month_only() {
        let windows = |day, month| Windows {
            day_start: Timestamp(day),
            day_end: Timestamp(day + 1),
            month_start: Timestamp(month),
            month_end: Timestamp(month + 9),
        };
        let heard = GroupSnapshot {
            month_start: 10,
            day_start: 12,
            others_day: 3,
            others_month: 7,
            all_calls: 5,
            ..GroupSnapshot::default()
        };
        for (day, month, others) in [
            (12, 10, (3000, 7000)),
            (13, 10, (0, 7000)),
            (12, 20, (0, 0)),
        ] {
            let found = heard.others(&windows(day, month));
            assert_eq!(
                (found.day.pico(), found.month.pico()),
                others,
                "day {day} of month {month}"
            );
        }
        let of = |epoch: &str, all_calls| GroupSnapshot {
            epoch: epoch.to_owned(),
            all_calls,
            ..heard.clone()
        };
        assert!(of("a", 6).is_after(&of("a", 5)) && !of("a", 5).is_after(&of("a", 5)));
        assert!(of("b", 1).is_after(&of("a", 5)), "of another memory");
        let old: GroupSnapshot =
            serde_json::from_str(r#"{"month_start":10,"epoch":"a","members":{}}"#).unwrap();
        assert_eq!(
            old.others(&windows(12, 10)),
            Allowance {
                day: Usd::ZERO,
                month: Usd::ZERO
            }
        );
    }
}
