use proptest::prelude::*;

use super::*;
use crate::provider::meta::RateWindow;

const NOW: Timestamp = Timestamp(1_000_000);
const M: &str = "gpt-5-mini";

fn later(ms: u64) -> Timestamp {
    NOW.plus(Duration::from_millis(ms))
}

fn left(remaining: u64, limit: u64, reset_ms: u64) -> ResponseMeta {
    let reset = Some(Duration::from_millis(reset_ms));
    let requests = RateWindow {
        limit: Some(limit),
        remaining: Some(remaining),
        reset,
    };
    ResponseMeta {
        status: 200,
        requests,
        ..ResponseMeta::default()
    }
}

fn of(organization: &str) -> ResponseMeta {
    ResponseMeta {
        organization: Some(organization.to_owned()),
        ..ResponseMeta::default()
    }
}

fn exhausted(index: usize, why: &str, temporary: bool) -> KeyChoice {
    KeyChoice::Exhausted {
        index,
        why: why.to_owned(),
        temporary,
    }
}

#[test]
fn keys_take_turns_and_cooling_ones_are_passed_over() {
    let mut ring = KeyRing::new(3);
    assert_eq!(
        [ring.pick(M, NOW, &[]), ring.pick(M, NOW, &[])],
        [KeyChoice::Key(0), KeyChoice::Key(1)]
    );
    ring.cool(2, M, NOW, later(500));
    ring.cool(2, M, NOW, later(100));
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(0));
    ring.cool(1, M, NOW, later(900));
    ring.disable(0, "401");
    assert!(!ring.has_other(0, M, &[], NOW));
    assert_eq!(
        ring.pick(M, NOW, &[]),
        KeyChoice::Wait(Duration::from_millis(500)),
        "the longer cooling holds"
    );
    assert_eq!(ring.pick(M, later(500), &[]), KeyChoice::Key(2));
    ring.disable(1, "quota");
    ring.disable(2, "401");
    assert_eq!(ring.pick(M, later(9000), &[]), exhausted(2, "401", false));
    assert_eq!(KeyRing::new(0).pick(M, NOW, &[]), KeyChoice::NoKeys);
}

#[test]
fn cooling_on_one_model_leaves_the_key_to_the_others() {
    let mut ring = KeyRing::new(1);
    ring.cool(0, "a", NOW, later(500));
    assert_eq!(
        ring.pick("a", NOW, &[]),
        KeyChoice::Wait(Duration::from_millis(500))
    );
    assert_eq!(ring.pick("b", NOW, &[]), KeyChoice::Key(0));
    ring.cool(0, "b", NOW, later(700));
    assert_eq!(ring.pick("a", later(500), &[]), KeyChoice::Key(0));
    assert_eq!(
        ring.pick("b", later(500), &[]),
        KeyChoice::Wait(Duration::from_millis(200))
    );
}

#[test]
fn a_peers_report_orders_the_keys_and_delays_one_for_a_moment() {
    let (mut ring, most) = (KeyRing::new(2), Duration::from_secs(5));
    let reported = |remaining, at: Timestamp| Headroom::seen(&left(remaining, 100, 60_000), at);
    ring.learn_from_peer(0, M, reported(10, NOW), most, NOW);
    ring.learn_from_peer(1, M, reported(40, NOW), most, NOW);
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(1));
    // Older than what is known, and newer.
    ring.learn_from_peer(0, M, reported(90, Timestamp(NOW.0 - 1)), most, NOW);
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(1));
    ring.learn_from_peer(0, M, reported(80, later(1)), most, later(1));
    assert_eq!(ring.pick(M, later(1), &[]), KeyChoice::Key(0));
    // Nothing is left: of a hundred a minute one is back after 600 ms.
    ring.learn_from_peer(0, M, reported(0, later(2)), most, later(2));
    ring.learn_from_peer(1, M, reported(0, later(2)), most, later(2));
    assert_eq!(
        ring.pick(M, later(2), &[]),
        KeyChoice::Wait(Duration::from_millis(601))
    );
    let none = Headroom::seen(&left(0, 1, 3_600_000), later(3));
    ring.learn_from_peer(0, M, none, most, later(3));
    assert!(
        matches!(ring.pick(M, later(1000), &[1]), KeyChoice::Wait(wait) if wait <= most),
        "no longer than that"
    );
    ring.learn_from_peer(9, M, none, most, NOW);
}

#[test]
fn skipped_keys_are_neither_picked_nor_waited_for() {
    let mut ring = KeyRing::new(3);
    assert_eq!(ring.pick(M, NOW, &[0]), KeyChoice::Key(1));
    assert_eq!(ring.pick(M, NOW, &[2, 0]), KeyChoice::Key(1));
    ring.cool(1, M, NOW, later(500));
    assert_eq!(
        ring.pick(M, NOW, &[0, 2]),
        KeyChoice::Wait(Duration::from_millis(500)),
        "one that cools may have room"
    );
    ring.disable(1, "401");
    assert_eq!(ring.pick(M, NOW, &[0, 2]), KeyChoice::AllSkipped);
    assert_eq!(ring.pick(M, NOW, &[0, 1, 2]), KeyChoice::AllSkipped);
    assert_eq!(ring.pick(M, NOW, &[0]), KeyChoice::Key(2));
}

