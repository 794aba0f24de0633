//! The budget of a group of machines, leased through Redis.
//!
//! Owns: leasing, giving back, and reporting all leases again to a Redis that has lost its memory.
//! Refuses: to take Redis's word about this machine's own money; the ledger of each machine is the truth about it.
//! Invariant: the sum of all leases, each at the amount that the script knows, never passes the limit, and no machine
//! spends more than its leases.
//!
//! # How it works
//!
//! A machine (a data folder) spends from leases, which are rows of its ledger. Admission checks them in the same commit as
//! every other limit, so any number of processes share them. Redis is asked only when they do not suffice: one script
//! checks the sums and grants the lease in one atomic step. While more than a quarter of the limit is left, it grants
//! enough for four requests like this one, but at most a 64th of the limit, so that the machine can go on for a while
//! without Redis; the next such share is leased behind an answer, so that the next request need not wait. Unspent money
//! goes back: all but that share after each attempt, and all of it when the program ends.
//!
//! # Why the limit holds whatever dies in between
//!
//! - Each lease has its own number, and its amount only falls. An amount is lowered first in the ledger and then in Redis,
//!   and granted first in Redis and then in the ledger, so the ledger never has more than Redis. A message that arrives
//!   late or twice changes nothing: of two amounts for one lease, Redis keeps the smaller.
//! - The ledger notes a lease as asked before Redis is asked. If no answer comes (a kill -9, a pause), the lease becomes
//!   one of nothing: a question that is still on its way finds its number taken. An answer counts only while the lease is
//!   still noted as asked, in the same commit as the reservation that needs it.
//! - Each lease remembers which memory of Redis knows it, and is reported to every other one. An answer from a memory that
//!   another process has found to be gone is ignored.
//! - A reservation counts in full until it is settled. A machine that never comes back keeps its leases until the month
//!   ends; they count only in their own day.
//! - What is billed above a reservation is leased afterwards without asking, so that the other machines see it.
//!
//! # When Redis loses its memory
//!
//! Everything about a month is one key with a random name inside, its epoch. Three things can happen to it, and each
//! needs its own part of the mechanism:
//!
//! - **Emptied.** A machine that knows another epoch reports all its leases again; their numbers keep them from being
//!   counted twice. Another machine may have leased more and be silent, so the month is marked as rebuilt: until the
//!   user's word (`budget settle group`) there is no new lease for a month or a day that began before the new epoch.
//! - **Started again, perhaps from an older copy.** A machine that was idle meanwhile cannot see what the copy misses. So
//!   a new `run_id` of the server makes a new epoch, every machine reports its leases again, and until every known machine
//!   has done so (or the user's word) there is no new lease. Without this the copy would lend its lost part again.
//! - **Started again from a copy that is older for certain.** The key counts all calls. A machine that was told a higher
//!   count than the copy had knows that something is lost, and with it perhaps the first call of a machine that no member
//!   knows. So this too marks the month as rebuilt.
//!
//! A machine that joins a running group knows no epoch, reports nothing again, and changes nothing for the others.
//!
//! Two losses cannot be detected. A new machine takes an emptied Redis for a new group, until an older machine calls; then
//! their leases stand side by side and there is no new lease. And a machine whose very first call is in the lost part is
//! unknown until it calls again. So Redis must keep its memory (`appendonly yes`) where machines come and go. A server
//! that tells no `run_id` is covered only by the count; if the user may not run `INFO`, nothing is leased.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

use tokio::sync::Mutex;

use super::lease::{Grant, GroupFigures, REQUESTS, SLICES, usd};
use super::lease_script::{
    self, LeaseRequest, MachineReport, SCRIPT, ScriptCall, ScriptReply, cut,
};
use super::windows::group_windows;
use super::{GroupLimit, NoLease, Scope};
use crate::chat::id::AttemptId;
use crate::chat::{Random, Timestamp, Usd};
use crate::redis::{Away, Redis};
use crate::store::{Db, GroupLeases, LedgerClock, Store, StoreError, nano_up};

/// The leases of this machine.
#[derive(Debug)]
pub struct GroupBudget {
    redis: Redis,
    group: GroupLimit,
    random: Random,
    /// Redis said that little is left, so no unspent money is kept.
    low: AtomicBool,
    /// Something was reserved since the last time money was given back.
    touched: AtomicBool,
    /// Something may be leased and unspent.
    used: AtomicBool,
    /// What the last request needed, in nano-dollars.
    needed: AtomicI64,
    /// Redis did not answer when it was last asked.
    away: AtomicBool,
    give_back_lock: Mutex<()>,
}

