//! The ledger's side of a group's budget: which charges count in it, and what this machine has leased.
//!
//! Owns: the rows of `group_charges` and `group_leases`, the name of this machine, and what was last heard of the group.
//! Refuses: Redis; `budget::GroupBudget` asks it and reads its answers.
//! Invariant: an amount never rises, so what Redis is told late or twice is at most too high. A lease counts here after
//! Redis has granted it, and is lowered here before Redis is told.

use std::collections::BTreeMap;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{ChargeScope, Db, ScopeSums, StoreError, Windows};
use crate::chat::id::AttemptId;
use crate::chat::{Timestamp, Usd};

/// Pico-dollars in a nano-dollar, the unit of leases: whole numbers of it are exact in Redis's scripts.
const NANO: i128 = 1000;
/// A lease without an answer for this long counts as unanswered.
const UNANSWERED: i64 = 15_000;
/// A lease of nothing is kept for this long: Redis may come back with an older copy in which it has an amount.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

/// A part of the group's money that this machine has, or that it had and gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseShare {
    pub(crate) id: String,
    /// The day it is of.
    pub(crate) day_start: Timestamp,
    /// Nano-dollars.
    pub(crate) amount: i64,
}

/// What Redis last said about a group and its month.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct GroupSnapshot {
    pub(crate) month_start: i64,
    /// The name of Redis's memory; it has another one after a loss.
    pub(crate) epoch: String,
    /// The machines with leases in the month; `false`: it has not reported them since Redis lost its memory.
    pub(crate) members: BTreeMap<String, bool>,
    /// How many calls of all machines it had counted.
    #[serde(default)]
    pub(crate) all_calls: i64,
    /// What the other machines have leased, on this day and in the month, in nano-dollars.
    #[serde(default)]
    pub(crate) day_start: i64,
    #[serde(default)]
    pub(crate) others_day: i64,
    #[serde(default)]
    pub(crate) others_month: i64,
}

impl GroupSnapshot {
    /// What the other machines have leased according to the last answer; zero for another day or month.
    pub(crate) fn others(&self, windows: &Windows) -> Allowance {
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
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        self.epoch != other.epoch || self.all_calls > other.all_calls
    }
}

/// A part of the group's money, in one window each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub(crate) day: Usd,
    pub month: Usd,
}

/// This machine's part of a group's budget.
pub struct GroupLeases<'a>(pub &'a Db);

