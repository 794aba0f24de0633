//! What `doctor` says of Redis.

use crate::support::redis::RedisServer;
use crate::support::scene::Scene;

fn doctor_names_the_owner_of_the_cache_and_says_whether_redis_answers() {
    let mut redis = RedisServer::start();
    redis.tell(&["ACL", "SETUSER", "chat", "on", ">hunter2", "~*", "+@all"]);
    let url = redis.url().replace("redis://", "redis://chat:hunter2@");
    let scene = Scene::saying("ok");
    scene.config(&format!(
        "[redis]\nurl = \"{url}\"\npatience = \"30s\"\nbudget_group = \"team\"\nper_day = 5\n"
    ));
    scene.ok(&["ask", "hi", "-m", "gpt-5-mini"]);
    let page = scene.ok(&["doctor"]).stdout;
    let line = |page: &str, name: &str| {
        page.lines()
            .find(|line| line[4..].starts_with(name))
            .unwrap()
            .to_owned()
    };
    let owner = line(&page, "cache");
    assert!(
        owner.contains("held by process ") && owner.contains(" connected"),
        "{page}"
    );
    let (up, at) = (line(&page, "redis"), format!("@127.0.0.1:{}", redis.port()));
    assert!(
        up.starts_with("ok") && up.contains(&at) && up.contains("answers in "),
        "{page}"
    );
    assert!(up.ends_with("budget of the group team"), "{page}");
    redis.kill();
    let away = scene.ok(&["doctor"]);
    let down = line(&away.stdout, "redis");
    assert!(
        down.starts_with("!!") && down.contains(&at) && down.contains("Redis cannot be reached"),
        "{down}"
    );
    assert!(!format!("{page}{}{}", away.stdout, away.stderr).contains("hunter2"));
}

tests![doctor_names_the_owner_of_the_cache_and_says_whether_redis_answers,];