impl GroupBudget {
    /// Asks Redis nothing yet.
    pub fn new(redis: Redis, group: GroupLimit, random: Random) -> Self {
        Self {
            redis,
            group,
            random,
            low: AtomicBool::default(),
            touched: AtomicBool::default(),
            used: AtomicBool::default(),
            needed: AtomicI64::default(),
            away: AtomicBool::default(),
            give_back_lock: Mutex::default(),
        }
    }

    /// Whether Redis did not answer when it was last asked: then only what is leased can be spent.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// Reports to Redis and writes its answer to the ledger. Waits for Redis as [`Redis::run`] does.
    pub(crate) async fn refresh(&self, store: &Store, now: Timestamp) -> Result<(), NoLease> {
        let reply = self.call_script(store, LeaseRequest::Tell, now).await?;
        if reply.status == "clock" {
            Err(NoLease::Clock)
        } else {
            Ok(())
        }
    }

    /// Leases at least `short` more for a reservation of `needed`. Waits for Redis as [`Redis::run`] does.
    pub async fn lease(
        &self,
        store: &Store,
        short: Usd,
        needed: Usd,
        now: Timestamp,
    ) -> Result<Grant, NoLease> {
        let (least, share) = (nano_up(short), self.share(nano_up(needed)));
        let granted = self.ask(store, least, share, false, now).await?;
        granted.map_err(|reply| self.refused(&reply, short, needed))
    }

    /// The inner error is the reply that grants nothing.
    async fn ask(
        &self,
        store: &Store,
        least: i64,
        share: i64,
        ahead: bool,
        now: Timestamp,
    ) -> Result<Result<Grant, ScriptReply>, NoLease> {
        let id = self.number();
        let reply = match self
            .call_script(
                store,
                LeaseRequest::Lease {
                    id: &id,
                    least,
                    share,
                    ahead,
                },
                now,
            )
            .await
        {
            Ok(reply) => reply,
            Err(none) => {
                store
                    .run(move |db| GroupLeases(db).give_up_lease(&id))
                    .await?;
                return Err(none);
            }
        };
        if reply.status == "ok" && reply.granted >= least {
            return Ok(Ok(Grant {
                id,
                nano: reply.granted,
                epoch: reply.epoch,
            }));
        }
        store.run(move |db| GroupLeases(db).drop_lease(&id)).await?;
        Ok(Err(reply))
    }

    /// Notes that this much of the group's money was reserved.
    pub(crate) fn touched(&self, needed: Usd) {
        self.touched.store(true, Relaxed);
        self.used.store(true, Relaxed);
        self.needed.store(nano_up(needed), Relaxed);
    }

    /// Gives back unspent money beyond a share for the next requests, or leases ahead when too little is left for one. Waits for Redis no longer than for a call and its answer.
    pub(crate) async fn give_back(&self, store: &Store, now: Timestamp) {
        let _lock = self.give_back_lock.lock().await;
        if !self.touched.swap(false, Relaxed) {
            return;
        }
        let needed = self.needed.load(Relaxed);
        let share = if self.low.load(Relaxed) {
            0
        } else {
            self.share(needed)
        };
        let keep = usd(share);
        match self.trim(store, keep, now).await {
            Ok((told, unspent)) => {
                let ahead =
                    !self.is_away() && (1..=share).contains(&needed) && unspent < usd(needed);
                let work = async {
                    if ahead {
                        self.lease_ahead(store, needed, share, now).await
                    } else {
                        self.report(store, told, now).await
                    }
                };
                self.within_patience(work).await;
            }
            Err(error) => tracing::warn!(%error, "what was leased and not spent stays leased"),
        }
    }

    /// Gives back all that is leased and not spent, at the end of the program. Waits for Redis as [`Self::give_back`] does.
    pub(crate) async fn give_all_back(&self, store: &Store, now: Timestamp) {
        let _lock = self.give_back_lock.lock().await;
        self.touched.store(false, Relaxed);
        if !self.used.swap(false, Relaxed) {
            return;
        }
        match self.trim(store, Usd::ZERO, now).await {
            Ok((told, _)) => self.within_patience(self.report(store, told, now)).await,
            Err(error) => tracing::warn!(%error, "what was leased and not spent stays leased"),
        }
    }

    /// Redis is told the next time what it cannot be told within patience.
    async fn within_patience(&self, work: impl Future<Output = Result<(), NoLease>>) {
        let told = tokio::time::timeout(self.redis.patience(), work).await;
        tracing::debug!(
            told = matches!(told, Ok(Ok(()))),
            "what is leased and not spent"
        );
    }

