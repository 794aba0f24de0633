use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp(1_800_000_000_000);
const FAILS: RequestOutcome = RequestOutcome::Failed(None);

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn open(seconds: u64) -> Circuit {
    Circuit::Open { until: at(seconds) }
}

/// One request at this second with this outcome; `false`: it was not let through.
fn asks(breaker: &mut Breaker, second: u64, outcome: RequestOutcome) -> bool {
    let Ok(permit) = breaker.admit(at(second)) else {
        return false;
    };
    breaker.record(permit, outcome, at(second), 0.0);
    true
}

/// A breaker that opened at second 0.
fn opened() -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..MIN_OUTCOMES {
        assert!(asks(&mut breaker, 0, FAILS));
    }
    assert_eq!(breaker.state(at(0)), open(5));
    breaker
}

#[test]
fn when_it_opens() {
    use RequestOutcome::{Refused, Succeeded};
    let mixed = |n: usize, every: usize| -> Vec<(u64, RequestOutcome)> {
        (0..n)
            .map(|i| (0, if i % every == 0 { FAILS } else { Succeeded }))
            .collect()
    };
    for (name, outcomes, opens) in [
        ("four failures are too few", vec![(0, FAILS); 4], false),
        ("five are enough", vec![(0, FAILS); 5], true),
        (
            "half of them",
            vec![
                (0, Succeeded),
                (0, Succeeded),
                (0, Succeeded),
                (1, FAILS),
                (2, FAILS),
                (3, FAILS),
            ],
            true,
        ),
        ("one in three", mixed(40, 3), false),
        ("refusals are no failures", vec![(0, Refused); 50], false),
        (
            "and do not hide any",
            [vec![(0, Refused); 50], vec![(1, FAILS); 5]].concat(),
            true,
        ),
        (
            "spread over more than a minute",
            (0..20).map(|i| (i * 16, FAILS)).collect(),
            false,
        ),
        (
            "five within a minute",
            (0..5).map(|i| (i * 15, FAILS)).collect(),
            true,
        ),
        (
            "what was good long ago does not count",
            [vec![(0, Succeeded); 90], vec![(70, FAILS); 5]].concat(),
            true,
        ),
    ] {
        let mut breaker = Breaker::default();
        let last = outcomes.last().unwrap().0;
        for (second, outcome) in outcomes {
            asks(&mut breaker, second, outcome);
        }
        assert_eq!(breaker.state(at(last)) != Circuit::Closed, opens, "{name}");
    }
}

#[test]
fn how_long_it_is_open() {
    let secs = Duration::from_secs;
    for (times, asked, dice, expected) in [
        (1, None, 0.0, secs(5)),
        (1, None, 1.0, Duration::from_millis(6250)),
        (2, None, 0.0, secs(10)),
        (5, None, 0.0, secs(80)),
        (6, None, 0.0, secs(120)),
        (40, None, 1.0, secs(120)),
        (1, Some(secs(30)), 0.0, secs(30)),
        (5, Some(secs(30)), 0.0, secs(80)),
        (1, Some(secs(86_400)), 0.0, secs(600)),
    ] {
        assert_eq!(
            opening(times, asked, dice),
            expected,
            "{times} {asked:?} {dice}"
        );
    }
}

#[test]
fn open_then_one_request_then_closed_or_open_for_twice_as_long() {
    let mut breaker = opened();
    assert_eq!(breaker.admit(at(4)), Err(CircuitRejection::Until(at(5))));
    assert_eq!(breaker.state(at(5)), Circuit::HalfOpen);
    let permit = breaker.admit(at(5)).unwrap();
    assert_eq!(permit.probe, Some(1));
    assert_eq!(
        breaker.admit(at(5)),
        Err(CircuitRejection::Probing),
        "one at a time"
    );
    breaker.record(permit, FAILS, at(6), 0.0);
    assert_eq!(breaker.state(at(6)), open(16));
    assert!(!asks(&mut breaker, 15, RequestOutcome::Succeeded));
    assert!(asks(&mut breaker, 16, RequestOutcome::Succeeded));
    assert_eq!(breaker.state(at(16)), Circuit::Closed);
    for _ in 0..MIN_OUTCOMES - 1 {
        asks(&mut breaker, 17, FAILS);
    }
    assert_eq!(
        breaker.state(at(17)),
        Circuit::Closed,
        "what was before is forgotten"
    );
    asks(&mut breaker, 17, FAILS);
    assert_eq!(
        breaker.state(at(17)),
        open(22),
        "and the time is the shortest again"
    );
}