impl GroupLeases<'_> {
    /// The name of this machine, or rather of this data folder; made of `bits` at the first call.
    pub(crate) fn machine(&self, bits: u64) -> Result<String, StoreError> {
        self.0.write(|db| {
            if let Some(name) = db.remembered("machine")? {
                return Ok(name);
            }
            let name = AttemptId::from_bits(bits).to_string();
            db.remember("machine", &name)?;
            Ok(name)
        })
    }

    /// Counts the charge that is written next against a group. In the same [`Db::write`] as the charge.
    pub(crate) fn count_in_group(
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
        self.0.conn.prepare_cached(sql)?.execute(cells)?;
        Ok(())
    }

    /// What this machine has leased, spent or not.
    pub fn leased(&self, group: &str, windows: &Windows) -> Result<Allowance, StoreError> {
        let sql = "SELECT coalesce(sum(amount) FILTER (WHERE day_start = ?3), 0), coalesce(sum(amount), 0)
                   FROM group_leases WHERE name = ?1 AND month_start = ?2 AND state = 'held'";
        let window = params![group, windows.month_start.0, windows.day_start.0];
        let usd = |nano: i64| Usd::from_pico(i128::from(nano) * NANO);
        Ok(self.0.conn.prepare_cached(sql)?.query_row(window, |row| {
            Ok(Allowance {
                day: usd(row.get(0)?),
                month: usd(row.get(1)?),
            })
        })?)
    }

    /// What of it is not spent; negative when more was billed than reserved.
    pub(crate) fn unspent(
        &self,
        group: &str,
        at: Timestamp,
        windows: &Windows,
    ) -> Result<Allowance, StoreError> {
        let leased = self.leased(group, windows)?;
        let day = ScopeSums(self.0)
            .sum(ChargeScope::GroupDay(group, at))?
            .total();
        let month = ScopeSums(self.0)
            .sum(ChargeScope::GroupMonth(group, at))?
            .total();
        Ok(Allowance {
            day: leased.day - day,
            month: leased.month - month,
        })
    }

    /// Notes that a lease will be asked for. Leases that were never answered become leases of nothing and are reported to
    /// Redis, so that a late question grants nothing.
    pub(crate) fn ask_lease(
        &self,
        id: &str,
        group: &str,
        windows: &Windows,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.write(|db| {
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
    pub(crate) fn record_lease(
        &self,
        id: &str,
        nano: i64,
        epoch: &str,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE group_leases SET state = 'held', amount = ?2, told = ?3 WHERE id = ?1 AND state = 'asked'";
        Ok(self
            .0
            .conn
            .prepare_cached(sql)?
            .execute(params![id, nano, epoch])?
            == 1)
    }

    /// No answer came: from now on it is a lease of nothing, whatever the answer will be.
    pub(crate) fn give_up_lease(&self, id: &str) -> Result<(), StoreError> {
        self.0.conn.execute(
            "UPDATE group_leases SET state = 'held', told = '' WHERE id = ?1 AND state = 'asked'",
            [id],
        )?;
        Ok(())
    }

    /// Redis has refused a lease.
    pub(crate) fn drop_lease(&self, id: &str) -> Result<(), StoreError> {
        self.0.conn.execute(
            "DELETE FROM group_leases WHERE id = ?1 AND state = 'asked'",
            [id],
        )?;
        Ok(())
    }

    /// Gives back what is leased and not spent, but for `keep`; and where more was billed than leased, notes a lease of
    /// the difference under `id`.
    pub(crate) fn trim_leases(
        &self,
        id: &str,
        group: &str,
        at: Timestamp,
        windows: &Windows,
        keep: Usd,
    ) -> Result<(), StoreError> {
        self.0.write(|db| {
            let unspent = GroupLeases(db).unspent(group, at, windows)?;
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
            GroupLeases(db).lower(group, windows, false, nano_down(past))?;
            let rest = unspent.day.min(unspent.month) - keep;
            GroupLeases(db).lower(group, windows, true, nano_down(rest))
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
        let mut query = self.0.conn.prepare_cached(
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
            self.0
                .conn
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

    /// The leases of this month whose present amount this memory of Redis does not know.
    pub(crate) fn unreported(
        &self,
        group: &str,
        windows: &Windows,
        epoch: &str,
    ) -> Result<Vec<LeaseShare>, StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "SELECT id, day_start, amount FROM group_leases
             WHERE name = ?1 AND month_start = ?2 AND state = 'held' AND (told = '' OR told != ?3)",
        )?;
        let rows = query.query_map(params![group, windows.month_start.0, epoch], |row| {
            Ok(LeaseShare {
                id: row.get(0)?,
                day_start: Timestamp(row.get(1)?),
                amount: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that this memory of Redis knows these leases.
    pub(crate) fn mark_reported(
        &self,
        leases: &[LeaseShare],
        epoch: &str,
    ) -> Result<(), StoreError> {
        self.0.write(|db| {
            let mut told = db.conn.prepare_cached(
                "UPDATE group_leases SET told = ?3 WHERE id = ?1 AND amount = ?2",
            )?;
            for lease in leases {
                told.execute(params![lease.id, lease.amount, epoch])?;
            }
            Ok(())
        })
    }

    /// What Redis last said about a group in this month; empty if that was another month.
    pub(crate) fn snapshot(
        &self,
        group: &str,
        windows: &Windows,
    ) -> Result<GroupSnapshot, StoreError> {
        let snapshot: Option<GroupSnapshot> = self.0.remembered(&format!("group {group}"))?;
        let this = snapshot.filter(|snapshot| snapshot.month_start == windows.month_start.0);
        Ok(this.unwrap_or(GroupSnapshot {
            month_start: windows.month_start.0,
            ..GroupSnapshot::default()
        }))
    }

    pub(crate) fn remember_snapshot(
        &self,
        group: &str,
        snapshot: &GroupSnapshot,
    ) -> Result<(), StoreError> {
        self.0.remember(&format!("group {group}"), snapshot)
    }
}

/// In nano-dollars, rounded up: what is needed.
pub(crate) fn nano_up(usd: Usd) -> i64 {
    let pico = usd.pico();
    i64::try_from(pico.div_euclid(NANO) + i128::from(pico.rem_euclid(NANO) != 0))
        .unwrap_or(i64::MAX)
}

/// In nano-dollars, rounded down: what is there.
pub(crate) fn nano_down(usd: Usd) -> i64 {
    i64::try_from(usd.pico().div_euclid(NANO)).unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_other_machines_is_known_only_for_its_own_day_and_month() {
        let windows = |day, month| Windows {
            day_start: Timestamp(day),
            day_end: Timestamp(day + 1),
            month_start: Timestamp(month),
            month_end: Timestamp(month + 9),
        };
        let snapshot = GroupSnapshot {
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
            let found = snapshot.others(&windows(day, month));
            assert_eq!(
                (found.day.pico(), found.month.pico()),
                others,
                "day {day} of month {month}"
            );
        }
        let of = |epoch: &str, all_calls| GroupSnapshot {
            epoch: epoch.to_owned(),
            all_calls,
            ..snapshot.clone()
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