    async fn report(&self, store: &Store, told: bool, now: Timestamp) -> Result<(), NoLease> {
        if told {
            Ok(())
        } else {
            self.call_script(store, LeaseRequest::Tell, now)
                .await
                .map(drop)
        }
    }

    /// Lowers the leases to what is spent plus `keep`. Returns whether Redis knows all of them, and what is unspent.
    async fn trim(
        &self,
        store: &Store,
        keep: Usd,
        now: Timestamp,
    ) -> Result<(bool, Usd), StoreError> {
        let (name, id) = (self.group.name.clone(), self.number());
        let trim = move |db: &mut Db| {
            let at = LedgerClock(db).ledger_time(now)?;
            let windows = group_windows(at);
            GroupLeases(db).trim_leases(&id, &name, at, &windows, keep)?;
            let epoch = GroupLeases(db).snapshot(&name, &windows)?.epoch;
            let unspent = GroupLeases(db).unspent(&name, at, &windows)?;
            Ok((
                GroupLeases(db)
                    .unreported(&name, &windows, &epoch)?
                    .is_empty(),
                unspent.day.min(unspent.month),
            ))
        };
        store.run(trim).await
    }

    /// Leases for later requests, while there is plenty.
    async fn lease_ahead(
        &self,
        store: &Store,
        needed: i64,
        share: i64,
        now: Timestamp,
    ) -> Result<(), NoLease> {
        match self.ask(store, needed, share, true, now).await? {
            Ok(grant) => Ok(store.run(move |db| grant.record(db)).await?),
            Err(_) => Ok(()),
        }
    }

