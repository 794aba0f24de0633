//! The script that leases a group's money: what it is asked and what it answers.
//!
//! Owns: `shared.lua`, the order of its arguments and of its reply.
//! Refuses: to judge a reply; that is `shared`.
//! Invariant: a reply is taken only for the call whose number it repeats; whatever else comes is none.

use super::DayMonth;
use crate::chat::Usd;
use crate::store::{GroupSnapshot, Share, Windows};

pub(super) const SCRIPT: &str = include_str!("shared.lua");
/// The largest limit that the script reckons with, in nano-dollars.
const MOST: i64 = 1 << 50;

/// What is asked of the script.
pub(super) enum LeaseRequest<'a> {
    /// `share`: what is granted while there is plenty. `ahead`: for later; nothing, when there is not.
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

/// What this machine has to say.
#[derive(Clone)]
pub(super) struct Brief {
    pub(super) machine: String,
    pub(super) heard: GroupSnapshot,
    pub(super) windows: Windows,
    pub(super) shares: Vec<Share>,
}

pub(super) struct Reply {
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
    pub(super) all_calls: i64,
}

impl Reply {
    /// What is remembered of it.
    pub(super) fn heard(&self, windows: &Windows) -> GroupSnapshot {
        GroupSnapshot {
            month_start: windows.month_start.0,
            epoch: self.epoch.clone(),
            members: self.members.iter().cloned().collect(),
            calls: self.calls,
            all_calls: self.all_calls,
            day_start: windows.day_start.0,
            others_day: self.day.saturating_sub(self.mine_today),
            others_month: self.month.saturating_sub(self.mine),
        }
    }
}

impl Brief {
    /// The same, from a machine that has just heard of this memory.
    pub(super) fn knowing(&self, reply: &Reply) -> Self {
        let heard = GroupSnapshot {
            epoch: reply.epoch.clone(),
            calls: 0,
            all_calls: 0,
            ..self.heard.clone()
        };
        Self {
            heard,
            ..self.clone()
        }
    }
}

/// One call.
pub(super) struct Asked {
    /// What the reply repeats.
    pub(super) nonce: String,
    /// The name of Redis's memory, should a new one begin with this call.
    pub(super) fresh: String,
    pub(super) mode: &'static str,
}

impl Asked {
    /// The arguments, in the order of the script.
    pub(super) fn args(
        &self,
        brief: &Brief,
        wish: &LeaseRequest<'_>,
        limit: DayMonth,
    ) -> Vec<String> {
        let (id, least, share) = match wish {
            LeaseRequest::Lease {
                id, least, share, ..
            } => (*id, *least, *share),
            _ => ("", 0, 0),
        };
        let limit_of =
            |limit: Option<Usd>| limit.map_or(String::new(), |limit| cut(limit).to_string());
        let w = &brief.windows;
        let mut args = vec![
            self.nonce.clone(),
            brief.machine.clone(),
            brief.heard.epoch.clone(),
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
            brief.shares.len().to_string(),
            brief.heard.members.len().to_string(),
            brief.heard.calls.to_string(),
            brief.heard.all_calls.to_string(),
        ];
        for share in &brief.shares {
            args.extend([
                share.id.clone(),
                share.amount.to_string(),
                share.day_start.0.to_string(),
            ]);
        }
        args.extend(brief.heard.members.keys().cloned());
        args
    }
}

/// A limit as the script reckons with it: whole nano-dollars, not above [`MOST`].
pub(super) fn cut(limit: Usd) -> i64 {
    crate::store::nano_down(limit).clamp(0, MOST)
}

/// The reply to the call with this number; `None` for anything else.
pub(super) fn read(reply: &[String], nonce: &str) -> Option<Reply> {
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
        all_calls,
    ] = reply
    else {
        return None;
    };
    let members: std::collections::BTreeMap<String, u8> = serde_json::from_str(members).ok()?;
    (echo == nonce).then_some(())?;
    Some(Reply {
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
        all_calls: all_calls.parse().ok()?,
    })
}
