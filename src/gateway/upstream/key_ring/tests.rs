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

fn out(place: usize, why: &str, passes: bool) -> Pick {
    Pick::Out {
        place,
        why: why.to_owned(),
        passes,
    }
}

#[test]
fn keys_take_turns_and_cooling_ones_are_passed_over() {
    let mut ring = KeyRing::new(3);
    assert_eq!(
        [ring.pick(M, NOW, &[]), ring.pick(M, NOW, &[])],
        [Pick::Key(0), Pick::Key(1)]
    );
    ring.cool(2, M, NOW, later(500));
    ring.cool(2, M, NOW, later(100));
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(0));
    ring.cool(1, M, NOW, later(900));
    ring.bar(0, "401");
    assert!(!ring.has_other(0, M, &[], NOW));
    assert_eq!(
        ring.pick(M, NOW, &[]),
        Pick::Wait(Duration::from_millis(500)),
        "the longer cooling holds"
    );
    assert_eq!(ring.pick(M, later(500), &[]), Pick::Key(2));
    ring.bar(1, "quota");
    ring.bar(2, "401");
    assert_eq!(ring.pick(M, later(9000), &[]), out(2, "401", false));
    assert_eq!(KeyRing::new(0).pick(M, NOW, &[]), Pick::Empty);
}

#[test]
fn a_limit_on_one_model_leaves_the_key_to_the_others() {
    let mut ring = KeyRing::new(1);
    ring.cool(0, "a", NOW, later(500));
    assert_eq!(
        ring.pick("a", NOW, &[]),
        Pick::Wait(Duration::from_millis(500))
    );
    assert_eq!(ring.pick("b", NOW, &[]), Pick::Key(0));
    ring.cool(0, "b", NOW, later(700));
    assert_eq!(ring.pick("a", later(500), &[]), Pick::Key(0));
    assert_eq!(
        ring.pick("b", later(500), &[]),
        Pick::Wait(Duration::from_millis(200))
    );
}

#[test]
fn what_other_machines_heard_orders_the_keys_and_holds_one_back_for_a_moment() {
    let (mut ring, most) = (KeyRing::new(2), Duration::from_secs(5));
    let heard = |remaining, at: Timestamp| Headroom::seen(&left(remaining, 100, 60_000), at);
    ring.hear(0, M, heard(10, NOW), most, NOW);
    ring.hear(1, M, heard(40, NOW), most, NOW);
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(1));
    // Older than what is known, and newer.
    ring.hear(0, M, heard(90, Timestamp(NOW.0 - 1)), most, NOW);
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(1));
    ring.hear(0, M, heard(80, later(1)), most, later(1));
    assert_eq!(ring.pick(M, later(1), &[]), Pick::Key(0));
    // Nothing is left: of a hundred a minute one is back after 600 ms.
    ring.hear(0, M, heard(0, later(2)), most, later(2));
    ring.hear(1, M, heard(0, later(2)), most, later(2));
    assert_eq!(
        ring.pick(M, later(2), &[]),
        Pick::Wait(Duration::from_millis(601))
    );
    let none = Headroom::seen(&left(0, 1, 3_600_000), later(3));
    ring.hear(0, M, none, most, later(3));
    assert!(
        matches!(ring.pick(M, later(1000), &[1]), Pick::Wait(wait) if wait <= most),
        "no longer than that"
    );
    ring.hear(9, M, none, most, NOW);
}

#[test]
fn a_key_without_money_is_passed_over_and_never_waited_for() {
    let mut ring = KeyRing::new(3);
    assert_eq!(ring.pick(M, NOW, &[0]), Pick::Key(1));
    assert_eq!(ring.pick(M, NOW, &[2, 0]), Pick::Key(1));
    ring.cool(1, M, NOW, later(500));
    assert_eq!(
        ring.pick(M, NOW, &[0, 2]),
        Pick::Wait(Duration::from_millis(500)),
        "one that cools may have room"
    );
    ring.bar(1, "401");
    assert_eq!(ring.pick(M, NOW, &[0, 2]), Pick::Passed);
    assert_eq!(ring.pick(M, NOW, &[0, 1, 2]), Pick::Passed);
    assert_eq!(ring.pick(M, NOW, &[0]), Pick::Key(2));
}