#[test]
fn a_server_that_only_refuses_is_there_again() {
    let mut breaker = opened();
    assert!(asks(&mut breaker, 5, RequestOutcome::Refused));
    assert_eq!(breaker.state(at(5)), Circuit::Closed);
}

#[test]
fn a_request_that_was_not_made_gives_its_place_to_the_next() {
    let mut breaker = opened();
    let permit = breaker.admit(at(5)).unwrap();
    breaker.release(permit, at(7));
    assert_eq!(breaker.state(at(7)), Circuit::HalfOpen);
    let permit = breaker.admit(at(7)).unwrap();
    breaker.record(permit, FAILS, at(8), 0.0);
    assert_eq!(
        breaker.state(at(8)),
        open(18),
        "it counts as if the first had never been"
    );
}

#[test]
fn what_was_sent_before_a_change_says_nothing_of_the_time_since() {
    let mut breaker = Breaker::default();
    let mut late = || breaker.admit(at(0)).unwrap();
    let (one, two) = (late(), late());
    for _ in 0..MIN_OUTCOMES {
        asks(&mut breaker, 0, FAILS);
    }
    breaker.record(one, RequestOutcome::Succeeded, at(1), 0.0);
    assert_eq!(breaker.state(at(1)), open(5));
    let probe = breaker.admit(at(5)).unwrap();
    breaker.release(two, at(5));
    assert_eq!(
        breaker.admit(at(5)),
        Err(CircuitRejection::Probing),
        "only the probe's own place can be given back"
    );
    breaker.record(probe, RequestOutcome::Succeeded, at(6), 0.0);
    assert_eq!(breaker.state(at(6)), Circuit::Closed);
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_it_open() {
    let breaker = opened();
    assert_eq!(
        breaker.state(Timestamp(START.0 - 3_600_000)),
        Circuit::HalfOpen
    );
}

/// S15: a primary that is down, with a way round it. Fifteen requests, one after the other, one a second.
#[test]
fn a_dead_primary_is_left_alone() {
    let mut breaker = Breaker::default();
    let mut seen = 0;
    for second in 0..15 {
        // One try and one retry, as `decide` has it.
        seen += u32::from(asks(&mut breaker, second, FAILS))
            + u32::from(asks(&mut breaker, second, FAILS));
    }
    assert!(seen <= 8, "{seen} attempts; one without a breaker made 45");
}

/// What may happen to a breaker: a request asks for a permit, a request ends, time passes.
#[derive(Debug, Clone)]
enum Step {
    Ask,
    Succeeds(usize),
    Refuses(usize),
    Fails(usize, u16),
    GivesUp(usize),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Ask),
        1 => any::<usize>().prop_map(Step::Succeeds),
        1 => any::<usize>().prop_map(Step::Refuses),
        4 => (any::<usize>(), 0..400u16).prop_map(|(n, asked)| Step::Fails(n, asked)),
        1 => any::<usize>().prop_map(Step::GivesUp),
        2 => (0..30_000u16).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn never_more_than_one_is_out_in_half_open(steps in prop::collection::vec(step(), 0..300), dice in 0.0..1.0) {
        let (mut breaker, mut now) = (Breaker::default(), START);
        let mut out: Vec<BreakerPermit> = Vec::new();
        for step in steps {
            let mut take = |n: usize| if out.is_empty() { None } else { Some(out.remove(n % out.len())) };
            match step {
                Step::Ask => match (breaker.state(now), breaker.admit(now)) {
                    (Circuit::Closed, Ok(permit)) => {
                        prop_assert!(permit.probe.is_none());
                        out.push(permit);
                    }
                    (Circuit::HalfOpen, Ok(permit)) => {
                        prop_assert!(permit.probe.is_some());
                        out.push(permit);
                    }
                    (Circuit::HalfOpen, Err(CircuitRejection::Probing)) => {}
                    (Circuit::Open { until }, Err(CircuitRejection::Until(time))) => prop_assert_eq!(until, time),
                    (state, admitted) => prop_assert!(false, "{:?}: {:?}", state, admitted),
                },
                Step::Succeeds(n) => if let Some(permit) = take(n) {
                    let decides = permit.epoch == breaker.epoch;
                    breaker.record(permit, RequestOutcome::Succeeded, now, dice);
                    prop_assert!(!decides || breaker.state(now) == Circuit::Closed, "closed again after success");
                },
                Step::Refuses(n) => if let Some(permit) = take(n) { breaker.record(permit, RequestOutcome::Refused, now, dice) },
                Step::Fails(n, asked) => if let Some(permit) = take(n) {
                    let asked = Some(Duration::from_secs(asked.into()));
                    breaker.record(permit, RequestOutcome::Failed(asked), now, dice);
                },
                Step::GivesUp(n) => if let Some(permit) = take(n) { breaker.release(permit, now) },
                Step::Pass(ms) => now = now.plus(Duration::from_millis(ms.into())),
            }
            let probes = out.iter().filter(|permit| permit.probe.is_some() && permit.epoch == breaker.epoch).count();
            prop_assert!(probes <= 1, "{} probes are out", probes);
            prop_assert_eq!(breaker.rejection(now) == Some(CircuitRejection::Probing), probes == 1, "the one probe is under way");
            prop_assert!(breaker.recent.len() <= MAX_OUTCOMES);
            if let Circuit::Open { until } = breaker.state(now) {
                prop_assert!(until.since(now) <= MAX_RETRY_AFTER.max(MAX_OPENING));
            }
        }
    }
}

