//! A ledger that cannot be used: one clear line with the mend, nothing sent, nothing lost.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use support::home::run;
use support::scene::{KEY, Running, Scene, one_error};
use support::server::{Answer, Gate, Script};

const ASK: [&str; 4] = ["ask", "another", "-m", "gpt-5-mini"];
const OTHER_USER: u32 = 65_534;
/// A lock is waited for; the rest is quick.
const LONG: Duration = Duration::from_secs(30);

/// A scene with one question asked and paid for.
fn used() -> (Scene, PathBuf) {
    let scene = Scene::with(
        Script::always(Answer::text("ok")),
        "[budget]\nper_day = 1\n",
    );
    scene
        .run(&["ask", "first", "-m", "gpt-5-mini"])
        .assert_code(0);
    let file = scene.home.data_dir().join("chat.db");
    // What was written last lies in the log; the last one to close brings it home.
    Connection::open(&file)
        .unwrap()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    (scene, file)
}

fn spent(scene: &Scene) -> String {
    let budget = scene.json(&["budget", "show", "--json"]);
    assert_eq!(budget["open"], serde_json::json!([]));
    let day = budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == "day")
        .unwrap();
    day["settled_usd"].as_str().unwrap().to_owned()
}

/// Asks in vain, then puts it right and asks again.
#[track_caller]
fn refused_until_mended(scene: &Scene, command: Command, words: &[&str], mend: impl FnOnce()) {
    let error = one_error(&run(command, b"", LONG), 1);
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert_eq!(scene.server.chats().len(), 1, "nothing was sent: {error}");
    mend();
    assert_eq!(spent(scene), "0.0000065", "nothing is lost");
    scene.run(&ASK).assert_code(0);
    assert_eq!(
        (spent(scene).as_str(), scene.server.chats().len()),
        ("0.000013", 2)
    );
}

#[test]
fn a_ledger_that_another_program_keeps_locked() {
    let (scene, file) = used();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let words = ["nothing was sent", "locked", "try again"];
    refused_until_mended(&scene, scene.command(&ASK), &words, || {
        other.execute_batch("ROLLBACK").unwrap();
    });
}

#[test]
fn a_ledger_from_the_future() {
    let (scene, file) = used();
    let version = |n: i64| {
        Connection::open(&file)
            .unwrap()
            .pragma_update(None, "user_version", n)
            .unwrap();
    };
    version(99);
    let words = ["format 99", "install the newer version"];
    refused_until_mended(&scene, scene.command(&ASK), &words, || version(4));
}

#[test]
fn a_ledger_that_is_damaged_cut_short_or_another_programs() {
    let garbage = |file: &Path| {
        let db = fs::OpenOptions::new().write(true).open(file).unwrap();
        db.write_all_at(&[0xa5; 4096], 0).unwrap();
    };
    let cut = |file: &Path| fs::write(file, &fs::read(file).unwrap()[..300]).unwrap();
    let theirs = |file: &Path| {
        fs::remove_file(file).unwrap();
        Connection::open(file)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (x)")
            .unwrap();
    };
    let broken: [(_, fn(&Path), _); 3] = [
        ("garbage", garbage, "damaged"),
        ("cut", cut, "damaged"),
        ("theirs", theirs, "another program"),
    ];
    for (name, spoil, words) in broken {
        let (scene, file) = used();
        let backup = scene.home.file("backup.db", fs::read(&file).unwrap());
        spoil(&file);
        let spoilt = fs::read(&file).unwrap();
        let words = [words, "nothing was changed", "--data-dir"];
        refused_until_mended(&scene, scene.command(&ASK), &words, || {
            assert_eq!(fs::read(&file).unwrap(), spoilt, "{name}: left as it was");
            fs::copy(&backup, &file).unwrap();
        });
    }
}

#[test]
fn a_ledger_whose_page_of_charges_is_damaged() {
    let (scene, file) = used();
    let db = Connection::open(&file).unwrap();
    let page: u32 = db
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'charges'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let size: u32 = db
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .unwrap();
    drop(db);
    let backup = scene.home.file("backup.db", fs::read(&file).unwrap());
    let raw = fs::OpenOptions::new().write(true).open(&file).unwrap();
    raw.write_all_at(
        &vec![0xa5; usize::try_from(size).unwrap()],
        u64::from((page - 1) * size),
    )
    .unwrap();
    refused_until_mended(&scene, scene.command(&ASK), &["damaged", "backup"], || {
        fs::copy(&backup, &file).unwrap();
    });
}

