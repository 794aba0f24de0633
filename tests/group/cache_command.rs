//! `cache clear`, where answers are shared.

use serde_json::json;

use crate::support::PATIENCE;
use crate::support::home::run as run_to_end;
use crate::support::redis::RedisServer;
use crate::support::scene::Scene;

fn answers_that_others_share_are_forgotten_only_by_the_users_word() {
    const SECRET: &str = "a-secret-of-the-whole-team";
    let (redis, scene) = (RedisServer::start(), Scene::saying("Hello"));
    scene.config(&format!(
        "[redis]\nurl = \"{}\"\nsecret = {{ env = \"SECRET\" }}\npatience = \"30s\"\n",
        redis.url()
    ));
    let run = |args: &[&str]| {
        let mut command = scene.command(args);
        command.env("SECRET", SECRET);
        let output = run_to_end(command, b"", PATIENCE);
        output.assert_code(0);
        output
    };
    let ask = |question| {
        run(&["ask", question, "-m", "gpt-5-mini", "--json"]).json()["cache"]["hit"].clone()
    };
    assert_eq!([ask("one"), ask("two")], ["none", "none"]);
    assert_eq!(redis.keys().len(), 2, "{:?}", redis.keys());
    let prefix = redis.keys()[0].split("answer:").next().unwrap().to_owned();
    // Foreign keys: of another program, and of a user with another secret.
    let others = [
        format!("{prefix}answer:0123456789abcdef:0"),
        format!("{prefix}answers"),
        "answer:1".to_owned(),
    ];
    for name in &others {
        redis.tell(&["SET", name, "theirs"]);
    }
    let cleared = run(&["cache", "clear"]).stdout;
    assert!(
        cleared.starts_with("disk: 2 answers forgotten, "),
        "{cleared}"
    );
    assert!(cleared.ends_with(
        "\nredis: left as they are, others share them; `cache clear --shared` forgets them for everybody\n"
    ));
    assert_eq!(ask("one"), "redis");
    let cleared = run(&["cache", "clear", "--shared", "--json"]).json();
    assert_eq!(cleared[1], json!({"tier": "redis", "entries": 2}));
    let mut left = redis.keys();
    left.sort();
    let mut others = others.to_vec();
    others.sort();
    assert_eq!(left, others);
    assert_eq!(ask("one"), "none");
}

tests![answers_that_others_share_are_forgotten_only_by_the_users_word,];
