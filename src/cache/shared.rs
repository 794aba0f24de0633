//! The tier that several machines share: answers in Redis, sealed.
//!
//! Owns: the names, the lifetime and the seal of shared answers, and which machine fetches which answer.
//! Refuses: to make one request wait longer than its patience, in all its calls together; to share without a secret; to
//! clear what other machines may still want, without an explicit command.
//! Invariant: only what was sealed with the user's secret, under this very digest, is given as an answer. A machine that
//! dies while it fetches an answer holds the others up for at most [`LEASE`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinSet};

use super::tier::{Bytes, Freed, Later, Lease, Tier, TierFigures};
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::{Claim, Claimed, Foreign, PATIENCE, Redis, Seal, Waiting, sweep};

/// Largest sealed answer that is read. Ours are no larger, so a larger value is not ours.
const LARGEST: usize = super::entry::LARGEST + 1024;
/// Answers on their way to Redis; one more than these is not shared.
const WRITING: usize = 64;
/// How long a claim holds without being renewed.
const LEASE: Duration = Duration::from_secs(10);
/// How often a claim is renewed.
const RENEW: Duration = Duration::from_secs(3);
/// How often a follower checks whether the claim has ended: at first, and when it takes long.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// Finds the seal, once: it may have to read a file or run a command. The error is for the user.
pub(crate) type FindSeal = Later<'static, Result<Seal, String>>;

/// Answers in Redis.
pub struct SharedTier(Arc<SharedAnswers>);

struct SharedAnswers {
    redis: Redis,
    ttl: Duration,
    find: Mutex<Option<FindSeal>>,
    seal: OnceCell<Option<Seal>>,
    trouble: Mutex<Option<String>>,
    writing: Mutex<JoinSet<()>>,
    /// The answers that this process fetches for all machines.
    claims: Mutex<HashMap<Digest, Claim>>,
}

impl SharedTier {
    /// Opens nothing and finds nothing before the first look-up.
    pub fn new(redis: Redis, ttl: Duration, find: FindSeal) -> Self {
        let find = Mutex::new(Some(find));
        Self(Arc::new(SharedAnswers {
            redis,
            ttl,
            find,
            seal: OnceCell::new(),
            trouble: Mutex::default(),
            writing: Mutex::default(),
            claims: Mutex::default(),
        }))
    }

    /// Runs a task in the background, or drops it when there are too many already.
    fn aside<T: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce() -> T) {
        let mut writing = self.0.writing();
        if writing.len() < WRITING {
            writing.spawn(work());
        }
    }
}

impl SharedAnswers {
    /// What is on its way, without what has arrived.
    fn writing(&self) -> MutexGuard<'_, JoinSet<()>> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while writing.try_join_next().is_some() {}
        writing
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<Digest, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The longest wait for the secret, and at the end for what is still being written.
    fn patience(&self) -> Duration {
        self.redis.patience().max(PATIENCE)
    }

    async fn seal(&self) -> Option<&Seal> {
        let find = async || {
            let find = self
                .find
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()?;
            // In a task of its own, because the caller may give up waiting.
            match tokio::spawn(find)
                .await
                .unwrap_or_else(|_| Err("answers are not shared".to_owned()))
            {
                Ok(seal) => Some(seal),
                Err(why) => {
                    *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                    None
                }
            }
        };
        self.seal.get_or_init(find).await.as_ref()
    }

    async fn get(&self, digest: Digest, waiting: &Waiting) -> Option<Bytes> {
        let seal = self.seal().await?;
        let sealed = self
            .redis
            .within(waiting)
            .get(&name(seal, digest), LARGEST)
            .await
            .ok()??;
        seal.open(&digest.0, &sealed).map(Bytes::from)
    }
}

/// What the names of all answers begin with that were sealed with this secret, and of no others.
fn names(seal: &Seal) -> String {
    format!("answer:{}:", &seal.name(&[0; 32])[..16])
}

fn name(seal: &Seal, digest: Digest) -> String {
    format!("{}{}", names(seal), seal.name(&digest.0))
}

/// An answer that this machine fetches for all. The claim is renewed as long as this lives.
struct ClaimGuard {
    inner: Arc<SharedAnswers>,
    digest: Digest,
    renewing: AbortHandle,
}

