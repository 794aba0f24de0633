//! The budget of a group of machines, leased through Redis.
//!
//! Owns: leasing, giving back, and saying it all again to a Redis that has forgotten.
//! Refuses: to believe Redis about this machine's own money; the ledger of each machine is the truth about it.
//! Invariant: the sum of all leases, each as the script had it last, never passes the limit, and no machine spends more
//! than its leases.
//!
//! # How
//!
//! A machine (a data folder) spends from leases, which lie in its ledger. Letting a request through looks at them in the
//! same commit as at all other limits, so any number of processes share them, and Redis is asked only when they do not
//! suffice: one script, one atomic step, looks at the sums and grants what is missing (four requests like this one while
//! more than a quarter of the limit is left, but no more than a 64th of it, so that a machine can go on for a while without
//! Redis). What an attempt did not need goes back; and while there is plenty the next such share is leased behind an
//! answer, so that the next request need not wait for Redis. When a program ends, all that is not spent goes back: nobody
//! knows when this machine asks again, and money that lies idle is refused to somebody else. A request waits as long as for everything else there, `patience`; the first one of a
//! process up to a second for the connection, which is made while the request is planned. Then it is refused.
//!
//! # Why the limit holds, whatever dies in between
//!
//! - Each lease has a number of its own and an amount that only falls. Lowering comes first in the ledger and then in
//!   Redis, granting first in Redis and then in the ledger. So at every moment the ledger has at most what Redis has. A
//!   message that arrives late or twice changes nothing: of two amounts for a lease Redis keeps the smaller.
//! - A lease is noted as asked before Redis is. When no answer came (a kill -9, a pause), it is later made a lease of
//!   nothing: if the question is still on its way, it finds the number taken. The answer counts only as long as the lease
//!   is noted as asked, in the same commit as the hold that it is for.
//! - A lease remembers which memory of Redis knows it, and is told to every other that comes. An answer out of a memory
//!   that another process has found to be gone, or that is newer than the one it knows, is not acted on.
//! - Between the hold and its settlement the hold counts in full, as everywhere. A machine that never comes back keeps
//!   its leases until the month ends, and they count in their day only.
//! - A billing above the reservation is leased afterwards without asking, so that the others see it.
//!
//! # When Redis forgets
//!
//! All that is known of a month is one key with a random name, its epoch. A machine that knows another epoch says all its
//! leases again: nothing is lost, and by their numbers nothing is doubled. But no machine can know whether another one,
//! silent since, has leased more. So from the moment that one machine has noticed, nobody gets a new lease for a month or a
//! day that began before the new epoch; what is leased can be spent. `budget show` has what was said again and which
//! machines are known and silent, and `budget settle group` is the user's word that this is all. A new day needs no word,
//! unless there is a limit over the month. One thing is beyond finding out: to a machine that is new itself a Redis that
//! was emptied looks like a group that begins, until the first of the others speaks: then their money and its own stand
//! side by side, and nobody leases more. Where machines come and go, Redis must keep its memory (`appendonly yes`).
//!
//! A Redis that comes back with an older copy of itself has forgotten in part, and would have let the sum pass the limit
//! unseen. Whether a copy is an older one only those can tell who called in the time that it misses. So every new run of the
//! server (the script asks for its `run_id`, of the node that holds the key) makes the copy a new memory, to which everybody
//! says everything again, and until every known machine has done so, or the user's word, nobody gets a new lease. And it
//! counts the calls of each machine and of all: who was answered more often than it counts has found out that something was
//! lost, and then it takes the user's word. A machine that joins a group that goes on knows no memory, says nothing again,
//! and changes nothing for the others. Beyond finding out is a machine whose very first call is in what the copy misses,
//! until it calls again. Where a server tells no `run_id` the counts are all there is; where a user may not ask for it
//! (`+info`) nothing is leased.
//!
//! # Numbers
//!
//! Lua reckons in doubles, exact up to 2^53. Leases are whole nano-dollars, rounded up, and limits are cut at 2^50 of them
//! (1.1 million dollars); a sum that passes 2^53 is far past any limit, and refused whatever its last digit is.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

