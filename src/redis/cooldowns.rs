//! Cool-downs that machines tell each other: a key that one of them was told to leave alone is left alone by all; and what
//! the server last said is left of its rate limits.
//!
//! Owns: the names and values of cool-downs in Redis, and the names of what is left.
//! Refuses: keys of providers; a key is named by a fingerprint that its owner made. What is left is the gateway's to read.
//! Invariant: either ends by itself, at the latest after [`LONGEST`]; one that cannot be read does not hold.

use std::time::Duration;

use super::{Away, Redis, Waiting};
use crate::chat::Timestamp;

/// The longest cool-down that is taken from another machine.
pub const LONGEST: Duration = Duration::from_hours(1);

/// The longest note of what is left that is read, in bytes.
const ROOM: usize = 512;

/// What cools: a key, for one model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cooling {
    pub provider: String,
    /// Tells the keys of a provider apart on every machine without telling the key.
    pub fingerprint: String,
    pub model: String,
}

impl Cooling {
    /// In one slot of a cluster, so that all are read at once.
    fn name(&self) -> String {
        format!("{{cool}}:{}:{}:{}", self.provider, self.fingerprint, self.model)
    }

    fn name_of_room(&self) -> String {
        format!("{{cool}}/left:{}:{}:{}", self.provider, self.fingerprint, self.model)
    }
}

/// What others were told of a key, on one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Until when it cools; `None`: it does not.
    pub until: Option<Timestamp>,
    /// What is left of its rate limits, as whoever used it wrote it.
    pub room: Option<Vec<u8>>,
}

/// The cool-downs of a Redis.
#[derive(Debug, Clone)]
pub struct Cooldowns(Redis);

impl Cooldowns {
    pub fn new(redis: Redis) -> Self {
        Self(redis)
    }

    /// Where they lie.
    pub fn redis(&self) -> &Redis {
        &self.0
    }

    /// The same, for one request.
    pub fn within(&self, waiting: &Waiting) -> Self {
        Self(self.0.within(waiting))
    }

    /// What was told of each of these, in their order; one round trip.
    pub async fn read(&self, of: &[Cooling], now: Timestamp) -> Result<Vec<Told>, Away> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = of.iter().flat_map(|what| [what.name(), what.name_of_room()]).collect();
        let found = self.0.get_many(&names).await?;
        let told = |pair: &[Option<Vec<u8>>]| Told {
            until: pair[0].as_deref().and_then(|value| until(value, now)),
            room: pair[1].clone().filter(|value| value.len() <= ROOM),
        };
        Ok(found.chunks_exact(2).map(told).collect())
    }

    /// Tells the others what is left, for this long.
    pub async fn tell_room(&self, what: &Cooling, room: &[u8], time: Duration) -> Result<(), Away> {
        self.0.set(&what.name_of_room(), room, time.min(LONGEST)).await
    }

    /// Tells the others. A later end that somebody else told stays.
    pub async fn cool(&self, what: &Cooling, until: Timestamp, now: Timestamp) -> Result<(), Away> {
        let time = until.since(now).min(LONGEST);
        if time.is_zero() {
            return Ok(());
        }
        if let [Told { until: Some(theirs), .. }] = self.read(std::slice::from_ref(what), now).await?[..]
            && theirs >= until
        {
            return Ok(());
        }
        self.0.set(&what.name(), until.0.to_string().as_bytes(), time).await
    }
}

/// A time that another machine wrote, as far as it makes sense here.
fn until(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    let said = Timestamp(std::str::from_utf8(value).ok()?.parse().ok()?);
    let longest = now.plus(LONGEST);
    (said > now).then(|| said.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_taken_with_care() {
        let now = Timestamp(1_000_000);
        for (said, taken) in [
            ("1060000", Some(1_060_000)),
            ("999999", None),
            ("9999999999999", Some(1_000_000 + 3_600_000)),
            ("soon", None),
            ("", None),
            ("-5", None),
        ] {
            assert_eq!(until(said.as_bytes(), now), taken.map(Timestamp), "{said:?}");
        }
        assert_eq!(until(b"\xff", now), None);
    }
}