#[test]
fn the_key_with_the_most_left_goes_first() {
    let mut ring = KeyRing::new(3);
    ring.learn(0, M, &left(10, 100, 60_000), NOW);
    ring.learn(1, M, &left(30, 100, 60_000), NOW);
    ring.learn(2, M, &left(20, 100, 60_000), NOW);
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(1));
    // Each pick counts one as gone: 29 of 100 is still the most, until 20 is reached.
    let picked: Vec<_> = (0..12).map(|_| ring.pick(M, NOW, &[])).collect();
    assert_eq!(
        picked.iter().filter(|p| **p == KeyChoice::Key(2)).count(),
        2,
        "{picked:?}"
    );
    assert_eq!(
        ring.pick("other", NOW, &[0, 1]),
        KeyChoice::Key(2),
        "nothing is known of another model"
    );
    // An unknown key counts as full.
    ring.reset(0, true);
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(0));
    // When the reset has passed, all are full again and take turns.
    let turns: Vec<_> = (0..3).map(|_| ring.pick(M, later(60_000), &[])).collect();
    assert_eq!(
        turns,
        [KeyChoice::Key(1), KeyChoice::Key(2), KeyChoice::Key(0)]
    );
}

#[test]
fn a_key_with_nothing_left_is_the_last_choice_and_still_one() {
    let mut ring = KeyRing::new(2);
    ring.learn(0, M, &left(0, 100, 60_000), NOW);
    assert_eq!(
        [ring.pick(M, NOW, &[]), ring.pick(M, NOW, &[])],
        [KeyChoice::Key(1), KeyChoice::Key(1)]
    );
    ring.cool(1, M, NOW, later(500));
    assert_eq!(
        ring.pick(M, NOW, &[]),
        KeyChoice::Key(0),
        "figures grow old: only a refusal stops a key"
    );
}

#[test]
fn a_used_up_quota_suspends_a_key_until_the_quota_starts_anew_and_an_account_with_all_its_keys() {
    let end = later(10_000);
    let mut ring = KeyRing::new(2);
    ring.suspend(0, NOW, end, "quota");
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(1));
    ring.suspend(1, NOW, end, "quota");
    assert_eq!(ring.pick(M, NOW, &[]), exhausted(1, "quota", true));
    assert!(
        matches!(ring.pick(M, end, &[]), KeyChoice::Key(_)),
        "a new month"
    );
    // Without an organization, all keys count as one account.
    let mut ring = KeyRing::new(3);
    ring.disable(1, "401");
    ring.suspend_account(0, NOW, end, "quota");
    assert_eq!(ring.pick(M, NOW, &[]), exhausted(2, "quota", true));
    assert_eq!(ring.pick(M, end, &[1]), KeyChoice::Key(0));
    assert_eq!(
        ring.pick(M, end, &[0, 2]),
        KeyChoice::AllSkipped,
        "a refused key is not mended by a new month"
    );
    // With one: the keys seen with the same organization.
    let mut ring = KeyRing::new(4);
    ring.learn(0, M, &of("acme"), NOW);
    ring.learn(1, M, &of("other"), NOW);
    ring.learn(2, M, &of("acme"), NOW);
    ring.suspend_account(0, NOW, end, "quota");
    let picked = [
        ring.pick(M, NOW, &[]),
        ring.pick(M, NOW, &[]),
        ring.pick(M, NOW, &[]),
    ];
    assert_eq!(
        picked,
        [KeyChoice::Key(1), KeyChoice::Key(3), KeyChoice::Key(1)]
    );
}

#[test]
fn setting_the_clock_back_keeps_no_key_out_of_use() {
    let (mut ring, before) = (KeyRing::new(1), Timestamp(NOW.0 - 3_600_000));
    ring.cool(0, M, NOW, later(500));
    assert_eq!(ring.pick(M, before, &[]), KeyChoice::Key(0));
    ring.cool(0, M, before, before.plus(Duration::from_millis(300)));
    assert_eq!(
        ring.pick(M, before, &[]),
        KeyChoice::Wait(Duration::from_millis(300)),
        "the newer cooling holds"
    );
    let mut ring = KeyRing::new(1);
    ring.note_missing_model(0, M, NOW, later(500));
    assert!(ring.all_lack(M, NOW) && !ring.all_lack(M, before));
    ring.suspend(0, NOW, later(500), "quota");
    assert_eq!(ring.pick(M, NOW, &[]), exhausted(0, "quota", true));
    assert_eq!(
        ring.pick(M, before, &[]),
        KeyChoice::Key(0),
        "it is refused again, and suspended anew"
    );
}