use jiff::tz::TimeZone;
use tokio::sync::Mutex;

use super::script::{self, Asked, Brief, LeaseRequest, Reply, SCRIPT, cut};
use super::{GroupLimit, NoLease, Scope};
use crate::chat::id::AttemptId;
use crate::chat::{Random, Timestamp, Usd};
use crate::redis::{Away, Redis};
use crate::store::{Allowance, Db, Store, StoreError, Windows, nano_up};

/// No more than such a part of a limit is leased at a time, also while there is plenty.
const SLICES: i64 = 64;
/// So many requests like the last one are enough for a while without Redis.
const REQUESTS: i64 = 4;

/// The day and the month of a group, the same on every machine.
pub(super) fn windows(at: Timestamp) -> Windows {
    super::windows(at, &TimeZone::UTC)
}

/// A lease that Redis has granted; it counts from [`Grant::hold`] on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    id: String,
    nano: i64,
    epoch: String,
}

impl Grant {
    /// Puts it into the ledger, in the commit that spends from it. Given up in the meantime, it is nothing.
    pub fn hold(&self, db: &Db) -> Result<(), StoreError> {
        db.hold_lease(&self.id, self.nano, &self.epoch).map(drop)
    }
}

/// How a group stands, by Redis and by this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What all machines have leased, by Redis.
    pub day: Usd,
    pub month: Usd,
    /// What the other machines have of it.
    pub others: Allowance,
    /// What this one has leased this month: by Redis, and by its own ledger.
    pub mine_there: Usd,
    pub mine_here: Usd,
    /// Machines that were heard of, and have not spoken since Redis lost its memory or was started anew.
    pub silent: Vec<String>,
}

/// The leases of this machine.
#[derive(Debug)]
pub struct GroupBudget {
    redis: Redis,
    group: GroupLimit,
    random: Random,
    /// Little is left, as far as was heard: nothing is kept for later.
    low: AtomicBool,
    /// Something was settled, and may have cost less than was leased.
    touched: AtomicBool,
    /// Something may be leased that is not given back yet.
    used: AtomicBool,
    /// What the last request needed, in nano-dollars.
    needed: AtomicI64,
    /// Redis did not answer when it was last asked.
    away: AtomicBool,
    turn: Mutex<()>,
}

