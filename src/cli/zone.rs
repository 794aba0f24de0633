//! The user's time zone.
//!
//! Owns: the quick way to it: the rules in `/etc/localtime`, which are enough for days and months.
//! Refuses: the name of the zone; finding it would mean reading hundreds of files.
//! Invariant: when the quick way fails, the complete one is taken.

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
    fn the_quick_way_gives_the_same_days() {
        let named = std::env::var("TZ").ok();
        let env = Env::from_pairs(named.iter().map(|zone| ("TZ", zone.as_str())));
        let (short, long) = (local(&env), TimeZone::system());
        for second in (0..2_000_000_000).step_by(7_654_321) {
            let at = jiff::Timestamp::from_second(second).unwrap();
            assert_eq!(short.to_datetime(at), long.to_datetime(at));
        }
    }

    #[test]
    fn a_file_without_rules_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zone");
        assert!(rules(&file).is_none());
        std::fs::write(&file, "UTC").unwrap();
        assert!(rules(&file).is_none());
    }
}
