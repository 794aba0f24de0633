//! The terminal, with programs that are known to do what they do.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::home::{Home, run};
use crate::support::terminal::sequences::{Allowed, assert_only_known_sequences, foreign};
use crate::support::terminal::{Nature, Status, Terminal};

fn sh(home: &Home, script: &str) -> Terminal {
    let mut command = home.command("/bin/sh");
    command.args(["-c", script]);
    Terminal::spawn(&command, 60, 10)
}

#[test]
fn what_is_typed_is_on_the_screen() {
    let home = Home::new();
    let terminal = Terminal::spawn(&home.command("/bin/cat"), 40, 5);
    terminal.send("hello");
    terminal.wait_for("hello");
    assert_eq!(
        (terminal.cursor(), terminal.screen().lines().next()),
        ((5, 0), Some("hello"))
    );
    let mark = terminal.mark();
    terminal.key("Enter");
    terminal.wait_until("the echo of cat", |screen| {
        screen.contents().matches("hello").count() == 2
    });
    terminal.wait_for_bytes(mark, b"hello\r\n");
    assert_eq!(terminal.bytes_since(mark), b"\r\nhello\r\n");
    terminal.paste("a\nb");
    terminal.key("Enter");
    let twice = |screen: &vt100::Screen| {
        ["a", "b"]
            .iter()
            .all(|x| screen.contents().matches(x).count() == 2)
    };
    terminal.wait_until("both lines twice", twice);
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert!(terminal.first_byte().unwrap() <= terminal.first_paint().unwrap());
    assert_only_known_sequences(&terminal.raw_output());
}

#[test]
fn the_environment_is_sealed() {
    let home = Home::new();
    let terminal = Terminal::spawn(&home.command("/usr/bin/env"), 200, 50);
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    let screen = terminal.screen();
    let mut names: Vec<_> = screen
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    let mut expected: Vec<_> = home
        .environment()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let inside = format!("HOME={}", home.path().display());
    assert!(screen.contains(&inside), "{inside} in {screen}");
}

#[test]
fn sizes_signals_and_ends_reach_the_program() {
    let home = Home::new();
    let terminal = sh(
        &home,
        "trap 'stty size' WINCH; trap 'echo told; exit 7' TERM; echo ready; while :; do read x; done",
    );
    terminal.wait_for("ready");
    terminal.resize(72, 9);
    terminal.wait_for("9 72");
    assert_eq!(
        terminal.look(vt100::Screen::size),
        (9.try_into().unwrap(), 72.try_into().unwrap())
    );
    terminal.resize(0, 0);
    terminal.wait_until("one cell", |screen| screen.size().0.get() == 1);
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.wait_exit(), Status::Exited(7));
    assert!(
        String::from_utf8(terminal.raw_output())
            .unwrap()
            .contains("told")
    );
    let terminal = sh(&home, "echo ready; read x");
    terminal.wait_for("ready");
    terminal.signal(Signal::KILL);
    assert_eq!(terminal.wait_exit(), Status::Killed(Signal::KILL.as_raw()));
}

#[test]
fn stopping_and_going_on_are_seen() {
    let home = Home::new();
    let terminal = sh(&home, "echo ready; kill -STOP $$; echo back");
    terminal.wait_stopped();
    terminal.signal(Signal::CONT);
    terminal.wait_for("back");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
}

#[test]
fn a_mode_that_is_left_behind_shows() {
    let home = Home::new();
    let terminal = sh(
        &home,
        "echo ready; read x; stty raw -echo; echo changed; read x; stty sane; echo sane; read x",
    );
    terminal.wait_for("ready");
    let before = terminal.modes();
    terminal.send("\n");
    terminal.wait_for("changed");
    assert_ne!(terminal.modes(), before);
    terminal.send("\n");
    terminal.wait_for("sane");
    assert_eq!(terminal.modes().local, before.local);
}

#[test]
fn the_terminal_answers_questions() {
    let home = Home::new();
    let mut command = home.command("/bin/sh");
    // Each answer is read byte by byte as far as its last character is due, and shown without its escapes.
    command.args([
        "-c",
        r"stty raw -echo; printf 'ab\033[6n'; a=$(dd bs=1 count=6 2>/dev/null | tr -d '\033');
        printf '\033[c'; b=$(dd bs=1 count=9 2>/dev/null | tr -d '\033');
        printf '\033]11;?\007'; c=$(dd bs=1 count=25 2>/dev/null | tr -d '\033');
        printf '\033[?u'; d=$(dd bs=1 count=5 2>/dev/null | tr -d '\033'); printf '\r\n%s %s %s %s' $a $b $c $d",
    ]);
    let nature = Nature {
        background: Some((255, 255, 255)),
        kitty: true,
    };
    let terminal = Terminal::spawn_in(nature, &command, 80, 5);
    terminal.wait_for("[1;3R [?62;22c ]11;rgb:ffff/ffff/ffff\\ [?0u");
}

