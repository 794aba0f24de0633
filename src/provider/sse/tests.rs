use proptest::prelude::*;

use super::*;

/// Name and data.
type Owned = (String, String);

fn push(
    decoder: &mut SseParser,
    bytes: &[u8],
    events: &mut Vec<Owned>,
) -> Result<(), EventTooLarge> {
    decoder.push(bytes, |event| {
        events.push((event.name.into_owned(), event.data.into_owned()));
        Ok(())
    })
}

fn decode(pieces: &[&[u8]]) -> Vec<Owned> {
    let (mut decoder, mut events) = (SseParser::default(), Vec::new());
    for piece in pieces {
        push(&mut decoder, piece, &mut events).unwrap();
    }
    let finished: Result<(), EventTooLarge> = decoder.finish(|event| {
        events.push((event.name.into_owned(), event.data.into_owned()));
        Ok(())
    });
    finished.unwrap();
    events
}

fn data(bytes: &[u8]) -> Vec<String> {
    decode(&[bytes]).into_iter().map(|(_, data)| data).collect()
}

const GOLDEN: &[&[u8]] = &[
    b"data: {\"a\":1}\n\ndata: [DONE]\n\n",
    b"\xef\xbb\xbfdata: first\r\n\r\ndata:second\r\n\r\n",
    b": ping\n\nevent: error\nid: 7\nretry: 10\ndata: one\ndata: two\n\n: OPENROUTER PROCESSING\n\ndata: last",
    b"data: old mac\r\rdata: mixed\r\n\ndata: ends\n\r\n",
    "data: Grüße, 世界 🦀\n\ndata: \u{feff}kept inside\n\n".as_bytes(),
    b"data: bad \xff byte\n\ndata: cut \xe4\xb8\n\n",
    b"data\n\ndata:\ndata:\n\nnonsense\n\nfoo: bar\n\ndata:  two spaces\n\n",
];

#[test]
fn events_as_the_servers_write_them() {
    for (bytes, expected) in [
        (&b"data: a\n\n"[..], vec!["a"]),
        (b"data:a\n\n", vec!["a"]),
        (b"data: a\ndata: b\n\n", vec!["a\nb"]),
        (b"\xef\xbb\xbfdata: a\r\n\r\n", vec!["a"]),
        (b"data: a\r\rdata: b\r\r", vec!["a", "b"]),
        (b": hello\n\ndata: a\n\n", vec!["a"]),
        (b"id: 1\nunknown: x\ndata: a\n\n", vec!["a"]),
        (b"data: no blank line", vec!["no blank line"]),
        (b"data: no blank line\n", vec!["no blank line"]),
        (b"data: \xff!\n\n", vec!["\u{fffd}!"]),
        (b"error: {\"code\":500}\n\n", vec!["{\"code\":500}"]),
        (b"error\n\nerror:\n\n", vec![]),
        (b"id: a\0b\nretry: 10\ndata: a\n\n", vec!["a"]),
        (b"data:\n\n", vec![]),
        (b"event: ping\n\n", vec![]),
        (b"", vec![]),
    ] {
        assert_eq!(
            data(bytes),
            expected,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn a_name_belongs_to_its_own_event_only() {
    let events = decode(&[b"event: error\ndata: a\n\ndata: b\n\n"]);
    assert_eq!(events[0].0, "error");
    assert_eq!(events[1].0, "");
}

#[test]
fn comments_are_counted_and_are_not_events() {
    let (mut decoder, mut events) = (SseParser::default(), Vec::new());
    push(&mut decoder, b": one\n:two\n\n: three\n", &mut events).unwrap();
    assert_eq!((decoder.comments(), events.len()), (3, 0));
}

#[test]
fn any_split_in_two_gives_the_same_events() {
    for golden in GOLDEN {
        let whole = decode(&[golden]);
        for at in 0..=golden.len() {
            let (left, right) = golden.split_at(at);
            assert_eq!(
                decode(&[left, right]),
                whole,
                "{:?} split at {at}",
                String::from_utf8_lossy(golden)
            );
        }
    }
}

#[test]
fn an_event_above_the_cap_is_refused_and_memory_stays_bounded() {
    let piece = vec![b'x'; 64 * 1024];
    let (mut decoder, mut events) = (SseParser::default(), Vec::new());
    push(&mut decoder, b"data: ", &mut events).unwrap();
    let failed = (0..1000).position(|_| push(&mut decoder, &piece, &mut events).is_err());
    assert_eq!(failed, Some(63), "refused with the piece that passes 4 MiB");
    assert!(decoder.line.capacity() <= 2 * EVENT_CAP);
    // The same for many short lines of one event.
    let (mut decoder, line) = (SseParser::default(), b"data: 0123456789\n".repeat(4096));
    assert!((0..1000).any(|_| push(&mut decoder, &line, &mut events).is_err()));
    assert!(decoder.data.capacity() <= 2 * EVENT_CAP);
}

#[test]
fn a_line_twice_as_long_is_scanned_twice_as_far() {
    let scanned = |length: usize| {
        let (mut decoder, mut events) = (SseParser::default(), Vec::new());
        let mut bytes = b"data: ".to_vec();
        bytes.resize(length, b'x');
        for piece in bytes.chunks(100) {
            push(&mut decoder, piece, &mut events).unwrap();
        }
        decoder.scanned
    };
    assert_eq!(scanned(1_000_000), 1_000_000);
    assert_eq!(scanned(2_000_000), 2_000_000);
}

proptest! {
    #[test]
    fn any_split_in_many_gives_the_same_events(
        which in 0..GOLDEN.len(),
        cuts in prop::collection::vec(0usize..200, 0..12),
    ) {
        let golden = GOLDEN[which];
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(golden.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&golden[from..cut]);
            from = cut;
        }
        pieces.push(&golden[from..]);
        prop_assert_eq!(decode(&pieces), decode(&[golden]));
    }

    #[test]
    fn random_bytes_never_panic_and_never_depend_on_the_split(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..300),
        at in 0usize..300,
    ) {
        let (left, right) = bytes.split_at(at.min(bytes.len()));
        prop_assert_eq!(decode(&[left, right]), decode(&[&bytes]));
    }
}