#[test]
fn the_key_with_the_most_left_goes_first() {
    let mut ring = KeyRing::new(3);
    ring.learn(0, M, &left(10, 100, 60_000), NOW);
    ring.learn(1, M, &left(30, 100, 60_000), NOW);
    ring.learn(2, M, &left(20, 100, 60_000), NOW);
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(1));
    // Each pick counts one as gone: 29 of 100 is still the most, until 20 is reached.
    let picked: Vec<_> = (0..12).map(|_| ring.pick(M, NOW, &[])).collect();
    assert_eq!(
        picked.iter().filter(|p| **p == Pick::Key(2)).count(),
        2,
        "{picked:?}"
    );
    assert_eq!(
        ring.pick("other", NOW, &[0, 1]),
        Pick::Key(2),
        "of another model nothing is known"
    );
    // A key of which nothing is known has plenty.
    ring.renew(0, true);
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(0));
    // When the reset has passed, all are full again and take turns.
    let turns: Vec<_> = (0..3).map(|_| ring.pick(M, later(60_000), &[])).collect();
    assert_eq!(turns, [Pick::Key(1), Pick::Key(2), Pick::Key(0)]);
}

#[test]
fn a_key_with_nothing_left_is_the_last_choice_and_still_one() {
    let mut ring = KeyRing::new(2);
    ring.learn(0, M, &left(0, 100, 60_000), NOW);
    assert_eq!(
        [ring.pick(M, NOW, &[]), ring.pick(M, NOW, &[])],
        [Pick::Key(1), Pick::Key(1)]
    );
    ring.cool(1, M, NOW, later(500));
    assert_eq!(
        ring.pick(M, NOW, &[]),
        Pick::Key(0),
        "figures grow old: only a refusal stops a key"
    );
}

#[test]
fn a_quota_parks_a_key_until_its_end_and_an_account_with_all_its_keys() {
    let end = later(10_000);
    let mut ring = KeyRing::new(2);
    ring.park(0, NOW, end, "quota");
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(1));
    ring.park(1, NOW, end, "quota");
    assert_eq!(ring.pick(M, NOW, &[]), out(1, "quota", true));
    assert!(
        matches!(ring.pick(M, end, &[]), Pick::Key(_)),
        "a new month"
    );
    // Nobody named an organisation: all keys are of one account.
    let mut ring = KeyRing::new(3);
    ring.bar(1, "401");
    ring.park_account(0, NOW, end, "quota");
    assert_eq!(ring.pick(M, NOW, &[]), out(2, "quota", true));
    assert_eq!(ring.pick(M, end, &[1]), Pick::Key(0));
    assert_eq!(
        ring.pick(M, end, &[0, 2]),
        Pick::Passed,
        "a refused key is not mended by a new month"
    );
    // Named: the keys that were seen with the same one.
    let mut ring = KeyRing::new(4);
    ring.learn(0, M, &of("acme"), NOW);
    ring.learn(1, M, &of("other"), NOW);
    ring.learn(2, M, &of("acme"), NOW);
    ring.park_account(0, NOW, end, "quota");
    let picked = [
        ring.pick(M, NOW, &[]),
        ring.pick(M, NOW, &[]),
        ring.pick(M, NOW, &[]),
    ];
    assert_eq!(picked, [Pick::Key(1), Pick::Key(3), Pick::Key(1)]);
}

#[test]
fn a_clock_that_is_set_back_keeps_no_key_out_of_use() {
    let (mut ring, before) = (KeyRing::new(1), Timestamp(NOW.0 - 3_600_000));
    ring.cool(0, M, NOW, later(500));
    assert_eq!(ring.pick(M, before, &[]), Pick::Key(0));
    ring.cool(0, M, before, before.plus(Duration::from_millis(300)));
    assert_eq!(
        ring.pick(M, before, &[]),
        Pick::Wait(Duration::from_millis(300)),
        "what is said now holds"
    );
    let mut ring = KeyRing::new(1);
    ring.miss(0, M, NOW, later(500));
    assert!(ring.all_lack(M, NOW) && !ring.all_lack(M, before));
    ring.park(0, NOW, later(500), "quota");
    assert_eq!(ring.pick(M, NOW, &[]), out(0, "quota", true));
    assert_eq!(
        ring.pick(M, before, &[]),
        Pick::Key(0),
        "it is refused once more, and parked anew"
    );
}

