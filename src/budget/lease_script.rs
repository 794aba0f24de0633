//! The script that leases a group's money: what it is asked and what it answers.
//!
//! Owns: `lease.lua`, the order of its arguments and of its reply.
//! Refuses: to judge a reply; `group_budget` does.
//! Invariant: a reply counts only for the call whose number it repeats.
//!
//! # Numbers
//!
//! Lua calculates in doubles, exact up to 2^53. Leases are whole nano-dollars, rounded up, and limits are cut at 2^50 of
//! them (1.1 million dollars). A sum above 2^53 is far above any limit, so its last digit does not matter.

use super::DayMonth;
use crate::chat::Usd;
use crate::store::{GroupSnapshot, LeaseShare, Windows};

pub(super) const SCRIPT: &str = include_str!("lease.lua");
/// The largest limit that the script takes, in nano-dollars.
const MOST: i64 = 1 << 50;

/// What the script is asked for.
pub(super) enum LeaseRequest<'a> {
    /// `share`: granted while there is plenty. `ahead`: for later requests, so it may be refused.
    Lease {
        id: &'a str,
        least: i64,
        share: i64,
        ahead: bool,
    },
    Tell,
    Look,
    Accept,
}

impl LeaseRequest<'_> {
    /// Its name in the script.
    pub(super) fn mode(&self) -> &'static str {
        match self {
            Self::Lease { ahead: true, .. } => "ahead",
            Self::Lease { .. } => "lease",
            Self::Tell => "tell",
            Self::Look => "look",
            Self::Accept => "accept",
        }
    }
}

/// What this machine reports: who it is, what it was last told, and the leases that Redis does not know.
#[derive(Clone)]
pub(super) struct MachineReport {
    pub(super) machine: String,
    pub(super) snapshot: GroupSnapshot,
    pub(super) windows: Windows,
    pub(super) leases: Vec<LeaseShare>,
}

pub(super) struct ScriptReply {
    pub(super) status: String,
    pub(super) granted: i64,
    pub(super) epoch: String,
    pub(super) day: i64,
    pub(super) month: i64,
    pub(super) mine: i64,
    pub(super) mine_today: i64,
    pub(super) members: Vec<(String, bool)>,
    pub(super) low: bool,
    pub(super) calls: i64,
}

impl ScriptReply {
    /// The part of it that the ledger remembers.
    pub(super) fn snapshot(&self, windows: &Windows) -> GroupSnapshot {
        GroupSnapshot {
            month_start: windows.month_start.0,
            epoch: self.epoch.clone(),
            members: self.members.iter().cloned().collect(),
            all_calls: self.calls,
            day_start: windows.day_start.0,
            others_day: self.day.saturating_sub(self.mine_today),
            others_month: self.month.saturating_sub(self.mine),
        }
    }
}

impl MachineReport {
    /// The same from a machine that already knows the memory of this reply.
    pub(super) fn with_epoch_of(&self, reply: &ScriptReply) -> Self {
        let snapshot = GroupSnapshot {
            epoch: reply.epoch.clone(),
            all_calls: 0,
            ..self.snapshot.clone()
        };
        Self {
            snapshot,
            ..self.clone()
        }
    }
}

/// One call.
pub(super) struct ScriptCall {
    /// The reply repeats it.
    pub(super) nonce: String,
    /// The name of Redis's memory if a new one begins with this call.
    pub(super) fresh: String,
    pub(super) mode: &'static str,
}

impl ScriptCall {
    /// The arguments, in the order of the script.
    pub(super) fn args(
        &self,
        report: &MachineReport,
        request: &LeaseRequest<'_>,
        limit: DayMonth,
    ) -> Vec<String> {
        let (id, least, share) = match request {
            LeaseRequest::Lease {
                id, least, share, ..
            } => (*id, *least, *share),
            _ => ("", 0, 0),
        };
        let limit_of =
            |limit: Option<Usd>| limit.map_or(String::new(), |limit| cut(limit).to_string());
        let w = &report.windows;
        let mut args = vec![
            self.nonce.clone(),
            report.machine.clone(),
            report.snapshot.epoch.clone(),
            self.fresh.clone(),
            self.mode.to_owned(),
            w.day_start.0.to_string(),
            w.day_end.0.to_string(),
            w.month_end.0.to_string(),
            id.to_owned(),
            least.to_string(),
            share.to_string(),
            limit_of(limit.per_day),
            limit_of(limit.per_month),
            report.leases.len().to_string(),
            report.snapshot.members.len().to_string(),
            report.snapshot.all_calls.to_string(),
        ];
        for lease in &report.leases {
            args.extend([
                lease.id.clone(),
                lease.amount.to_string(),
                lease.day_start.0.to_string(),
            ]);
        }
        args.extend(report.snapshot.members.keys().cloned());
        args
    }
}

/// A limit as the script takes it: whole nano-dollars, not above [`MOST`].
pub(super) fn cut(limit: Usd) -> i64 {
    crate::store::nano_down(limit).clamp(0, MOST)
}

/// The reply to the call with this number; `None` for anything else.
pub(super) fn read(reply: &[String], nonce: &str) -> Option<ScriptReply> {
    let [
        echo,
        status,
        granted,
        epoch,
        day,
        month,
        mine,
        members,
        low,
        mine_today,
        calls,
    ] = reply
    else {
        return None;
    };
    let members: std::collections::BTreeMap<String, u8> = serde_json::from_str(members).ok()?;
    (echo == nonce).then_some(())?;
    Some(ScriptReply {
        status: status.clone(),
        granted: granted.parse().ok()?,
        epoch: epoch.clone(),
        day: day.parse().ok()?,
        month: month.parse().ok()?,
        mine: mine.parse().ok()?,
        mine_today: mine_today.parse().ok()?,
        members: members
            .into_iter()
            .map(|(name, said)| (name, said == 1))
            .collect(),
        low: low == "1",
        calls: calls.parse().ok()?,
    })
}