/// The program after `first` in a shell, with the signal ignored that would say that a file may not grow.
fn after(scene: &Scene, first: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_chat-agent");
    let script = format!("trap '' XFSZ; {first} exec '{program}' \"$@\"");
    let mut command = scene.home.command("/bin/sh");
    command
        .env("OPENAI_API_KEY", KEY)
        .args(["-c", &script, "sh"])
        .args(ASK);
    command
}

#[test]
fn a_disk_without_room() {
    let (scene, file) = used();
    // No file of this process may grow beyond four kilobytes.
    let command = after(&scene, "ulimit -f 8;");
    refused_until_mended(
        &scene,
        command,
        &["chat.db", "the room on its disk"],
        || assert!(file.exists()),
    );
}

/// The same program for a user whom rights bind: root could write anywhere.
fn bound_by_rights(scene: &Scene) -> Command {
    if !rustix::process::geteuid().is_root() {
        return scene.command(&ASK);
    }
    let program = scene.home.work_dir().join("chat-agent");
    fs::copy(env!("CARGO_BIN_EXE_chat-agent"), &program).unwrap();
    let mut command = scene.home.command(program);
    command
        .env("OPENAI_API_KEY", KEY)
        .args(ASK)
        .uid(OTHER_USER)
        .gid(OTHER_USER);
    let mut waiting = vec![scene.home.path().to_owned()];
    while let Some(path) = waiting.pop() {
        chown(&path, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    command
}

#[test]
fn a_ledger_or_a_folder_that_may_only_be_read() {
    for of_folder in [false, true] {
        let (scene, file) = used();
        let path = if of_folder {
            scene.home.data_dir()
        } else {
            file
        };
        let command = bound_by_rights(&scene);
        let before = fs::metadata(&path).unwrap().permissions();
        let mode = if of_folder { 0o500 } else { 0o400 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        refused_until_mended(&scene, command, &["chat.db", "--data-dir"], || {
            fs::set_permissions(&path, before).unwrap();
        });
    }
}

/// Spoils the ledger in the middle of an answer, and lets the answer come to its end.
#[track_caller]
fn spoilt_while_it_streams(
    words: &[&str],
    spoil: impl FnOnce(&Running, &Connection),
    mend: impl FnOnce(&Connection),
) {
    let gate = Gate::new();
    let answer = Answer::text("abcdefgh").usage(10, 4).gate_after(2, &gate);
    let scene = Scene::with(
        Script::each([answer, Answer::text("ok")]),
        "[budget]\nper_day = 1\n",
    );
    let mut running = Running::start(after(&scene, ""));
    running.wait_for("abcd");
    let other = Connection::open(scene.home.data_dir().join("chat.db")).unwrap();
    spoil(&running, &other);
    gate.open();
    let output = running.end();
    assert_eq!(output.stdout, "abcdefgh\n", "the answer is shown");
    let error = one_error(&output, 1);
    for word in ["its whole reservation stays charged", "chat.db"]
        .iter()
        .chain(words)
    {
        assert!(error.contains(word), "{word}: {error}");
    }
    mend(&other);
    let budget = scene.json(&["budget", "show", "--json"]);
    let day = budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == "day")
        .unwrap();
    let open = budget["open"].as_array().unwrap();
    assert_eq!(
        (open.len(), &open[0]["state"], &open[0]["usd"]),
        (1, &"open".into(), &day["reserved_usd"]),
        "{budget}"
    );
    scene.ok(&[
        "budget",
        "settle",
        open[0]["id"].as_str().unwrap(),
        "--usd",
        "0.0000105",
    ]);
    assert_eq!(spent(&scene), "0.0000105");
    scene.run(&ASK).assert_code(0);
}

#[test]
fn a_ledger_that_is_locked_while_the_answer_comes() {
    let lock = |_: &Running, other: &Connection| other.execute_batch("BEGIN IMMEDIATE").unwrap();
    spoilt_while_it_streams(&["locked"], lock, |other| {
        other.execute_batch("ROLLBACK").unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_while_the_answer_comes() {
    use rustix::process::{Resource, Rlimit, prlimit};
    let full = |running: &Running, _: &Connection| {
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        prlimit(Some(running.id()), Resource::Fsize, none).unwrap();
    };
    spoilt_while_it_streams(&["the room on its disk"], full, |_| {});
}
