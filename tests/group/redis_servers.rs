//! Every kind of Redis: a cluster, TLS, a user with few rights, a prefix; and those that are none.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use support::home::{Home, Output, run};
use support::redis::RedisServer;
use support::scene::KEY;
use support::server::{Answer, Script, Server};

/// What the guide says a user of Redis needs.
const RIGHTS: [&str; 11] = [
    "+getrange",
    "+set",
    "+del",
    "+eval",
    "+time",
    "+hget",
    "+hset",
    "+hdel",
    "+hincrby",
    "+pexpireat",
    "+info",
];

/// Machines with the answers and the budget of a group on this Redis; a request costs exactly $0.10.
struct Team {
    server: Server,
    one: Home,
    two: Home,
}

impl Team {
    /// `more` stands under `[redis]`.
    fn at(url: &str, more: &str) -> Self {
        let server =
            Server::start(Script::always(Answer::text("abcd").usage(10, 1000)).keys([KEY]));
        let team = Self {
            server,
            one: Home::new(),
            two: Home::new(),
        };
        // A busy machine is no slow Redis, except where that is the matter.
        let patience = if more.contains("patience") {
            ""
        } else {
            "patience = \"30s\"\n"
        };
        for home in [&team.one, &team.two] {
            home.config(&format!(
                "[cache]\npatience = \"10s\"\n[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"KEY\" }}]\n[[models]]\n\
                 id = \"mine/m\"\ninput = 0\noutput = 100\ncontext = 100000\nmax_output = 1000\n[redis]\n\
                 url = \"{url}\"\nsecret = {{ env = \"SECRET\" }}\n{patience}{more}\n",
                team.server.base_url(),
            ));
        }
        team
    }

    fn ask(home: &Home, question: &str) -> Output {
        let mut command = home.chat_agent();
        command
            .env("KEY", KEY)
            .env("SECRET", "a-secret-of-the-whole-team");
        command.args([
            "ask",
            "-m",
            "mine/m",
            "--max-output",
            "1000",
            "--json",
            question,
        ]);
        run(command, b"", support::PATIENCE)
    }

    /// Answers and budget are shared: the second machine gets the first one's answer, and what is left of the group's
    /// quarter is two dimes for both.
    #[track_caller]
    fn shares(&self) {
        assert_eq!(
            Self::ask(&self.one, "a").assert_code(0).json()["cache"]["hit"],
            "none"
        );
        assert_eq!(
            Self::ask(&self.two, "a").assert_code(0).json()["cache"]["hit"],
            "redis"
        );
        Self::ask(&self.two, "b").assert_code(0);
        for home in [&self.one, &self.two] {
            let refused = Self::ask(home, "c");
            refused.assert_code(3);
            assert!(refused.stderr.contains("group"), "{refused:#?}");
        }
        assert_eq!(self.server.chats().len(), 2);
    }

    /// The answer comes, and one line says why it is not shared.
    #[track_caller]
    fn says(&self, words: &str) {
        let answered = Self::ask(&self.one, "a");
        answered.assert_code(0);
        let lines: Vec<&str> = answered.stderr.trim().lines().collect();
        assert!(
            lines.len() == 1 && lines[0].contains(words),
            "{words}: {lines:?}"
        );
        assert!(!answered.stderr.contains("hunter2"), "{lines:?}");
    }
}

const QUARTER: &str = "budget_group = \"team\"\nper_day = 0.25";

fn a_cluster_shares_answers_and_the_budget() {
    let redis = RedisServer::cluster();
    Team::at(&redis.url(), &format!("cluster = true\n{QUARTER}")).shares();
    let kept = redis.keys();
    assert!(
        kept.iter().any(|key| key.contains("budget:{team}")),
        "{kept:?}"
    );
    // A cluster of several nodes redirects a client that asks the wrong node: that needs the setting.
    redis.tell(&["CLUSTER", "DELSLOTSRANGE", "0", "16383"]);
    Team::at(&redis.url(), "").says("Redis");
}

fn tls_with_an_authority_of_ones_own() {
    let redis = RedisServer::tls("good", &[]);
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/ca.pem");
    let trusting = format!("[network]\nextra_ca_file = \"{}\"\n", ca.display());
    Team::at(&redis.tls_url(), &format!("{QUARTER}\n{trusting}")).shares();
    assert!(
        redis
            .keys()
            .iter()
            .any(|key| key.starts_with("chat-agent:answer:")),
        "{:?}",
        redis.keys()
    );
    Team::at(&redis.tls_url(), "").says("extra_ca_file");
    // A server without TLS.
    Team::at(
        &redis.url().replace("redis:", "rediss:"),
        &format!("{SOON}\n{trusting}"),
    )
    .says("Redis");
    for (certificate, words) in [("expired", "has expired"), ("other", "for another host")] {
        let redis = RedisServer::tls(certificate, &[]);
        Team::at(&redis.tls_url(), &trusting).says(words);
        assert!(redis.keys().is_empty(), "{certificate}");
    }
}

