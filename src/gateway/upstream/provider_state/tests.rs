use super::*;
use crate::config;
use crate::provider::{Sent, providers};

const NOW: Timestamp = Timestamp(1_000_000);

fn route(keys: Vec<KeySource>) -> ProviderState {
    let mine = config::ProviderConfig {
        name: "mine".into(),
        base_urls: vec!["https://a.example".into()],
        keys: keys.into_iter().map(Into::into).collect(),
        ..config::ProviderConfig::default()
    };
    let all = providers(&[mine], &Env::default()).unwrap();
    ProviderState::new(
        all.into_iter()
            .find(|provider| provider.name == "mine")
            .unwrap(),
        1,
    )
}

fn model() -> ModelId {
    ModelId::new("mine", "m")
}

fn error(class: ErrorClass, of_account: bool) -> WireError {
    WireError {
        of_account,
        ..WireError::new(class, Sent::Refused, "the server said no")
    }
}

async fn taken(route: &ProviderState, env: &Env) -> Result<String, String> {
    match route.key(env, &model(), Instant::now(), NOW, &[]).await {
        Ok(key) => Ok(key.shown()),
        Err(NoKey::Failed(failure)) => Err(format!("{failure} ({:?})", failure.hint)),
        Err(NoKey::Wait(_)) => Err("wait".into()),
        Err(NoKey::AllSkipped) => Err("passed".into()),
    }
}

#[cfg(unix)]
fn write(path: &std::path::Path, key: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, key).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_was_edited_in_its_file_is_fresh_at_the_next_question() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    write(&file, "sk-old-key-1111");
    let (route, env) = (route(vec![KeySource::File(file.clone())]), Env::default());
    let asked = Instant::now();
    let key = route
        .key(&env, &model(), asked, NOW, &[])
        .await
        .ok()
        .unwrap();
    assert_eq!(key.shown(), "…1111");
    route.judge(&key, &error(ErrorClass::InvalidKey, false), NOW);
    write(&file, "sk-new-key-2222");
    let again = route.key(&env, &model(), asked, NOW, &[]).await;
    assert!(
        again.is_err(),
        "the same question does not read the file again"
    );
    assert_eq!(taken(&route, &env).await, Ok("…2222".into()));
    // What comes late of the old key says nothing of the new one.
    route.judge(&key, &error(ErrorClass::InvalidKey, false), NOW);
    assert_eq!(taken(&route, &env).await, Ok("…2222".into()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_cools_for_long_may_be_replaced_and_is_not_read_again_for_a_short_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    for (seconds, expected) in [(30, Err("wait".to_owned())), (90, Ok("…2222".to_owned()))] {
        write(&file, "sk-old-key-1111");
        let (route, env) = (route(vec![KeySource::File(file.clone())]), Env::default());
        let asked = Instant::now();
        let key = route
            .key(&env, &model(), asked, NOW, &[])
            .await
            .ok()
            .unwrap();
        route.cool(&key, &model(), NOW, NOW.plus(Duration::from_secs(seconds)));
        write(&file, "sk-new-key-2222");
        assert!(
            route.key(&env, &model(), asked, NOW, &[]).await.is_err(),
            "not for the same question"
        );
        assert_eq!(taken(&route, &env).await, expected, "{seconds} s");
    }
    // A cool-down from another machine: a user who was told of it and sends again may have put another key there.
    write(&file, "sk-old-key-1111");
    let (route, env) = (route(vec![KeySource::File(file.clone())]), Env::default());
    assert_eq!(taken(&route, &env).await, Ok("…1111".into()));
    route.with_ring(|ring| ring.cool(0, "m", NOW, NOW.plus(Duration::from_secs(90))));
    assert_eq!(taken(&route, &env).await, Err("wait".into()));
    write(&file, "sk-new-key-2222");
    assert_eq!(taken(&route, &env).await, Ok("…2222".into()));
}

#[cfg(unix)]
#[tokio::test]
async fn an_unchanged_key_stays_out_and_its_error_names_it_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    write(&file, "sk-old-key-1111");
    let env = Env::from_pairs([("K", "sk-old-key-3333")]);
    for (source, class, of_account, words) in [
        (
            KeySource::File(file.clone()),
            ErrorClass::InvalidKey,
            false,
            vec!["…1111", "key and send again"],
        ),
        (
            KeySource::Env("K".into()),
            ErrorClass::Forbidden,
            false,
            vec!["…3333", "into K and start again"],
        ),
        (
            KeySource::Env("K".into()),
            ErrorClass::QuotaExceeded,
            true,
            vec!["…3333", "raise the limit"],
        ),
        (
            KeySource::Env("K".into()),
            ErrorClass::NoCredit,
            false,
            vec!["…3333", "raise the limit"],
        ),
    ] {
        let route = route(vec![source]);
        let key = route
            .key(&env, &model(), Instant::now(), NOW, &[])
            .await
            .ok()
            .unwrap();
        route.judge(&key, &error(class, of_account), NOW);
        let text = taken(&route, &env).await.unwrap_err();
        assert!(
            words.iter().all(|word| text.contains(word)) && text.contains("the server said no"),
            "{text}"
        );
        assert!(!text.contains("sk-old"), "{text}");
    }
}