impl ClaimGuard {
    fn new(inner: &Arc<SharedAnswers>, digest: Digest, claim: Claim) -> Self {
        inner.claims().insert(digest, claim.clone());
        let renew = async move {
            loop {
                tokio::time::sleep(RENEW).await;
                // A server that is away may come back in time. Stop only when another machine has the claim.
                if let Ok(false) = claim.renew(LEASE).await {
                    return;
                }
            }
        };
        Self {
            inner: Arc::clone(inner),
            digest,
            renewing: tokio::spawn(renew).abort_handle(),
        }
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        self.renewing.abort();
        // After a put, the put gives the claim back, so that the others are not woken before the answer is there.
        let claim = self.inner.claims().remove(&self.digest);
        if let (Some(claim), Ok(runtime)) = (claim, Handle::try_current()) {
            self.inner
                .writing()
                .spawn_on(async move { drop(claim.give_back().await) }, &runtime);
        }
    }
}

/// Ends when the other machine has put the answer, failed, or died; also when Redis cannot tell.
async fn over(theirs: Foreign) {
    let (mut pause, longest) = LOOK;
    loop {
        tokio::time::sleep(pause).await;
        if !matches!(theirs.lasts().await, Ok(true)) {
            return;
        }
        pause = (pause * 2).min(longest);
    }
}

impl Tier for SharedTier {
    fn name(&self) -> CacheHit {
        CacheHit::Redis
    }

    fn get<'a>(&'a self, digest: Digest, waiting: &'a Waiting) -> Later<'a, Option<Bytes>> {
        Box::pin(async move {
            if !self.0.seal.initialized() {
                // The first time the secret has to be found, which goes on when this call gives up.
                let inner = Arc::clone(&self.0);
                let found = tokio::spawn(async move { inner.seal().await.is_some() });
                let (left, began) = (waiting.left(self.0.patience())?, Instant::now());
                let found = tokio::time::timeout(left, found).await;
                waiting.spent(began.elapsed(), found.is_err());
                found.ok()?.ok()?.then_some(())?;
            }
            self.0.get(digest, waiting).await
        })
    }

    fn put(&self, digest: Digest, bytes: &Bytes) {
        let (inner, bytes) = (Arc::clone(&self.0), Arc::clone(bytes));
        self.aside(|| {
            let claim = inner.claims().remove(&digest);
            async move {
                if let Some(seal) = inner.seal().await
                    && let Some(sealed) = seal.seal(&digest.0, &bytes)
                {
                    // What is not shared now is shared by the next who asks.
                    let _ = inner
                        .redis
                        .set(&name(seal, digest), &sealed, inner.ttl)
                        .await;
                }
                if let Some(claim) = claim {
                    let _ = claim.give_back().await;
                }
            }
        });
    }

    fn remove(&self, digest: Digest) {
        let inner = Arc::clone(&self.0);
        self.aside(|| async move {
            if let Some(seal) = inner.seal().await {
                let _ = inner.redis.remove(&name(seal, digest)).await;
            }
        });
    }

    fn trouble(&self) -> Option<String> {
        let own = self
            .0
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        own.or_else(|| {
            self.0
                .redis
                .trouble()
                .map(|why| format!("{why}; answers go on without it"))
        })
    }

    fn close(&self) -> Later<'_, ()> {
        let mut writing = std::mem::take(
            &mut *self
                .0
                .writing
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        Box::pin(async move {
            let all = async { while writing.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(self.0.patience(), all).await;
        })
    }

    fn lease<'a>(&'a self, digest: Digest, waiting: &'a Waiting) -> Later<'a, Lease> {
        Box::pin(async move {
            // The look-up before has found the secret; without one nothing is shared.
            let Some(seal) = self.0.seal.get().and_then(Option::as_ref) else {
                return Lease::Unknown;
            };
            let name = format!("flight:{}", seal.name(&digest.0));
            match Claim::take(&self.0.redis.within(waiting), &name, LEASE).await {
                Ok(Claimed::Ours(claim)) => {
                    Lease::Lead(Box::new(ClaimGuard::new(&self.0, digest, claim)))
                }
                Ok(Claimed::Theirs(theirs)) => Lease::Follow(Box::pin(over(theirs))),
                Err(_) => Lease::Unknown,
            }
        })
    }

    fn figures(&self) -> Later<'_, TierFigures> {
        Box::pin(async { TierFigures::of(CacheHit::Redis) })
    }

    fn clear(&self) -> Later<'_, Option<Freed>> {
        Box::pin(async {
            let names = names(self.0.seal().await?);
            let swept = sweep(&self.0.redis, &names).await.ok()?;
            if !swept.whole {
                let text = "there are more answers in Redis: clear them once more";
                *self
                    .0
                    .trouble
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
            }
            Some(Freed {
                entries: swept.removed,
                bytes: None,
            })
        })
    }
}