#[test]
fn a_key_that_replaces_another_starts_fresh() {
    let mut ring = KeyRing::new(2);
    ring.reset(0, false);
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(1));
    ring.disable(1, "401");
    assert_eq!(ring.pick(M, NOW, &[]), exhausted(1, "401", false));
    ring.reset(1, true);
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(1));
    ring.reset(1, false);
    assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::NoKeys);
}

#[test]
fn expired_model_states_are_forgotten() {
    let mut ring = KeyRing::new(1);
    for n in 0..1000 {
        ring.learn(0, &format!("m{n}"), &left(1, 10, 100), later(n));
    }
    assert!(
        ring.slots[0].models.len() <= 101,
        "{}",
        ring.slots[0].models.len()
    );
}

#[derive(Debug, Clone)]
enum KeyEvent {
    Learn(usize, u64),
    Cool(usize, u64),
    Disable(usize),
    Suspend(usize, u64),
    Reset(usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = KeyEvent> {
    let index = 0..10_usize;
    prop_oneof![
        (index.clone(), 0..=10_u64).prop_map(|(at, n)| KeyEvent::Learn(at, n)),
        (index.clone(), 0..5000_u64).prop_map(|(at, ms)| KeyEvent::Cool(at, ms)),
        index.clone().prop_map(KeyEvent::Disable),
        (index.clone(), 0..5000_u64).prop_map(|(at, ms)| KeyEvent::Suspend(at, ms)),
        index.prop_map(KeyEvent::Reset),
        (0..3000_u64).prop_map(KeyEvent::Pass),
    ]
}

proptest! {
    #[test]
    fn an_exhausted_or_cooling_key_is_never_picked(events in prop::collection::vec(event(), 1..60)) {
        let mut ring = KeyRing::new(10);
        // The expected state: disabled, suspended until, cooling until.
        let mut known = [(false, NOW, NOW); 10];
        let mut now = NOW;
        for event in events {
            let then = |ms: u64| now.plus(Duration::from_millis(ms));
            match event {
                KeyEvent::Learn(at, n) => ring.learn(at, M, &left(n, 10, 1000), now),
                KeyEvent::Cool(at, ms) => {
                    ring.cool(at, M, now, then(ms));
                    known[at].2 = known[at].2.max(then(ms));
                }
                KeyEvent::Disable(at) => {
                    ring.disable(at, "401");
                    known[at].0 = true;
                }
                KeyEvent::Suspend(at, ms) => {
                    ring.suspend(at, now, then(ms), "quota");
                    known[at].1 = then(ms);
                }
                KeyEvent::Reset(at) => {
                    ring.reset(at, true);
                    known[at] = (false, NOW, NOW);
                }
                KeyEvent::Pass(ms) => now = then(ms),
            }
            let usable = |(disabled, suspended, cooling): &(bool, Timestamp, Timestamp)| {
                !disabled && *suspended <= now && *cooling <= now
            };
            match ring.pick(M, now, &[]) {
                KeyChoice::Key(at) => prop_assert!(usable(&known[at]), "{at} of {known:?} at {now:?}"),
                _ => prop_assert!(!known.iter().any(usable), "none of {known:?} at {now:?}"),
            }
        }
    }

    #[test]
    fn the_only_key_with_something_left_is_picked(which in 0..10_usize, turns in 0..10, n in 1..=100_u64) {
        let mut ring = KeyRing::new(10);
        for _ in 0..turns {
            ring.pick(M, NOW, &[]);
        }
        for at in 0..10 {
            ring.learn(at, M, &left(if at == which { n } else { 0 }, 100, 60_000), NOW);
        }
        prop_assert_eq!(ring.pick(M, NOW, &[]), KeyChoice::Key(which));
    }
}

#[test]
fn a_key_without_the_model_comes_last() {
    let (mut ring, later) = (KeyRing::new(3), NOW.plus(Duration::from_mins(1)));
    ring.note_missing_model(0, "m", NOW, later);
    ring.note_missing_model(2, "m", NOW, later);
    assert!(!ring.all_lack("m", NOW));
    assert_eq!(
        [0, 1].map(|_| ring.pick("m", NOW, &[])),
        [KeyChoice::Key(1), KeyChoice::Key(1)]
    );
    assert_eq!(
        ring.pick("m", NOW, &[1]),
        KeyChoice::Key(2),
        "rather than none at all"
    );
    ring.note_missing_model(1, "m", NOW, later);
    assert!(ring.all_lack("m", NOW) && !ring.all_lack("other", NOW) && !ring.all_lack("m", later));
    assert!(
        matches!(ring.pick("m", NOW, &[]), KeyChoice::Key(_)),
        "the model is asked for all the same"
    );
    ring.disable(0, "no such key");
    assert!(ring.all_lack("m", NOW), "an exhausted key does not count");
    assert!(!KeyRing::new(0).all_lack("m", NOW));
}