#[tokio::test]
async fn a_key_that_two_sources_hold_is_exhausted_at_both() {
    let env = Env::from_pairs([
        ("A", "sk-one-key-1111"),
        ("B", "sk-one-key-1111"),
        ("D", "sk-two-key-2222"),
    ]);
    let route = route(
        ["A", "B", "C", "D"]
            .map(|name| KeySource::Env(name.into()))
            .to_vec(),
    );
    let key = route
        .key(&env, &model(), Instant::now(), NOW, &[])
        .await
        .ok()
        .unwrap();
    assert_eq!((key.index, key.shown()), (0, "…1111".into()));
    route.judge(&key, &error(ErrorClass::InvalidKey, false), NOW);
    for _ in 0..3 {
        assert_eq!(taken(&route, &env).await, Ok("…2222".into()));
    }
    let found: Vec<_> = route
        .found_keys()
        .into_iter()
        .map(|key| (key.last4, key.entry.source))
        .collect();
    let key = |last4: &str, name: &str| (last4.to_owned(), KeySource::Env(name.into()));
    assert_eq!(
        found,
        [key("…1111", "A"), key("…1111", "B"), key("…2222", "D")],
        "C holds none"
    );
}

#[tokio::test]
async fn a_key_that_two_sources_hold_counts_once_and_cools_at_both() {
    let env = Env::from_pairs([("A", "sk-one-key-1111"), ("B", "sk-one-key-1111")]);
    let route = route(["A", "B"].map(|name| KeySource::Env(name.into())).to_vec());
    let key = route
        .key(&env, &model(), Instant::now(), NOW, &[])
        .await
        .ok()
        .unwrap();
    let other = |route: &ProviderState| {
        route
            .with_ring(|ring| ring.has_other(key.index, "m", &[], NOW))
            .unwrap()
    };
    assert!(
        !other(&route),
        "a limit that one has met has no other key to go to"
    );
    route.cool(&key, &model(), NOW, NOW.plus(Duration::from_secs(30)));
    assert_eq!(taken(&route, &env).await, Err("wait".into()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_two_sources_held_stays_exhausted_when_one_source_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    write(&file, "sk-old-key-1111");
    let env = Env::from_pairs([("A", "sk-old-key-1111")]);
    let route = route(vec![
        KeySource::File(file.clone()),
        KeySource::Env("A".into()),
    ]);
    let key = route
        .key(&env, &model(), Instant::now(), NOW, &[])
        .await
        .ok()
        .unwrap();
    route.judge(&key, &error(ErrorClass::InvalidKey, false), NOW);
    write(&file, "sk-new-key-2222");
    for _ in 0..2 {
        assert_eq!(
            taken(&route, &env).await,
            Ok("…2222".into()),
            "the old one is not tried again from A"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_of_several_keys_is_told_once_and_stays_known() {
    let env = Env::from_pairs([("A", "two words"), ("B", "sk-two-key-2222")]);
    let route = route(
        ["A", "B", "C"]
            .map(|name| KeySource::Env(name.into()))
            .to_vec(),
    );
    assert_eq!(
        (taken(&route, &env).await, taken(&route, &env).await),
        (Ok("…2222".into()), Ok("…2222".into()))
    );
    let [told] = &route.untold_key_errors()[..] else {
        panic!("one line for the one that is wrong")
    };
    assert!(
        told.starts_with("mine goes on with its other keys: the key in A has white space"),
        "{told}"
    );
    assert!(route.untold_key_errors().is_empty());
    assert_eq!(route.key_errors().len(), 1);
}

#[tokio::test]
async fn a_failure_that_a_key_is_to_blame_for_names_it() {
    let env = Env::from_pairs([("A", "sk-one-key-1111")]);
    let route = route(vec![KeySource::Env("A".into())]);
    let key = route
        .key(&env, &model(), Instant::now(), NOW, &[])
        .await
        .ok()
        .unwrap();
    for (class, named) in [
        (ErrorClass::InvalidKey, true),
        (ErrorClass::Forbidden, true),
        (ErrorClass::NoCredit, true),
        (ErrorClass::QuotaExceeded, true),
        (ErrorClass::ServerError, false),
        (ErrorClass::RateLimited, false),
    ] {
        let failure = Failure::new(FailureKind::Request, "no");
        let hint = key
            .naming(failure, &error(class.clone(), false))
            .hint
            .unwrap_or_default();
        assert_eq!(
            hint.contains("the key …1111 from A"),
            named,
            "{class:?}: {hint}"
        );
    }
}
