//! Claims: for a while, one of many machines has a thing to do to itself.
//!
//! Owns: taking, renewing and giving back a claim, each as one step of the server's.
//! Refuses: to be sure. A claim saves work; whoever cannot hear of one goes ahead without.
//! Invariant: only who holds a claim renews it or gives it back; one that is not renewed ends by itself.

use std::fmt::Write;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use super::{Away, Redis};

/// Bytes of the longest token that is read; what is longer is none of ours.
const TOKEN: usize = 64;
/// Whose it is stands in the value. Without GET and PEXPIRE, so that a user of few rights may do it.
const RENEW: &str = "if redis.call('GETRANGE', KEYS[1], 0, -1) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";
const GIVE_BACK: &str = "if redis.call('GETRANGE', KEYS[1], 0, -1) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

/// A claim that is ours, until its time is over. Dropping it gives nothing back: see [`Claim::give_back`].
#[derive(Debug, Clone)]
pub struct Claim {
    redis: Redis,
    name: String,
    token: String,
}

/// What came of claiming.
#[derive(Debug)]
pub enum Claimed {
    Ours(Claim),
    /// Somebody else was first.
    Theirs(Foreign),
}

/// A claim of somebody else's.
#[derive(Debug, Clone)]
pub struct Foreign {
    redis: Redis,
    name: String,
    token: Vec<u8>,
}

impl Redis {
    /// Claims a name for a time, unless somebody has it. Waits at most twice [`super::Settings::patience`].
    pub async fn claim(&self, name: &str, time: Duration) -> Result<Claimed, Away> {
        let Some(token) = token() else {
            return Err(Away::Refused("this system has no randomness".to_owned()));
        };
        let (redis, name) = (self.behind(), name.to_owned());
        let claim = Claim {
            redis: redis.clone(),
            name: name.clone(),
            token,
        };
        match self.set_new(&name, claim.token.as_bytes(), time).await {
            Ok(true) => return Ok(Claimed::Ours(claim)),
            Ok(false) => {}
            Err(away) => {
                // It may be ours all the same, and nobody shall wait for somebody who does not know of it.
                if away != Away::LeftAlone {
                    tokio::spawn(async move { drop(claim.give_back().await) });
                }
                return Err(away);
            }
        }
        // Sent twice, over a connection that broke, the second finds what the first has written.
        match self.get(&name, TOKEN).await? {
            Some(theirs) if theirs != claim.token.as_bytes() => Ok(Claimed::Theirs(Foreign {
                redis,
                name,
                token: theirs,
            })),
            Some(_) => Ok(Claimed::Ours(claim)),
            // It has just ended; whoever asks again gets it.
            None => Ok(Claimed::Theirs(Foreign {
                redis,
                name,
                token: Vec::new(),
            })),
        }
    }
}

impl Claim {
    /// Holds it for another `time`. `false`: it is not ours any more.
    pub async fn renew(&self, time: Duration) -> Result<bool, Away> {
        let ms = time.as_millis().to_string();
        Ok(self
            .redis
            .step(RENEW, &self.name, &[self.token.as_str(), ms.as_str()])
            .await?
            == 1)
    }

    /// Lets the next one have it, if it still is ours.
    pub async fn give_back(&self) -> Result<(), Away> {
        self.redis
            .step(GIVE_BACK, &self.name, &[self.token.as_str()])
            .await
            .map(drop)
    }
}

impl Foreign {
    /// Whether the same one still has it.
    pub async fn lasts(&self) -> Result<bool, Away> {
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