#[test]
fn a_new_key_in_an_old_place_is_fresh() {
    let mut ring = KeyRing::new(2);
    ring.renew(0, false);
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(1));
    ring.bar(1, "401");
    assert_eq!(ring.pick(M, NOW, &[]), out(1, "401", false));
    ring.renew(1, true);
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(1));
    ring.renew(1, false);
    assert_eq!(ring.pick(M, NOW, &[]), Pick::Empty);
}

#[test]
fn what_has_passed_is_forgotten() {
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
enum Happening {
    Learn(usize, u64),
    Cool(usize, u64),
    Bar(usize),
    Park(usize, u64),
    Renew(usize),
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let place = 0..10_usize;
    prop_oneof![
        (place.clone(), 0..=10_u64).prop_map(|(at, n)| Happening::Learn(at, n)),
        (place.clone(), 0..5000_u64).prop_map(|(at, ms)| Happening::Cool(at, ms)),
        place.clone().prop_map(Happening::Bar),
        (place.clone(), 0..5000_u64).prop_map(|(at, ms)| Happening::Park(at, ms)),
        place.prop_map(Happening::Renew),
        (0..3000_u64).prop_map(Happening::Pass),
    ]
}

proptest! {
    #[test]
    fn a_key_that_is_out_or_cooling_is_never_picked(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut ring = KeyRing::new(10);
        // What is known beside the ring: barred, parked until, cooling until.
        let mut known = [(false, NOW, NOW); 10];
        let mut now = NOW;
        for happening in happenings {
            let then = |ms: u64| now.plus(Duration::from_millis(ms));
            match happening {
                Happening::Learn(at, n) => ring.learn(at, M, &left(n, 10, 1000), now),
                Happening::Cool(at, ms) => {
                    ring.cool(at, M, now, then(ms));
                    known[at].2 = known[at].2.max(then(ms));
                }
                Happening::Bar(at) => {
                    ring.bar(at, "401");
                    known[at].0 = true;
                }
                Happening::Park(at, ms) => {
                    ring.park(at, now, then(ms), "quota");
                    known[at].1 = then(ms);
                }
                Happening::Renew(at) => {
                    ring.renew(at, true);
                    known[at] = (false, NOW, NOW);
                }
                Happening::Pass(ms) => now = then(ms),
            }
            let usable = |(barred, parked, cooling): &(bool, Timestamp, Timestamp)| {
                !barred && *parked <= now && *cooling <= now
            };
            match ring.pick(M, now, &[]) {
                Pick::Key(at) => prop_assert!(usable(&known[at]), "{at} of {known:?} at {now:?}"),
                _ => prop_assert!(!known.iter().any(usable), "none of {known:?} at {now:?}"),
            }
        }
    }

    #[test]
    fn of_ten_keys_the_one_with_something_left_is_picked(which in 0..10_usize, turns in 0..10, n in 1..=100_u64) {
        let mut ring = KeyRing::new(10);
        for _ in 0..turns {
            ring.pick(M, NOW, &[]);
        }
        for at in 0..10 {
            ring.learn(at, M, &left(if at == which { n } else { 0 }, 100, 60_000), NOW);
        }
        prop_assert_eq!(ring.pick(M, NOW, &[]), Pick::Key(which));
    }
}

#[test]
fn a_key_without_the_model_goes_last_and_is_known_for_it() {
    let (mut ring, later) = (KeyRing::new(3), NOW.plus(Duration::from_mins(1)));
    ring.miss(0, "m", NOW, later);
    ring.miss(2, "m", NOW, later);
    assert!(!ring.all_lack("m", NOW));
    assert_eq!(
        [0, 1].map(|_| ring.pick("m", NOW, &[])),
        [Pick::Key(1), Pick::Key(1)]
    );
    assert_eq!(
        ring.pick("m", NOW, &[1]),
        Pick::Key(2),
        "rather than none at all"
    );
    ring.miss(1, "m", NOW, later);
    assert!(ring.all_lack("m", NOW) && !ring.all_lack("other", NOW) && !ring.all_lack("m", later));
    assert!(
        matches!(ring.pick("m", NOW, &[]), Pick::Key(_)),
        "who insists is let through"
    );
    ring.bar(0, "no such key");
    assert!(ring.all_lack("m", NOW), "a key that is out says nothing");
    assert!(!KeyRing::new(0).all_lack("m", NOW));
}