#[test]
fn a_stalled_terminal_blocks_its_program() {
    let home = Home::new();
    let terminal = sh(
        &home,
        "read x; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo done",
    );
    terminal.stall();
    terminal.send("\n");
    terminal.wait_for_bytes(0, b"\n");
    terminal.wait_quiet(Duration::from_millis(100));
    assert!(
        terminal.mark() < 500_000,
        "{} bytes were taken",
        terminal.mark()
    );
    terminal.go_on();
    terminal.wait_for("done");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
}

#[test]
#[should_panic(expected = "the program ended before: \"never\" on the screen")]
fn waiting_for_a_dead_program_ends_at_once() {
    let home = Home::new();
    sh(&home, "echo bye").wait_for("never");
}

#[test]
fn a_program_that_will_not_go_is_ended() {
    let home = Home::new();
    let terminal = sh(&home, "trap '' HUP; echo ready; while :; do read x; done");
    terminal.wait_for("ready");
    let program = format!("/proc/{}", terminal.pid());
    assert_eq!(terminal.end(), Status::Killed(Signal::KILL.as_raw()));
    assert!(!std::path::Path::new(&program).exists());
}

#[test]
fn drawing_is_known_and_everything_else_is_foreign() {
    let ours = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J\x1b[1;1H\x1b[38;2;1;2;3mhé\x1b[0m\x1b[K\x1b[?2026h\x1b[?2026l\x1b[>1u\
        \x1b[<1u\x1b[?u\x1b[c\x1b]11;?\x1b\\\x1b[6n\x1b[5 q\x1b7\x1b8\r\n\x1b[?1000;1006h\x1b[?1004l\x1b[?25h\x1b[?1049l";
    assert_only_known_sequences(ours.as_bytes());
    for (bytes, name) in [
        ("\x1b]52;c;aGk=\x07", "OSC 52 c aGk="),
        ("\x1b]0;title\x07", "OSC 0 title"),
        ("\x1b]8;;http://x\x1b\\", "OSC 8  http://x"),
        ("\x1b[21t", "CSI 21 t"),
        ("\x1b[?1005h", "CSI ?1005 h"),
        ("\x1b[?25;47h", "CSI ?25;47 h"),
        ("\x1bP$qm\x1b\\", "DCS $q"),
        ("\x1b_Gx\x1b\\", "APC"),
        ("\x1bc", "ESC c"),
        ("\x07", "control 0x07"),
        ("\u{9b}2J", "control 0x9b"),
        ("\u{202E}", "U+202E"),
        ("x\x1b[3", "a sequence that does not end"),
        ("x\x1b]11;?", "a sequence that does not end"),
    ] {
        let found = foreign(bytes.as_bytes(), Allowed::default());
        assert!(
            found.iter().any(|f| f == name),
            "{} gave {found:?}",
            bytes.escape_debug()
        );
    }
    let open = Allowed {
        clipboard: true,
        title: true,
        bell: true,
    };
    assert_eq!(
        foreign(b"\x1b]52;c;aGk=\x07\x1b]2;chat-agent\x07\x07", open),
        Vec::<String>::new()
    );
    assert!(
        !foreign(b"\x1b]52;c;?\x07", open).is_empty(),
        "reading the clipboard is never ours to ask"
    );
}

#[test]
fn a_run_has_its_output_and_its_deadline() {
    let home = Home::new();
    let mut command = home.command("/bin/sh");
    command.args(["-c", "cat; echo err >&2; exit 3"]);
    let output = run(command, b"in", Duration::from_secs(10));
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("in", "err\n")
    );
    output.assert_code(3);
    assert!(
        home.chat_agent()
            .get_program()
            .to_string_lossy()
            .ends_with("chat-agent")
    );
    assert_eq!(
        home.config("model = \"auto\"").config_file(),
        home.path().join("config/chat-agent/config.toml")
    );
}

#[test]
#[should_panic(expected = "did not end within")]
fn a_run_that_hangs_is_killed() {
    let home = Home::new();
    let mut command = home.command("/bin/sleep");
    command.arg("60");
    run(command, b"", Duration::from_millis(50));
}
