//! The user's time zone.
//!
//! Owns: the short way to it: the rules in `/etc/localtime`, which are all that days and months are made of.
//! Refuses: the name of the zone; to find it, hundreds of files have to be looked at.
//! Invariant: where the short way does not lead there, the long one is taken.

use std::io::Read;
use std::path::Path;

use jiff::tz::TimeZone;

use crate::config::Env;

/// The rules of a zone are a few kilobytes.
const LARGEST: u64 = 64 * 1024;

/// The zone of `TZ`, else of the machine.
pub(super) fn local(env: &Env) -> TimeZone {
    let named = env.get("TZ").is_some();
    let short = if named {
        None
    } else {
        rules(Path::new("/etc/localtime"))
    };
    short.unwrap_or_else(TimeZone::system)
}

fn rules(file: &Path) -> Option<TimeZone> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .ok()?
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .ok()?;
    TimeZone::tzif("local", &bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_leads_to_the_same_days() {
        let named = std::env::var("TZ").ok();
        let env = Env::from_pairs(named.iter().map(|zone| ("TZ", zone.as_str())));
        let (short, long) = (local(&env), TimeZone::system());
        for second in (0..2_000_000_000).step_by(7_654_321) {
            let at = jiff::Timestamp::from_second(second).unwrap();
            assert_eq!(short.to_datetime(at), long.to_datetime(at));
        }
    }

    #[test]
    fn what_holds_no_rules_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zone");
        assert!(rules(&file).is_none());
        std::fs::write(&file, "UTC").unwrap();
        assert!(rules(&file).is_none());
    }
}
