//! Claims: one of many machines does a piece of work, the others wait for it.
//!
//! Owns: taking, renewing and giving back a claim, each as one step of the server's.
//! Refuses: certainty. A claim only saves work; a caller that cannot get an answer goes ahead without one.
//! Invariant: only who holds a claim renews it or gives it back; one that is not renewed ends by itself.

use std::fmt::Write;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use super::{Away, Redis};

/// Bytes of the longest token that is read; what is longer is none of ours.
const TOKEN: usize = 64;
/// The value names the holder. No GET or PEXPIRE, so that a user needs fewer rights.
const RENEW: &str = "if redis.call('GETRANGE', KEYS[1], 0, -1) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";
const GIVE_BACK: &str = "if redis.call('GETRANGE', KEYS[1], 0, -1) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

/// A claim that is ours, until its time is over. Dropping it gives nothing back: see [`Claim::give_back`].
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    redis: Redis,
    name: String,
    token: String,
}

/// What came of claiming.
#[derive(Debug)]
pub(crate) enum Claimed {
    Ours(Claim),
    /// Another machine holds it.
    Theirs(Foreign),
}

/// Another machine's claim.
#[derive(Debug, Clone)]
pub(crate) struct Foreign {
    redis: Redis,
    name: String,
    token: Vec<u8>,
}

impl Claim {
    /// Claims a name for a time, unless another machine has it. Waits at most twice [`super::RedisSettings::patience`].
    pub(crate) async fn take(redis: &Redis, name: &str, time: Duration) -> Result<Claimed, Away> {
        let Some(token) = token() else {
            return Err(Away::Refused("this system has no randomness".to_owned()));
        };
        let (behind, name) = (redis.behind(), name.to_owned());
        let claim = Claim {
            redis: behind.clone(),
            name: name.clone(),
            token,
        };
        match redis.set_new(&name, claim.token.as_bytes(), time).await {
            Ok(true) => return Ok(Claimed::Ours(claim)),
            Ok(false) => {}
            Err(away) => {
                // It may have been set all the same; give it back, so that no machine waits for this one.
                if away != Away::LeftAlone {
                    tokio::spawn(async move { drop(claim.give_back().await) });
                }
                return Err(away);
            }
        }
        // After a broken connection the command is sent twice, and the second finds what the first has written.
        match redis.get(&name, TOKEN).await? {
            Some(theirs) if theirs != claim.token.as_bytes() => Ok(Claimed::Theirs(Foreign {
                redis: behind,
                name,
                token: theirs,
            })),
            Some(_) => Ok(Claimed::Ours(claim)),
            // It has just ended; the next attempt gets it.
            None => Ok(Claimed::Theirs(Foreign {
                redis: behind,
                name,
                token: Vec::new(),
            })),
        }
    }

    /// Holds it for another `time`. `false`: it is not ours any more.
    pub(crate) async fn renew(&self, time: Duration) -> Result<bool, Away> {
        let ms = time.as_millis().to_string();
        Ok(self
            .redis
            .step(RENEW, &self.name, &[self.token.as_str(), ms.as_str()])
            .await?
            == 1)
    }

    /// Lets the next one have it, if it still is ours.
    pub(crate) async fn give_back(&self) -> Result<(), Away> {
        self.redis
            .step(GIVE_BACK, &self.name, &[self.token.as_str()])
            .await
            .map(drop)
    }
}

impl Foreign {
    /// Whether the same one still has it.
    pub(crate) async fn lasts(&self) -> Result<bool, Away> {
        Ok(self
            .redis
            .get(&self.name, TOKEN)
            .await?
            .is_some_and(|now| now == self.token))
    }
}

/// Tells this claim from every other one.
fn token() -> Option<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    }))
}