    /// What the group has leased; changes nothing.
    pub(crate) async fn look(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> Result<GroupFigures, NoLease> {
        self.figure(store, LeaseRequest::Look, now).await
    }

    /// The user says that everything leased has been reported since Redis lost its memory.
    pub(crate) async fn accept(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> Result<GroupFigures, NoLease> {
        self.figure(store, LeaseRequest::Accept, now).await
    }

    async fn figure(
        &self,
        store: &Store,
        request: LeaseRequest<'_>,
        now: Timestamp,
    ) -> Result<GroupFigures, NoLease> {
        let reply = self.call_script(store, request, now).await?;
        if reply.status == "clock" {
            return Err(NoLease::Clock);
        }
        let name = self.group.name.clone();
        let here = store
            .run(move |db| {
                GroupLeases(db).leased(&name, &group_windows(LedgerClock(db).ledger_time(now)?))
            })
            .await?;
        let silent = reply
            .members
            .iter()
            .filter(|(_, said)| !said)
            .map(|(name, _)| name.clone())
            .collect();
        Ok(GroupFigures {
            day: usd(reply.day),
            month: usd(reply.month),
            others: reply
                .snapshot(&group_windows(now))
                .others(&group_windows(now)),
            mine_in_redis: usd(reply.mine),
            mine_in_ledger: here.month,
            silent,
        })
    }

    fn refused(&self, reply: &ScriptReply, short: Usd, needed: Usd) -> NoLease {
        let full = |scope, limit: Option<Usd>, sum| {
            let limit = limit.unwrap_or_default();
            // What this machine has leased and not spent is left as well.
            let left = (limit - usd(sum)).max(Usd::ZERO) + (needed - short).max(Usd::ZERO);
            NoLease::Full {
                scope,
                limit,
                left,
                needed,
            }
        };
        match reply.status.as_str() {
            "day" => full(Scope::GroupDay, self.group.limit.per_day, reply.day),
            "month" => full(Scope::GroupMonth, self.group.limit.per_month, reply.month),
            "forgotten" => {
                NoLease::Forgotten(reply.members.iter().filter(|(_, said)| !said).count())
            }
            "restarted" => {
                NoLease::Restarted(reply.members.iter().filter(|(_, said)| !said).count())
            }
            "clock" => NoLease::Clock,
            // The lease was given up before the answer came.
            "ok" => NoLease::Away(Away::Late),
            _ => NoLease::Away(Away::Nonsense),
        }
    }

    /// Reports what Redis does not know (everything, if it has lost its memory), and asks. Its answer is kept.
    async fn call_script(
        &self,
        store: &Store,
        request: LeaseRequest<'_>,
        now: Timestamp,
    ) -> Result<ScriptReply, NoLease> {
        let mut report = self.prepare_report(store, &request, now).await?;
        let mut reply = self.note_answer(self.call(&report, &request, false).await)?;
        if reply.status == "emptied" {
            let (name, windows, epoch) =
                (self.group.name.clone(), report.windows, reply.epoch.clone());
            report.leases = store
                .run(move |db| GroupLeases(db).unreported(&name, &windows, &epoch))
                .await?;
            reply = self.note_answer(self.call(&report, &request, true).await)?;
        }
        if matches!(request, LeaseRequest::Look)
            || matches!(reply.status.as_str(), "clock" | "emptied")
        {
            return Ok(reply);
        }
        self.low.store(reply.low, Relaxed);
        if self.keep_answer(store, report, &reply).await? {
            Ok(reply)
        } else {
            Err(NoLease::Away(Away::Late))
        }
    }

    /// Notes in the ledger that a lease is asked for, and collects what Redis does not know.
    async fn prepare_report(
        &self,
        store: &Store,
        request: &LeaseRequest<'_>,
        now: Timestamp,
    ) -> Result<MachineReport, StoreError> {
        let (name, bits) = (self.group.name.clone(), self.random.bits());
        let asked = match request {
            LeaseRequest::Lease { id, .. } => Some((*id).to_owned()),
            _ => None,
        };
        let look = matches!(request, LeaseRequest::Look);
        let prepare = move |db: &Db| {
            let windows = group_windows(LedgerClock(db).ledger_time(now)?);
            let group = GroupLeases(db);
            if let Some(id) = &asked {
                group.ask_lease(id, &name, &windows, now)?;
            }
            let snapshot = group.snapshot(&name, &windows)?;
            let leases = if look {
                Vec::new()
            } else {
                group.unreported(&name, &windows, &snapshot.epoch)?
            };
            Ok(MachineReport {
                machine: group.machine(bits)?,
                snapshot,
                windows,
                leases,
            })
        };
        store.run(move |db| db.write(prepare)).await
    }

    /// Writes Redis's answer to the ledger. `false`: another process has learned of another memory since, and the answer
    /// must not be used.
    async fn keep_answer(
        &self,
        store: &Store,
        report: MachineReport,
        reply: &ScriptReply,
    ) -> Result<bool, StoreError> {
        let (name, windows) = (self.group.name.clone(), report.windows);
        let (before, after) = (report.snapshot, reply.snapshot(&windows));
        let keep = move |db: &Db| {
            let group = GroupLeases(db);
            let last = group.snapshot(&name, &windows)?;
            let current = last.epoch == before.epoch || last.epoch == after.epoch;
            if current {
                group.mark_reported(&report.leases, &after.epoch)?;
                if after.is_after(&last) {
                    group.remember_snapshot(&name, &after)?;
                }
            }
            Ok(current)
        };
        store.run(move |db| db.write(keep)).await
    }

    fn note_answer(&self, reply: Result<ScriptReply, Away>) -> Result<ScriptReply, NoLease> {
        self.away.store(reply.is_err(), Relaxed);
        reply.map_err(NoLease::Away)
    }

    /// One round trip; two when the user's word follows a full report.
    async fn call(
        &self,
        report: &MachineReport,
        request: &LeaseRequest<'_>,
        again: bool,
    ) -> Result<ScriptReply, Away> {
        let mut asked = ScriptCall {
            nonce: self.number(),
            fresh: self.number(),
            mode: if again { "again" } else { request.mode() },
        };
        let name = format!(
            "budget:{{{}}}:{}",
            self.group.name, report.windows.month_start.0
        );
        let mut args = asked.args(report, request, self.group.limit);
        let reply = lease_script::read(&self.redis.run(SCRIPT, &name, &args).await?, &asked.nonce)
            .ok_or(Away::Nonsense)?;
        if again && matches!(request, LeaseRequest::Accept) {
            asked.mode = "accept";
            args = asked.args(&report.with_epoch_of(&reply), request, self.group.limit);
            return lease_script::read(&self.redis.run(SCRIPT, &name, &args).await?, &asked.nonce)
                .ok_or(Away::Nonsense);
        }
        Ok(reply)
    }

    /// What is leased at a time while there is plenty, for requests that need this much. In nano-dollars.
    fn share(&self, needed: i64) -> i64 {
        let limits = [self.group.limit.per_day, self.group.limit.per_month];
        let slice = limits
            .into_iter()
            .flatten()
            .map(|limit| cut(limit) / SLICES)
            .min()
            .unwrap_or(0);
        slice.min(needed.saturating_mul(REQUESTS))
    }

    fn number(&self) -> String {
        AttemptId::from_bits(self.random.bits()).to_string()
    }
}
