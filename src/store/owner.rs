//! Which process streams an answer, and whether it still lives; which start of the machine this is.
//!
//! Owns: the mark a process leaves on its streaming answers; the name of a start of the machine.
//! Refuses: to guess; if a mark cannot be judged from here, the answer is `Unknown`.
//! Invariant: a live process of this machine and this process namespace is never reported as dead.

use std::fs;
#[cfg(target_os = "linux")]
use std::sync::{Arc, OnceLock};

use rustix::process::{Pid, getpid, test_kill_process};

/// What is known of the process behind a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// It cannot be seen from here, such as a process in another container.
    Unknown,
}

/// The mark of this process: machine start, process namespace, process id, start of the process.
pub(crate) fn this_process() -> String {
    let pid = getpid().as_raw_nonzero().get();
    format!("{} {pid} {}", place(), started(pid).unwrap_or_default())
}

/// Whether the process that left this mark still runs.
pub(crate) fn life(mark: &str) -> Life {
    let mut words = mark.rsplitn(3, ' ');
    let (Some(start), Some(pid), Some(there)) = (words.next(), words.next(), words.next()) else {
        return Life::Unknown;
    };
    let here = place();
    if there != here {
        // Another start of the machine: nothing of it runs any more. Else another namespace.
        let boot = |place: &str| place.split(' ').next().map(str::to_owned);
        return if boot(there) == boot(&here) {
            Life::Unknown
        } else {
            Life::Dead
        };
    }
    let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) else {
        return Life::Unknown;
    };
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return Life::Dead;
    }
    // The number may have been given to another process since.
    match started(pid.as_raw_nonzero().get()) {
        Some(now) if now != start => Life::Dead,
        _ => Life::Alive,
    }
}

/// This start of the machine, as far as its running time is one: a container may have a running time of its own. Read
/// once; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(super) fn boot() -> Option<Arc<str>> {
    static BOOT: OnceLock<Option<Arc<str>>> = OnceLock::new();
    let read = || {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = fs::read_link("/proc/self/ns/time").unwrap_or_default();
        Some(format!("{} {}", boot.trim(), space.to_string_lossy()).into())
    };
    BOOT.get_or_init(read).clone()
}

/// Machine start and process namespace; dashes where the system does not tell.
fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.replace(' ', "")
        }
    };
    format!(
        "{} {}",
        or_dash(boot.trim()),
        or_dash(&space.to_string_lossy())
    )
}

/// When the process started, in clock ticks since the machine did; `None` where the system does not tell. One that has
/// ended and was not collected yet has a start of its own kind, so that it equals no mark.
fn started(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may itself hold spaces and brackets.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if matches!(fields.next(), Some("Z" | "X")) {
        return Some("ended".to_owned());
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_it_has_ended() {
        assert_eq!(life(&this_process()), Life::Alive);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mark = format!("{} {pid} {}", place(), started(pid).unwrap_or_default());
        assert_eq!(life(&mark), Life::Alive);
        child.kill().unwrap();
        // Killed and not yet collected, or collected: both are dead. Only the first has to be waited for.
        child.wait().unwrap();
        assert_eq!(life(&mark), Life::Dead);
    }

    #[test]
    fn what_cannot_be_seen_from_here_is_unknown() {
        let pid = getpid().as_raw_nonzero().get();
        let boot = place().split(' ').next().unwrap().to_owned();
        assert_eq!(life(&format!("{boot} pid:[1] {pid} 1")), Life::Unknown);
        assert_eq!(life("garbage"), Life::Unknown);
        if started(pid).is_some() {
            assert_eq!(life(&format!("another-boot pid:[1] {pid} 1")), Life::Dead);
            assert_eq!(
                life(&format!("{} {pid} 1", place())),
                Life::Dead,
                "the number was given anew"
            );
        }
    }
}
