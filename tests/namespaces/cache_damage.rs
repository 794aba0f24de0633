//! The answers on disks that are full or cannot be written to.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use std::fs;
use std::path::Path;

use crate::support::PATIENCE;
use crate::support::home::{Output, run};
use crate::support::scene::{KEY, Scene};

/// Runs a line in name spaces of its own, where `$DIR` may be mounted over.
fn apart(scene: &Scene, dir: &Path, line: &str) -> Output {
    let mut command = scene.home.command("unshare");
    command
        .args(["-Urm", "sh", "-c", line])
        .env("DIR", dir)
        .env("PROGRAM", env!("CARGO_BIN_EXE_chat-agent"))
        .env("OPENAI_API_KEY", KEY);
    run(command, b"", PATIENCE)
}

fn on_a_full_or_read_only_disk_answers_still_come() {
    let ask = "\"$PROGRAM\" ask hi -m gpt-5-mini && \"$PROGRAM\" ask hi -m gpt-5-mini";
    for mount in [
        "mount -t tmpfs -o size=64k tmpfs \"$DIR\"",
        "mount -t tmpfs -o size=64k tmpfs \"$DIR\" && head -c 70000 /dev/zero > \"$DIR/full\"; true",
        "mount --bind \"$DIR\" \"$DIR\" && mount -o remount,ro,bind \"$DIR\"",
    ] {
        let scene = Scene::saying("fine");
        let dir = scene.home.data_dir().join("cache");
        fs::create_dir_all(&dir).unwrap();
        let output = apart(&scene, &dir, &format!("{mount} && {ask}"));
        assert_eq!(
            (output.code(), output.stdout.as_str()),
            (Some(0), "fine\nfine\n"),
            "{mount}: {output:#?}"
        );
        assert!(output.stderr.lines().count() <= 2, "{mount}: {output:#?}");
        // The owner may have held the first answer in its memory, on its way to a disk that cannot take it.
        assert!((1..=2).contains(&scene.server.chats().len()), "{mount}");
    }
}

tests![on_a_full_or_read_only_disk_answers_still_come,];
