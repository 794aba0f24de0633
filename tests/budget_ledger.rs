//! A ledger that cannot be used: one clear line with the mend, nothing sent, nothing lost.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use support::home::run;
use support::scene::{KEY, Scene, one_error};
use support::server::{Answer, Script};

const ASK: [&str; 4] = ["ask", "another", "-m", "gpt-5-mini"];
const NOBODY: u32 = 65_534;
/// A lock is waited for; the rest is quick.
const LONG: Duration = Duration::from_secs(30);

/// A scene with one question asked and paid for.
fn used() -> (Scene, PathBuf) {
    let scene = Scene::with(Script::always(Answer::text("ok")), "[budget]\nper_day = 1\n");
    scene.run(&["ask", "first", "-m", "gpt-5-mini"]).assert_code(0);
    let file = scene.home.data_dir().join("chat.db");
    // What was written last lies in the log; the last one to close brings it home.
    Connection::open(&file).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    (scene, file)
}

fn spent(scene: &Scene) -> String {
    let budget = scene.json(&["budget", "show", "--json"]);
    assert_eq!(budget["open"], serde_json::json!([]));
    let day = budget["scopes"].as_array().unwrap().iter().find(|s| s["scope"] == "day").unwrap();
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
    assert_eq!((spent(scene).as_str(), scene.server.chats().len()), ("0.000013", 2));
}

#[test]
fn a_ledger_that_another_program_keeps_locked() {
    let (scene, file) = used();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let words = ["nothing was sent", "locked", "try again"];
    refused_until_mended(&scene, scene.command(&ASK), &words, || other.execute_batch("ROLLBACK").unwrap());
}

#[test]
fn a_ledger_from_the_future() {
    let (scene, file) = used();
    let version = |n: i64| Connection::open(&file).unwrap().pragma_update(None, "user_version", n).unwrap();
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
        Connection::open(file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    };
    let broken: [(_, fn(&Path), _); 3] =
        [("garbage", garbage, "damaged"), ("cut", cut, "damaged"), ("theirs", theirs, "another program")];
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
    let page: u32 =
        db.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'charges'", [], |row| row.get(0)).unwrap();
    let size: u32 = db.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(db);
    let backup = scene.home.file("backup.db", fs::read(&file).unwrap());
    let raw = fs::OpenOptions::new().write(true).open(&file).unwrap();
    raw.write_all_at(&vec![0xa5; usize::try_from(size).unwrap()], u64::from((page - 1) * size)).unwrap();
    refused_until_mended(&scene, scene.command(&ASK), &["damaged", "backup"], || {
        fs::copy(&backup, &file).unwrap();
    });
}

#[test]
fn a_disk_without_room() {
    let (scene, file) = used();
    // No file of this process may grow beyond four kilobytes, and the signal that would say so is ignored.
    let program = env!("CARGO_BIN_EXE_chat-agent");
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{program}' \"$@\"");
    let mut command = scene.home.command("/bin/sh");
    command.env("OPENAI_API_KEY", KEY).args(["-c", &script, "sh"]).args(ASK);
    refused_until_mended(&scene, command, &["chat.db", "the room on its disk"], || assert!(file.exists()));
}

/// The same program for a user whom rights bind: root could write anywhere.
fn bound_by_rights(scene: &Scene) -> Command {
    if !rustix::process::geteuid().is_root() {
        return scene.command(&ASK);
    }
    let program = scene.home.work_dir().join("chat-agent");
    fs::copy(env!("CARGO_BIN_EXE_chat-agent"), &program).unwrap();
    let mut command = scene.home.command(program);
    command.env("OPENAI_API_KEY", KEY).args(ASK).uid(NOBODY).gid(NOBODY);
    let mut waiting = vec![scene.home.path().to_owned()];
    while let Some(path) = waiting.pop() {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    command
}

#[test]
fn a_ledger_or_a_folder_that_may_only_be_read() {
    for of_folder in [false, true] {
        let (scene, file) = used();
        let path = if of_folder { scene.home.data_dir() } else { file };
        let command = bound_by_rights(&scene);
        let before = fs::metadata(&path).unwrap().permissions();
        let mode = if of_folder { 0o500 } else { 0o400 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        refused_until_mended(&scene, command, &["chat.db", "--data-dir"], || {
            fs::set_permissions(&path, before).unwrap();
        });
    }
}
