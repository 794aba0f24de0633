//! Stopping, quitting, going away for a while.

use rustix::process::Signal;

use crate::support::screen::{Place, say};
use crate::support::server::{Answer, Outcome, Script};
use crate::support::terminal::{Status, Terminal};

#[test]
fn ctrl_c_stops_then_puts_aside_then_quits() {
    let place = Place::new(Script::always(Answer::text("without end").hang_after(2)));
    let terminal = place.open(&[], 80, 24);
    say(&terminal, "go");
    terminal.wait_for("   witho");
    terminal.key("Ctrl-C");
    terminal.wait_for("interrupted");
    assert_eq!(
        place.server.wait_for_outcomes(1)[0].outcome,
        Some(Outcome::ClientGone)
    );
    terminal.send("a draft");
    terminal.wait_for("› a draft");
    terminal.key("Ctrl-C");
    terminal.wait_for("draft put aside: Up brings it back");
    terminal.wait_for("› ask something");
    terminal.key("Up");
    terminal.wait_for("› a draft");
    terminal.key("Ctrl-C");
    terminal.wait_for("› ask something");
    terminal.key("Ctrl-C");
    terminal.wait_for("Ctrl-C again quits");
    // Any other key disarms.
    terminal.key("x");
    terminal.wait_gone("again quits");
    terminal.key("Backspace");
    terminal.wait_for("› ask something");
    terminal.key("Ctrl-C");
    terminal.wait_for("Ctrl-C again quits");
    terminal.key("Ctrl-C");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
}

#[test]
fn ctrl_d_quits_on_an_empty_input_only() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 80, 24);
    terminal.send("abc");
    terminal.wait_for("› abc");
    terminal.key("Home");
    terminal.key("Ctrl-D");
    terminal.wait_for("› bc");
    terminal.key("Ctrl-K");
    terminal.wait_for("› ask something");
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_takes_it_back() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let mut shell = place.command(&[]);
    let program = shell.get_program().to_str().unwrap().to_owned();
    let envs: Vec<_> = shell
        .get_envs()
        .map(|(k, v)| (k.to_owned(), v.unwrap().to_owned()))
        .collect();
    // A shell with job control; a program whose parent is not in its session cannot be stopped.
    shell = place.home.command("/bin/bash");
    shell.envs(envs).args([
        "-c",
        "set -m; echo ready; read x; \"$0\"; echo the shell is back; read x; fg >/dev/null",
        &program,
    ]);
    let terminal = Terminal::spawn(&shell, 80, 24);
    terminal.wait_for("ready");
    let before = terminal.modes();
    terminal.send("\n");
    terminal.wait_for("→ large");
    terminal.send("half a thought");
    terminal.wait_for("› half a thought");
    terminal.key("Ctrl-Z");
    terminal.wait_for("the shell is back");
    assert_eq!(terminal.modes(), before);
    assert!(
        !terminal.look(vt100::Screen::alternate_screen)
            && !terminal.look(vt100::Screen::bracketed_paste)
    );
    terminal.send("\n");
    terminal.wait_for("› half a thought");
    terminal.send(" and the rest");
    terminal.wait_for("› half a thought and the rest");
    terminal.key("Ctrl-C");
    terminal.wait_for("› ask something");
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert_eq!(terminal.modes(), before);
}

#[test]
fn a_signal_from_outside_is_heard_in_a_dialog_too() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 80, 24);
    terminal.key("Alt-P");
    terminal.wait_for("┌ models");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.wait_exit(), Status::Exited(143));
}