fn a_user_with_few_rights_and_a_prefix_suffices() {
    let redis = RedisServer::start();
    redis.tell(
        &[
            &["ACL", "SETUSER", "chat", "on", ">hunter2", "~ours:*"][..],
            &RIGHTS,
        ]
        .concat(),
    );
    let url = redis.url().replace("redis://", "redis://chat:hunter2@");
    Team::at(&url, &format!("prefix = \"ours:\"\n{QUARTER}")).shares();
    let kept = redis.keys();
    assert!(
        !kept.is_empty() && kept.iter().all(|key| key.starts_with("ours:")),
        "{kept:?}"
    );
    let cluster = RedisServer::cluster();
    let more = ["+cluster|slots", "+ping", "+asking"];
    cluster.tell(
        &[
            &["ACL", "SETUSER", "chat", "on", ">hunter2", "~ours:*"][..],
            &RIGHTS,
            &more,
        ]
        .concat(),
    );
    let at = cluster.url().replace("redis://", "redis://chat:hunter2@");
    Team::at(
        &at,
        &format!("cluster = true\nprefix = \"ours:\"\n{QUARTER}"),
    )
    .shares();
    // Nothing is lent while it is unknown whether the server was restarted.
    redis.tell(&["ACL", "SETUSER", "chat", "-info"]);
    let blind = Team::at(
        &url,
        &format!("prefix = \"ours:\"\n{QUARTER}").replace("0.25", "9.25"),
    );
    let refused = Team::ask(&blind.one, "d");
    refused.assert_code(3);
    assert!(
        refused.stderr.contains("rights") && refused.stderr.trim().lines().count() == 1,
        "{refused:#?}"
    );
    // The same user elsewhere, and a password that is none.
    Team::at(&url, "prefix = \"theirs:\"").says("rights");
    Team::at(&url.replace("hunter2", "hunter22"), "prefix = \"ours:\"").says("password");
    Team::at(
        &redis.url().replace("redis://", "redis://stranger:hunter2@"),
        "",
    )
    .says("password");
    redis.tell(&["CONFIG", "SET", "requirepass", "hunter2"]);
    Team::at(&redis.url(), "").says("password");
}

fn a_key_of_another_type_costs_the_group_nothing_and_is_left_as_it_is() {
    let redis = RedisServer::start();
    let team = Team::at(&redis.url(), QUARTER);
    Team::ask(&team.one, "a").assert_code(0);
    let budget = redis
        .keys()
        .into_iter()
        .find(|key| key.contains("budget:"))
        .unwrap();
    redis.tell(&["DEL", &budget]);
    redis.tell(&["SET", &budget, "mine"]);
    let refused = Team::ask(&team.two, "b");
    refused.assert_code(3);
    assert!(
        refused.stderr.contains("prefix") && refused.stderr.trim().lines().count() == 1,
        "{refused:#?}"
    );
    assert_eq!(redis.tell(&["GET", &budget]), ["mine"]);
}

/// Long enough to read an answer, and soon over where none is to be had.
const SOON: &str = "patience = \"1s\"";

/// A server that answers every request with this, and keeps the connection.
fn nonsense(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut heard = [0; 4096];
                while stream.read(&mut heard).is_ok_and(|bytes| bytes > 0)
                    && stream.write_all(answer).is_ok()
                {}
            });
        }
    });
    port
}

fn a_server_that_answers_nonsense_is_done_without_and_gets_no_money() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x00\xff\xfe garbage",
        b"+OK\r\n+OK\r\n+OK\r\n",
        b"*-1\r\n",
        b"$5\r\nhello\r\n",
        b"-ERR \x1b[31munknown command\r\n",
    ] {
        let port = nonsense(answer);
        let team = Team::at(&format!("redis://127.0.0.1:{port}"), SOON);
        let answered = Team::ask(&team.one, "a");
        answered.assert_code(0);
        assert!(
            answered.stderr.contains("Redis") && !answered.stderr.contains('\x1b'),
            "{answer:?}: {answered:#?}"
        );
        assert!(
            answered.stderr.lines().all(|line| line.contains("Redis")),
            "{answer:?}: {answered:#?}"
        );
        let group = Team::at(
            &format!("redis://127.0.0.1:{port}"),
            &format!("{SOON}\n{QUARTER}"),
        );
        let refused = Team::ask(&group.one, "a");
        refused.assert_code(3);
        assert!(group.server.chats().is_empty(), "{answer:?}");
    }
}

fn an_address_that_is_none_is_refused_with_its_place() {
    for (url, words) in [
        ("http://localhost", "redis://"),
        ("localhost:6379", "redis://"),
        ("redis://", "redis://"),
        ("redis://localhost:99999", "redis://"),
        ("redis://localhost/first", "redis://"),
    ] {
        let team = Team::at(url, "");
        let refused = Team::ask(&team.one, "a");
        assert!(refused.code() == Some(2), "{url}: {refused:#?}");
        assert!(
            refused.stderr.contains("config.toml:14:7") && refused.stderr.contains(words),
            "{url}: {refused:#?}"
        );
    }
    let unreachable = Team::at("redis://127.0.0.1:1", "");
    unreachable.says("the connection is refused");
}

tests![
    a_cluster_shares_answers_and_the_budget,
    tls_with_an_authority_of_ones_own,
    a_user_with_few_rights_and_a_prefix_suffices,
    a_key_of_another_type_costs_the_group_nothing_and_is_left_as_it_is,
    a_server_that_answers_nonsense_is_done_without_and_gets_no_money,
    an_address_that_is_none_is_refused_with_its_place,
];
