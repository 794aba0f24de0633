//! The tier that several machines share: answers in Redis, sealed.
//!
//! Owns: the names, the lifetime and the seal of shared answers, and who of all machines fetches which.
//! Refuses: to be waited for longer than patience, by one request and in all its calls; to share without a secret; to clear what others may still want,
//! unless that is said.
//! Invariant: nothing that was not sealed with the user's secret, under this very digest, is ever given as an answer. A
//! machine that dies while it fetches an answer keeps the others from it for no longer than [`LEASE`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinSet};

use super::tier::{Bytes, Freed, Later, Lease, Tier, TierFigures};
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::{Claim, Claimed, Foreign, PATIENCE, Redis, Seal, Waiting};

/// Largest sealed answer that is read: what is kept is no larger, and the rest is somebody else's.
const LARGEST: usize = super::LARGEST + 1024;
/// Answers on their way to Redis; one more than these is not shared.
const WRITING: usize = 64;
/// How long a machine that fetches an answer is believed to be at it when nothing more is heard of it.
const LEASE: Duration = Duration::from_secs(10);
/// How often it lets hear of itself.
const RENEW: Duration = Duration::from_secs(3);
/// How often those who wait look whether it is done: at first, and when it takes long.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// How the seal is come by, once: it may have to read a file or run a command. The error is for the user.
pub type FindSeal = Later<'static, Result<Seal, String>>;

/// Answers in Redis.
pub struct SharedTier(Arc<Inner>);

struct Inner {
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
        Self(Arc::new(Inner {
            redis,
            ttl,
            find,
            seal: OnceCell::new(),
            trouble: Mutex::default(),
            writing: Mutex::default(),
            claims: Mutex::default(),
        }))
    }

    /// Does something on the side; nothing when there is too much of it already.
    fn aside<T: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce() -> T) {
        let mut writing = self.0.writing();
        if writing.len() < WRITING {
            writing.spawn(work());
        }
    }
}

impl Inner {
    /// What is on its way, without what has arrived.
    fn writing(&self) -> MutexGuard<'_, JoinSet<()>> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while writing.try_join_next().is_some() {}
        writing
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<Digest, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long anybody waits for the secret, or in the end for what is still on its way.
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
            // On its own: whoever waits for it may give up.
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

/// An answer that this machine fetches for all; the others hear of it for as long as this lives.
struct Held {
    inner: Arc<Inner>,
    digest: Digest,
    renewing: AbortHandle,
}

impl Held {
    fn new(inner: &Arc<Inner>, digest: Digest, claim: Claim) -> Self {
        inner.claims().insert(digest, claim.clone());
        let renew = async move {
            loop {
                tokio::time::sleep(RENEW).await;
                // A server that is away may come back in time. Where somebody else has it by now there is nothing to do.
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

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
        // Where an answer was put, that gives the claim back, so that nobody is told of the end before there is one.
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
                // The first time the secret has to be found; that goes on when nobody waits for it any longer.
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
            // Found by the look-up before; whoever has no secret shares nothing.
            let Some(seal) = self.0.seal.get().and_then(Option::as_ref) else {
                return Lease::Unknown;
            };
            let name = format!("flight:{}", seal.name(&digest.0));
            match self.0.redis.within(waiting).claim(&name, LEASE).await {
                Ok(Claimed::Ours(claim)) => {
                    Lease::Lead(Box::new(Held::new(&self.0, digest, claim)))
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
            let swept = self
                .0
                .redis
                .sweep(&names(self.0.seal().await?))
                .await
                .ok()?;
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
