use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const UP: RequestOutcome = RequestOutcome::Succeeded;
const DOWN: RequestOutcome = RequestOutcome::Failed(None);

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn health(circuit: Circuit, seconds: f64, in_flight: u32) -> EndpointHealth {
    EndpointHealth {
        circuit,
        seconds,
        in_flight,
    }
}

/// An address whose circuit opens at this second.
fn break_down(endpoints: &Endpoints, index: usize, second: u64) {
    for _ in 0..5 {
        endpoints
            .acquire(Some(index), &[], at(second), [0.0; 2])
            .unwrap()
            .record(DOWN, at(second), 0.0);
    }
}

#[test]
fn of_two_by_chance_the_quicker_one() {
    let closed = |seconds| health(Circuit::Closed, seconds, 0);
    let (open, half) = (
        health(Circuit::Open { until: at(9) }, 0.1, 0),
        health(Circuit::HalfOpen, 0.1, 0),
    );
    for (name, healths, past, dice, expected) in [
        ("one", vec![closed(9.0)], vec![], [0.9, 0.9], Some(0)),
        (
            "of two always the quicker",
            vec![closed(0.2), closed(0.1)],
            vec![],
            [0.0, 0.0],
            Some(1),
        ),
        (
            "whichever is drawn first",
            vec![closed(0.2), closed(0.1)],
            vec![],
            [0.9, 0.0],
            Some(1),
        ),
        (
            "of three the quicker of those drawn",
            vec![closed(0.3), closed(0.2), closed(0.1)],
            vec![],
            [0.0, 0.0],
            Some(1),
        ),
        (
            "as quick: the first drawn",
            vec![closed(0.1), closed(0.1)],
            vec![],
            [0.9, 0.0],
            Some(1),
        ),
        (
            "busy is slow",
            vec![health(Circuit::Closed, 0.1, 4), closed(0.3)],
            vec![],
            [0.0, 0.0],
            Some(1),
        ),
        (
            "an open circuit is not asked",
            vec![open, closed(9.0)],
            vec![],
            [0.0, 0.0],
            Some(1),
        ),
        (
            "half-open only when nothing else is there",
            vec![half, closed(9.0)],
            vec![],
            [0.0, 0.0],
            Some(1),
        ),
        ("but then", vec![half, open], vec![], [0.9, 0.9], Some(0)),
        (
            "what was left stays left",
            vec![closed(0.1), closed(9.0)],
            vec![0],
            [0.0, 0.0],
            Some(1),
        ),
        (
            "all left",
            vec![closed(0.1), closed(9.0)],
            vec![0, 1],
            [0.0, 0.0],
            None,
        ),
        ("all open", vec![open, open], vec![], [0.0, 0.0], None),
        ("none", vec![], vec![], [0.0, 0.0], None),
    ] {
        assert_eq!(choose(&healths, &past, dice), expected, "{name}");
    }
}

#[test]
fn an_average_follows_what_is_new_and_fades_when_nothing_is() {
    let mut latency = LatencyAverage::default();
    let unknown = latency.seconds(NOW);
    latency.record(1.0, NOW);
    assert!((latency.seconds(NOW) - 1.0).abs() < 1e-9 && unknown < 0.01);
    latency.record(2.0, NOW);
    assert!((latency.seconds(NOW) - 1.3).abs() < 1e-9, "{latency:?}");
    let later = latency.seconds(at(600));
    assert!((later - 1.3 / std::f64::consts::E).abs() < 1e-9, "{later}");
    latency.record(2.0, at(6_000));
    assert!(
        (latency.seconds(at(6_000)) - 2.0).abs() < 0.01,
        "what is old says nothing: {latency:?}"
    );
    assert!((latency.seconds(at(60_000)) - unknown).abs() < 1e-9);
}

#[test]
fn the_quicker_address_gets_the_requests() {
    let endpoints = Endpoints::new(2);
    let mut seen = [0; 2];
    for n in 0..40 {
        let dice = if n % 2 == 0 { [0.0, 0.0] } else { [0.9, 0.0] };
        let permit = endpoints.acquire(None, &[], at(n), dice).unwrap();
        seen[permit.index] += 1;
        permit.headers_after(
            Duration::from_millis(if permit.index == 0 { 800 } else { 90 }),
            at(n),
        );
        permit.record(UP, at(n), 0.0);
    }
    assert!(seen[0] <= 2 && seen[1] >= 38, "{seen:?}");
}

#[test]
fn one_that_failed_is_left_alone_long_before_its_circuit_opens() {
    let endpoints = Endpoints::new(2);
    let permit = endpoints.acquire(Some(0), &[], NOW, [0.0; 2]).unwrap();
    permit.record(DOWN, NOW, 0.0);
    drop(permit);
    let permit = endpoints.acquire(None, &[], at(1), [0.0; 2]).unwrap();
    assert_eq!(permit.index, 1);
}

