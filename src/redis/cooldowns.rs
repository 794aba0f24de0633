//! Cool-downs that machines share: when a provider tells one machine to leave a key alone, all do. And what is left of
//! the key's rate limits, as the provider last said.
//!
//! Owns: the names and values of cool-downs in Redis, and the names of what is left.
//! Refuses: keys of providers; a key is named by a fingerprint. The gateway reads the note of what is left.
//! Invariant: both expire, at the latest after [`LONGEST`]; an unreadable one is ignored. The end of a
//! cool-down is a time of Redis's clock, and machines read how long that is from now, so their clocks need not agree.

use std::time::Duration;

use super::{Away, Redis, Waiting};
use crate::chat::Timestamp;

/// The longest cool-down that is taken from another machine.
pub(crate) const LONGEST: Duration = Duration::from_hours(1);

/// The longest note of what is left that is read, in bytes.
const ROOM: usize = 512;

/// Of each pair of keys: the milliseconds for which the first still cools, and what lies under the second, as far as it is
/// read; nothing, where something of another type lies.
const READ: &str = "local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(key, last)
  local found = redis.pcall('GETRANGE', key, 0, last)
  return type(found) == 'string' and found or ''
end
local told = {}
for i = 1, #KEYS, 2 do
  local till = tonumber(text(KEYS[i], 31))
  told[i] = till and string.format('%.0f', till - now) or ''
  told[i + 1] = text(KEYS[i + 1], ARGV[1])
end
return told";
/// A later end that another machine told stays, unless it is too far away.
const COOL: &str = "local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local till, theirs = now + tonumber(ARGV[1]), tonumber(redis.call('GETRANGE', KEYS[1], 0, 31))
if theirs and theirs >= till and theirs <= now + tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], string.format('%.0f', till), 'PX', ARGV[1])
return 1";

/// What cools: a key, for one model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cooling {
    /// The provider of the key.
    pub provider: String,
    /// Tells the keys of a provider apart on every machine without telling the key.
    pub fingerprint: String,
    /// The model that the key rests on.
    pub model: String,
}

impl Cooling {
    /// In one slot of a cluster, so that all are read at once.
    fn name(&self) -> String {
        format!(
            "{{cool}}:{}:{}:{}",
            self.provider, self.fingerprint, self.model
        )
    }

    fn name_of_room(&self) -> String {
        format!(
            "{{cool}}/left:{}:{}:{}",
            self.provider, self.fingerprint, self.model
        )
    }
}

/// What others were told of a key, on one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerReport {
    /// Until when it cools; `None`: it does not.
    pub until: Option<Timestamp>,
    /// What is left of its rate limits, as the last machine that used it wrote it.
    pub room: Option<Vec<u8>>,
}

/// The cool-downs of a Redis.
#[derive(Debug, Clone)]
pub struct Cooldowns(Redis);

impl Cooldowns {
    /// Asks nothing yet.
    pub fn new(redis: Redis) -> Self {
        Self(redis)
    }

    /// Where they lie.
    pub(crate) fn redis(&self) -> &Redis {
        &self.0
    }

    /// The same, for one request.
    #[must_use]
    pub fn within(&self, waiting: &Waiting) -> Self {
        Self(self.0.within(waiting))
    }

    /// What was told of each of these, in their order; one round trip.
    pub async fn read(&self, of: &[Cooling], now: Timestamp) -> Result<Vec<PeerReport>, Away> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = of
            .iter()
            .flat_map(|what| [what.name(), what.name_of_room()])
            .collect();
        let found = self.0.read(READ, &names, &[&ROOM.to_string()]).await?;
        let told = |pair: &[Vec<u8>]| PeerReport {
            until: until(&pair[0], now),
            room: Some(pair[1].clone()).filter(|room| (1..=ROOM).contains(&room.len())),
        };
        Ok(found.chunks_exact(2).map(told).collect())
    }

    /// Tells the others what is left, for this long.
    pub async fn tell_room(&self, what: &Cooling, room: &[u8], time: Duration) -> Result<(), Away> {
        self.0
            .set(&what.name_of_room(), room, time.min(LONGEST))
            .await
    }

    /// Tells the other machines. A later end that another one told stays.
    pub async fn cool(&self, what: &Cooling, until: Timestamp, now: Timestamp) -> Result<(), Away> {
        let time = until.since(now).min(LONGEST);
        if time.is_zero() {
            return Ok(());
        }
        let (time, longest) = (
            time.as_millis().to_string(),
            LONGEST.as_millis().to_string(),
        );
        self.0
            .step(COOL, &what.name(), &[&time, &longest])
            .await
            .map(drop)
    }
}

/// The end of so many milliseconds, as far as they make sense.
fn until(left: &[u8], now: Timestamp) -> Option<Timestamp> {
    let left: i64 = std::str::from_utf8(left).ok()?.parse().ok()?;
    let left = Duration::from_millis(u64::try_from(left).ok().filter(|left| *left > 0)?);
    Some(now.plus(left.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_taken_with_care() {
        let now = Timestamp(1_000_000);
        for (said, taken) in [
            ("60000", Some(1_060_000)),
            ("0", None),
            ("9999999999999", Some(1_000_000 + 3_600_000)),
            ("inf", None),
            ("-inf", None),
            ("nan", None),
            ("", None),
            ("-5", None),
        ] {
            assert_eq!(
                until(said.as_bytes(), now),
                taken.map(Timestamp),
                "{said:?}"
            );
        }
        assert_eq!(until(b"\xff", now), None);
    }
}