#[test]
fn what_the_next_process_takes_over() {
    let later = |outage: &Option<Outage>, second: u64| {
        let mut breaker = Breaker::default();
        if let Some(outage) = outage {
            breaker.restore(outage, at(second));
        }
        breaker
    };
    let mut breaker = Breaker::default();
    assert_eq!(breaker.outage(), None);
    for _ in 0..4 {
        asks(&mut breaker, 0, FAILS);
    }
    let four = breaker.outage();
    // One more opens it, unless the four are long past, or were never.
    for (second, state) in [(1, open(6)), (60, open(65)), (61, Circuit::Closed)] {
        let mut next = later(&four, second);
        assert!(asks(&mut next, second, FAILS));
        assert_eq!(next.state(at(second)), state, "{second} s later");
    }
    asks(&mut breaker, 1, RequestOutcome::Succeeded);
    assert_eq!(breaker.outage(), None, "it works");
    // Open stays open, then half-open, and the next time twice as long.
    let open_one = opened().outage();
    assert_eq!(later(&open_one, 4).state(at(4)), open(5));
    let mut next = later(&open_one, 6);
    assert_eq!(next.state(at(6)), Circuit::HalfOpen);
    assert!(asks(&mut next, 6, FAILS));
    assert_eq!(next.state(at(6)), open(16));
    // A clock that was ahead has written a time that no circuit sets; what is known here already is not overruled.
    let ahead = Outage {
        open: Some((at(3_600), 1)),
        ..Outage::default()
    };
    assert_eq!(later(&Some(ahead.clone()), 0).state(at(0)), Circuit::Closed);
    let mut known = Breaker::default();
    asks(&mut known, 0, RequestOutcome::Succeeded);
    known.restore(&open_one.unwrap(), at(0));
    assert_eq!(known.state(at(0)), Circuit::Closed);
}