#[test]
fn the_same_one_again_unless_it_is_shut() {
    let endpoints = Endpoints::new(2);
    assert_eq!(
        endpoints
            .acquire(Some(1), &[], NOW, [0.0; 2])
            .unwrap()
            .index,
        1
    );
    break_down(&endpoints, 1, 0);
    assert_eq!(
        endpoints
            .acquire(Some(1), &[], NOW, [0.9; 2])
            .unwrap()
            .index,
        0
    );
    assert_eq!(
        endpoints.circuit(NOW),
        Circuit::Closed,
        "of the provider, the best"
    );
    assert!(endpoints.has_other(&[1], NOW) && !endpoints.has_other(&[0], NOW));
    break_down(&endpoints, 0, 2);
    assert_eq!(
        endpoints.acquire(None, &[], at(3), [0.0; 2]).unwrap_err(),
        CircuitRejection::Until(at(5)),
        "the sooner"
    );
    assert_eq!(endpoints.circuit(at(3)), Circuit::Open { until: at(5) });
    assert_eq!(endpoints.circuit(at(5)), Circuit::HalfOpen);
}

#[test]
fn what_may_work_again_is_tried_while_another_works() {
    let endpoints = Endpoints::new(2);
    let tries =
        |past: &[usize], second: u64| endpoints.trial(past, at(second)).map(|permit| permit.index);
    assert_eq!(tries(&[], 0), None, "all is well");
    break_down(&endpoints, 0, 0);
    assert_eq!(
        (tries(&[], 4), tries(&[], 5)),
        (None, Some(0)),
        "when its time has come"
    );
    assert_eq!(
        (tries(&[0], 5), tries(&[1], 5)),
        (None, None),
        "it was left, or there is nothing to fall back on"
    );
    let trial = endpoints.trial(&[], at(5)).unwrap();
    assert!(trial.trial && trial.probe == Some(1));
    assert_eq!(tries(&[], 5), None, "one at a time");
    assert_eq!(
        endpoints.acquire(None, &[], at(5), [0.0; 2]).unwrap().index,
        1,
        "and no request waits for it"
    );
    // The list of models came to nothing: tried again when the circuit allows.
    trial.probe_failed(at(5), 0.0);
    drop(trial);
    assert_eq!((tries(&[], 14), tries(&[], 15)), (None, Some(0)));
    // The request itself was lost: while another works, it is spared for a while.
    endpoints
        .trial(&[], at(15))
        .unwrap()
        .record(DOWN, at(15), 0.0);
    assert_eq!(
        endpoints
            .acquire(Some(0), &[], at(60), [0.0; 2])
            .unwrap()
            .probe,
        Some(3),
        "which does not close it to requests"
    );
    assert_eq!((tries(&[], 614), tries(&[], 615)), (None, Some(0)));
    break_down(&endpoints, 1, 616);
    assert_eq!(
        tries(&[], 621),
        None,
        "both may work again: one of them is chosen"
    );
}

#[test]
fn an_address_that_is_back_is_as_quick_as_it_is_now() {
    let endpoints = Endpoints::new(2);
    break_down(&endpoints, 0, 0);
    let other = endpoints.acquire(Some(1), &[], at(0), [0.0; 2]).unwrap();
    other.headers_after(Duration::from_millis(800), at(0));
    other.record(UP, at(0), 0.0);
    let trial = endpoints.trial(&[], at(5)).unwrap();
    trial.headers_after(Duration::from_millis(90), at(5));
    assert!(trial.first_piece(at(5)));
    drop((trial, other));
    for dice in [[0.0, 0.0], [0.9, 0.0]] {
        assert_eq!(endpoints.acquire(None, &[], at(6), dice).unwrap().index, 0);
    }
}

#[test]
fn of_two_that_race_for_the_half_open_place_one_gets_it() {
    let endpoints = Endpoints::new(1);
    break_down(&endpoints, 0, 0);
    let first = endpoints.acquire(None, &[], at(5), [0.0; 2]).unwrap();
    assert_eq!(first.probe, Some(1));
    assert_eq!(
        endpoints.acquire(None, &[], at(5), [0.0; 2]).unwrap_err(),
        CircuitRejection::Probing
    );
    drop(first);
    let second = endpoints.acquire(None, &[], at(6), [0.0; 2]).unwrap();
    assert_eq!(
        second.probe,
        Some(1),
        "a probe that was dropped gives its place back"
    );
    second.record(UP, at(6), 0.0);
    assert_eq!(endpoints.circuit(at(6)), Circuit::Closed);
    drop(second);
    assert!(
        endpoints
            .acquire(None, &[], at(6), [0.0; 2])
            .unwrap()
            .probe
            .is_none()
    );
}

#[test]
fn the_first_part_of_an_answer_closes_the_circuit_and_its_end_still_counts() {
    let endpoints = Endpoints::new(1);
    break_down(&endpoints, 0, 0);
    let permit = endpoints.acquire(None, &[], at(5), [0.0; 2]).unwrap();
    assert!(
        permit.first_piece(at(5)) && !permit.first_piece(at(5)),
        "by the first part alone"
    );
    assert_eq!(endpoints.circuit(at(5)), Circuit::Closed);
    let others: Vec<_> = (0..4)
        .map(|_| endpoints.acquire(None, &[], at(5), [0.0; 2]).unwrap())
        .collect();
    for other in &others {
        other.record(DOWN, at(6), 0.0);
    }
    assert_eq!(endpoints.circuit(at(6)), Circuit::Closed);
    permit.record(DOWN, at(6), 0.0);
    assert_eq!(
        endpoints.circuit(at(6)),
        Circuit::Open { until: at(11) },
        "it was cut, as the fifth"
    );
    // Told once is told.
    permit.record(UP, at(6), 0.0);
    drop((permit, others));
    assert_eq!(endpoints.healths(at(6))[0].in_flight, 0);
}
