//! Flag over environment over file over built-in, and where files lie.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{
    Config, Env, KeyEntry, KeySource, Origin, Overrides, load, locate, settings, show,
};
use super::{Home, config};
use crate::chat::Usd;

#[test]
fn the_later_layer_wins_and_is_named() {
    let home = Home::with("model = \"from-file\"\n[limits]\nretries = 1\n");
    let flags = Overrides {
        model: Some("from-flag".to_owned()),
        ..Overrides::default()
    };
    let model = |overrides: &Overrides, env: &Env| {
        let loaded = load(overrides, env).unwrap();
        (loaded.config.model, loaded.provenance.of("model"))
    };
    let with_env = home.env(&[("CHAT_AGENT_MODEL", "from-env")]);
    let none = Overrides::default();
    assert_eq!(
        model(&none, &Home::new().env(&[])),
        ("auto".to_owned(), Origin::Default)
    );
    assert_eq!(
        model(&none, &home.env(&[])),
        ("from-file".to_owned(), Origin::File)
    );
    assert_eq!(
        model(&none, &home.env(&[("CHAT_AGENT_MODEL", "")])),
        ("from-file".to_owned(), Origin::File)
    );
    assert_eq!(
        model(&none, &with_env),
        ("from-env".to_owned(), Origin::Env)
    );
    assert_eq!(
        model(&flags, &with_env),
        ("from-flag".to_owned(), Origin::Flag)
    );
}

#[test]
fn every_flag_reaches_its_setting() {
    let overrides = Overrides {
        no_cache: true,
        system: Some("Be brief.".to_owned()),
        ..Overrides::default()
    };
    let loaded = load(&overrides, &Home::with("[cache]\nenabled = true").env(&[])).unwrap();
    assert!(!loaded.config.cache.enabled);
    assert_eq!(loaded.config.system.as_deref(), Some("Be brief."));
    let said: Vec<_> = loaded.provenance.iter().collect();
    assert_eq!(
        said,
        [("cache.enabled", Origin::Flag), ("system", Origin::Flag)]
    );
}