impl GroupBudget {
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
            turn: Mutex::default(),
        }
    }

    /// Whether Redis did not answer when it was last asked: then only what is leased can be spent.
    pub fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// Hears how the group stands; from then on the ledger knows it. Waits for Redis as [`Redis::run`] does.
    pub async fn hear(&self, store: &Store, now: Timestamp) -> Result<(), NoLease> {
        let reply = self.tell(store, LeaseRequest::Tell, now).await?;
        if reply.status == "clock" {
            Err(NoLease::Clock)
        } else {
            Ok(())
        }
    }

    /// Leases at least `short` more for a hold of `needed`. Waits for Redis as [`Redis::run`] does.
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

    /// The reply is that of a Redis that grants nothing.
    async fn ask(
        &self,
        store: &Store,
        least: i64,
        share: i64,
        ahead: bool,
        now: Timestamp,
    ) -> Result<Result<Grant, Reply>, NoLease> {
        let id = self.number();
        let reply = match self
            .tell(
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
                store.run(move |db| db.give_up_lease(&id)).await?;
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
        store.run(move |db| db.drop_lease(&id)).await?;
        Ok(Err(reply))
    }

    /// Something of the group's money was set aside, this much.
    pub fn touched(&self, needed: Usd) {
        self.touched.store(true, Relaxed);
        self.used.store(true, Relaxed);
        self.needed.store(nano_up(needed), Relaxed);
    }

    /// Gives back what is leased and neither spent nor worth keeping, or leases ahead what another request like the last
    /// would need. Waits for Redis no longer than for a call and its answer.
    pub async fn give_back(&self, store: &Store, now: Timestamp) {
        let _turn = self.turn.lock().await;
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
                        self.say(store, told, now).await
                    }
                };
                self.within_patience(work).await;
            }
            Err(error) => tracing::warn!(%error, "what was leased and not spent stays leased"),
        }
    }

    /// Gives back all that is leased and not spent, at the end of the program. Waits for Redis as [`Self::give_back`] does.
    pub async fn give_all_back(&self, store: &Store, now: Timestamp) {
        let _turn = self.turn.lock().await;
        self.touched.store(false, Relaxed);
        if !self.used.swap(false, Relaxed) {
            return;
        }
        match self.trim(store, Usd::ZERO, now).await {
            Ok((told, _)) => self.within_patience(self.say(store, told, now)).await,
            Err(error) => tracing::warn!(%error, "what was leased and not spent stays leased"),
        }
    }

    /// What Redis is not told now it is told the next time.
    async fn within_patience(&self, work: impl Future<Output = Result<(), NoLease>>) {
        let told = tokio::time::timeout(self.redis.patience(), work).await;
        tracing::debug!(
            told = matches!(told, Ok(Ok(()))),
            "what is leased and not spent"
        );
    }

    async fn say(&self, store: &Store, told: bool, now: Timestamp) -> Result<(), NoLease> {
        if told {
            Ok(())
        } else {
            self.tell(store, LeaseRequest::Tell, now).await.map(drop)
        }
    }

    /// Lowers what is leased to what is spent and this; whether Redis knows all of it, and what is not spent.
    async fn trim(
        &self,
        store: &Store,
        keep: Usd,
        now: Timestamp,
    ) -> Result<(bool, Usd), StoreError> {
        let (name, id) = (self.group.name.clone(), self.number());
        let trim = move |db: &mut Db| {
            let at = db.ledger_time(now)?;
            let windows = windows(at);
            db.trim_leases(&id, &name, at, &windows, keep)?;
            let epoch = db.heard(&name, &windows)?.epoch;
            let unspent = db.unspent(&name, at, &windows)?;
            Ok((
                db.untold(&name, &windows, &epoch)?.is_empty(),
                unspent.day.min(unspent.month),
            ))
        };
        store.run(trim).await
    }

    /// Leases what nobody waits for, while there is plenty.
    async fn lease_ahead(
        &self,
        store: &Store,
        needed: i64,
        share: i64,
        now: Timestamp,
    ) -> Result<(), NoLease> {
        match self.ask(store, needed, share, true, now).await? {
            Ok(grant) => Ok(store.run(move |db| grant.hold(db)).await?),
            Err(_) => Ok(()),
        }
    }

    /// How the group stands; nothing is changed.
    pub async fn look(&self, store: &Store, now: Timestamp) -> Result<Figure, NoLease> {
        self.figure(store, LeaseRequest::Look, now).await
    }

    /// The user says that what was said again since Redis lost its memory is all.
    pub async fn accept(&self, store: &Store, now: Timestamp) -> Result<Figure, NoLease> {
        self.figure(store, LeaseRequest::Accept, now).await
    }

    async fn figure(
        &self,
        store: &Store,
        wish: LeaseRequest<'_>,
        now: Timestamp,
    ) -> Result<Figure, NoLease> {
        let reply = self.tell(store, wish, now).await?;
        if reply.status == "clock" {
            return Err(NoLease::Clock);
        }
        let name = self.group.name.clone();
        let here = store
            .run(move |db| db.leased(&name, &windows(db.ledger_time(now)?)))
            .await?;
        let silent = reply
            .members
            .iter()
            .filter(|(_, said)| !said)
            .map(|(name, _)| name.clone())
            .collect();
        Ok(Figure {
            day: usd(reply.day),
            month: usd(reply.month),
            others: reply.heard(&windows(now)).others(&windows(now)),
            mine_there: usd(reply.mine),
            mine_here: here.month,
            silent,
        })
    }

    fn refused(&self, reply: &Reply, short: Usd, needed: Usd) -> NoLease {
        let full = |scope, limit: Option<Usd>, sum| {
            let limit = limit.unwrap_or_default();
            // What this machine has leased and not spent is left too.
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
            // Given up before the answer came, or a server that is none.
            "ok" => NoLease::Away(Away::Late),
            _ => NoLease::Away(Away::Nonsense),
        }
    }

    /// Says what Redis has not heard, all of it when it has forgotten, and asks. What is heard is kept.
    async fn tell(
        &self,
        store: &Store,
        wish: LeaseRequest<'_>,
        now: Timestamp,
    ) -> Result<Reply, NoLease> {
        let (name, bits) = (self.group.name.clone(), self.random.bits());
        let asked = if let LeaseRequest::Lease { id, .. } = wish {
            Some(id.to_owned())
        } else {
            None
        };
        let look = matches!(wish, LeaseRequest::Look);
        let prepare = move |db: &mut Db| {
            db.write(|db| {
                let at = db.ledger_time(now)?;
                let windows = windows(at);
                if let Some(id) = &asked {
                    db.ask_lease(id, &name, &windows, now)?;
                }
                let heard = db.heard(&name, &windows)?;
                let shares = if look {
                    Vec::new()
                } else {
                    db.untold(&name, &windows, &heard.epoch)?
                };
                Ok(Brief {
                    machine: db.machine(bits)?,
                    heard,
                    windows,
                    shares,
                })
            })
        };
        let mut brief = store.run(prepare).await?;
        let mut reply = self.heard_of(self.call(&brief, &wish, false).await)?;
        if reply.status == "emptied" {
            let (name, windows, epoch) =
                (self.group.name.clone(), brief.windows, reply.epoch.clone());
            brief.shares = store
                .run(move |db| db.untold(&name, &windows, &epoch))
                .await?;
            reply = self.heard_of(self.call(&brief, &wish, true).await)?;
        }
        if look || matches!(reply.status.as_str(), "clock" | "emptied") {
            return Ok(reply);
        }
        self.low.store(reply.low, Relaxed);
        let heard = reply.heard(&brief.windows);
        let (
            name,
            Brief {
                shares,
                heard: before,
                windows,
                ..
            },
        ) = (self.group.name.clone(), brief);
        let learn = move |db: &mut Db| {
            db.write(|db| {
                // Another process may have heard of another memory since: then this reply is none to act on.
                let last = db.heard(&name, &windows)?;
                let current = last.epoch == before.epoch || last.epoch == heard.epoch;
                if current {
                    db.shares_told(&shares, &heard.epoch)?;
                    if heard.is_after(&last) {
                        db.remember_heard(&name, &heard)?;
                    }
                }
                Ok(current)
            })
        };
        if !store.run(learn).await? {
            return Err(NoLease::Away(Away::Late));
        }
        Ok(reply)
    }

    fn heard_of(&self, reply: Result<Reply, Away>) -> Result<Reply, NoLease> {
        self.away.store(reply.is_err(), Relaxed);
        reply.map_err(NoLease::Away)
    }

    /// One round trip; two where the user's word follows what was said again.
    async fn call(
        &self,
        brief: &Brief,
        wish: &LeaseRequest<'_>,
        again: bool,
    ) -> Result<Reply, Away> {
        let mut asked = Asked {
            nonce: self.number(),
            fresh: self.number(),
            mode: if again { "again" } else { wish.mode() },
        };
        let name = format!(
            "budget:{{{}}}:{}",
            self.group.name, brief.windows.month_start.0
        );
        let mut args = asked.args(brief, wish, self.group.limit);
        let reply = script::read(&self.redis.run(SCRIPT, &name, &args).await?, &asked.nonce)
            .ok_or(Away::Nonsense)?;
        if again && matches!(wish, LeaseRequest::Accept) {
            asked.mode = "accept";
            args = asked.args(&brief.knowing(&reply), wish, self.group.limit);
            return script::read(&self.redis.run(SCRIPT, &name, &args).await?, &asked.nonce)
                .ok_or(Away::Nonsense);
        }
        Ok(reply)
    }

    /// What is leased at a time while there is plenty by whoever needs so much for a request, in nano-dollars.
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

fn usd(nano: i64) -> Usd {
    Usd::from_pico(i128::from(nano) * 1000)
}