#[test]
fn a_wrong_flag_or_variable_is_named() {
    let home = Home::new();
    let blank = Overrides {
        model: Some(" ".to_owned()),
        ..Overrides::default()
    };
    for (overrides, variable, start) in [
        (&blank, "", "--model: expected a model's name"),
        (
            &Overrides::default(),
            "a b",
            "CHAT_AGENT_MODEL: expected a model's name",
        ),
    ] {
        let error = load(overrides, &home.env(&[("CHAT_AGENT_MODEL", variable)]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn with_no_file_the_built_in_settings_hold() {
    let home = Home::new();
    let loaded = home.load().unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(!loaded.locations.config_found);
    assert_eq!(loaded.locations.config_file, home.file());
    assert_eq!(loaded.provenance.iter().count(), 0);
}

#[test]
fn a_file_that_was_named_must_exist() {
    let home = Home::new();
    let by_flag = Overrides {
        config_file: Some("/nowhere/at/all.toml".into()),
        ..Overrides::default()
    };
    let by_variable = home.env(&[("CHAT_AGENT_CONFIG", "/nowhere/at/all.toml")]);
    for error in [
        load(&by_flag, &home.env(&[])).unwrap_err(),
        load(&Overrides::default(), &by_variable).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "/nowhere/at/all.toml: there is no such file"
        );
        assert!(error.hint().unwrap().contains("config init"));
    }
    // `config path` and `config init` ask for a place, not for a file.
    assert_eq!(
        locate(&by_flag, &home.env(&[])).unwrap().config_file,
        Path::new("/nowhere/at/all.toml")
    );
}

#[test]
fn places_come_from_flag_then_variable_then_platform() {
    let env = Env::from_pairs([
        ("CHAT_AGENT_CONFIG", "/v/c.toml"),
        ("CHAT_AGENT_DATA_DIR", "/v/data"),
    ]);
    let platform = env.clone().with_folders("/p/config", "/p/data");
    let flags = Overrides {
        config_file: Some("/f/c.toml".into()),
        data_dir: Some("/f/data".into()),
        ..Overrides::default()
    };
    let none = Overrides::default();
    let bare = Env::from_pairs::<&str, &str>([]).with_folders("/p/config", "/p/data");
    for (overrides, env, file, data) in [
        (&flags, &platform, "/f/c.toml", "/f/data"),
        (&none, &platform, "/v/c.toml", "/v/data"),
        (&none, &env, "/v/c.toml", "/v/data"),
        (&none, &bare, "/p/config/config.toml", "/p/data"),
    ] {
        let found = locate(overrides, env).unwrap();
        assert_eq!(
            (found.config_file, found.data_dir),
            (PathBuf::from(file), PathBuf::from(data))
        );
    }
    let relative = Overrides {
        data_dir: Some("here".into()),
        ..none
    };
    assert!(locate(&relative, &bare).unwrap().data_dir.is_absolute());
}

#[test]
fn without_a_home_the_flags_are_named() {
    let homeless = Env::from_pairs::<&str, &str>([]);
    let error = locate(&Overrides::default(), &homeless)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("--config: no home folder is known"),
        "{error}"
    );
    let with_file = Overrides {
        config_file: Some("c.toml".into()),
        ..Overrides::default()
    };
    let error = locate(&with_file, &homeless).unwrap_err().to_string();
    assert!(
        error.starts_with("--data-dir: no home folder is known"),
        "{error}"
    );
}

#[test]
fn amounts_are_what_the_digits_say() {
    for (digits, exact) in [
        ("0.10", "0.1"),
        ("0.1", "0.1"),
        ("5", "5"),
        ("0", "0"),
        ("0.0", "0"),
        ("+1.5", "1.5"),
        ("1_000.000_001", "1000.000001"),
        ("1e-3", "0.001"),
        ("0.000000000001", "0.000000000001"),
        // Neither of these is a float.
        ("9007199254740993", "9007199254740993"),
        ("123456789012.123456789012", "123456789012.123456789012"),
    ] {
        let read = config(&format!("[budget]\nper_day = {digits}"))
            .budget
            .per_day;
        assert_eq!(read, Some(exact.parse::<Usd>().unwrap()), "{digits}");
    }
}

#[test]
fn every_way_to_write_a_table_is_read() {
    let sources = [
        KeySource::Env("A".to_owned()),
        KeySource::Command("op read x".to_owned()),
        KeySource::Keyring("chat-agent/openai".to_owned()),
        KeySource::File("/k".into()),
    ];
    let mut keys = sources.map(KeyEntry::from);
    keys[3].per_day = Some("0.5".parse().unwrap());
    keys[3].per_month = Some("20".parse().unwrap());
    let provider = config(
        "providers = [{ name = \"x\", keys = [{ env = \"A\" }, { command = \"op read x\" }, \
         { keyring = \"chat-agent/openai\" }, { per_month = 20, file = \"/k\", per_day = 0.5 }] }]\ncache.ttl = \"1h30m\"\n[keys]\nsend = \"enter\"",
    );
    assert_eq!(provider.providers[0].keys, keys);
    assert_eq!(provider.cache.ttl, Duration::from_mins(90));
    assert_eq!(provider.keys["send"], ["enter"]);
}

#[test]
fn nothing_secret_is_shown() {
    let home = Home::with(
        "[redis]\nurl = \"redis://user:sk-hidden@h:6379/0\"\n[[providers]]\nname = \"x\"\n\
         headers = { X-Key = \"sk-hidden\" }\nkeys = [{ env = \"MY_KEY\" }]\n",
    );
    let loaded = load(&Overrides::default(), &home.env(&[("MY_KEY", "sk-hidden")])).unwrap();
    let shown = show(&loaded);
    assert!(
        shown.contains("keys = [{ env = \"MY_KEY\" }]  # file"),
        "{shown}"
    );
    assert!(
        shown.contains("url = \"redis://********@h:6379/0\"  # file"),
        "{shown}"
    );
    assert!(shown.contains("model = \"auto\"  # default"), "{shown}");
    assert!(shown.contains("allow_http = false  # default"), "{shown}");
    let settings = settings(&loaded);
    let url = settings
        .iter()
        .find(|setting| setting.key == "redis.url")
        .unwrap();
    assert_eq!(
        (url.value.as_str(), url.origin),
        ("\"redis://********@h:6379/0\"", Origin::File)
    );
    let env = home.env(&[("MY_KEY", "sk-hidden")]);
    assert!(!format!("{settings:?} {shown} {loaded:?} {env:?}").contains("hidden"));
    assert!(format!("{env:?}").contains("MY_KEY"));
}
