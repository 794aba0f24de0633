//! What is refused, where, and in which words.

use super::super::ConfigError;
use super::{Home, config};
use crate::chat::Failure;

/// Each row: the file, the place, a part of the sentence.
#[track_caller]
fn table(rows: &[(&str, &str, &str)]) {
    for (text, place, cause) in rows {
        let fault = Home::with(text).fault();
        assert!(
            fault.starts_with(&format!("config.toml:{place}:")) && fault.contains(cause),
            "{text:?}\n  {fault}\n  wanted {place} … {cause}"
        );
        assert!(!fault.contains('\n'), "{fault:?}");
    }
}

#[test]
fn an_unknown_key_is_reported_with_its_location_and_the_nearest_name() {
    table(&[
        (
            "modle = \"auto\"",
            "1:1",
            "unknown key `modle`; did you mean `model`?",
        ),
        (
            "\n[budget]\n  per_dya = 5",
            "3:3",
            "unknown key `per_dya` in [budget]; did you mean `per_day`?",
        ),
        ("[buget]\nper_day = 5", "1:2", "did you mean `budget`?"),
        ("budget.per_dya = 5", "1:8", "did you mean `per_day`?"),
        (
            "budget = { per_dya = 5 }",
            "1:12",
            "did you mean `per_day`?",
        ),
        (
            "[[models]]\nid = \"a/b\"\n\n[[models]]\nid = \"a/c\"\nprice = 1",
            "6:1",
            "unknown key `price` in [models]",
        ),
        (
            "[[providers]]\nname = \"x\"\nbaseurls = []",
            "3:1",
            "did you mean `base_urls`?",
        ),
        (
            "[ui]\ntheme = \"dark\"\nmodel = \"auto\"",
            "3:1",
            "it stands above the first [section]",
        ),
        (
            "per_month = 5",
            "1:1",
            "it stands in [budget] or [redis] or [models]",
        ),
        (
            "[router]\nper_month = 5",
            "2:1",
            "in [router]; it stands in [budget] or [redis] or [models]",
        ),
        ("zzzzzzzzzzzz = 1", "1:1", "valid are model, favourites"),
        ("[ui]\n\"état\" = 1", "2:1", "unknown key `état`"),
        ("[ui]\n\"a\\nb\" = 1", "2:1", "unknown key `a\u{FFFD}b`"),
        ("[redis]\nurl = \"redis://h\"\nkey = 1", "3:1", "in [redis]"),
        (
            "[budget.days]\nx = 1",
            "1:9",
            "unknown key `days` in [budget]",
        ),
        ("[server.a]\nx = 1", "1:2", "unknown key `server`"),
        (
            "[[providers]]\nname = \"x\"\n[[providers.keys]]\nenv = \"A\"\n[[providers.keys]]\nevn = \"A\"",
            "6:1",
            "`env`",
        ),
        (
            "[[providers]]\nname = \"x\"\nkeys = [{ enf = \"A\" }]",
            "3:11",
            "did you mean `env`?",
        ),
    ]);
}

#[test]
fn a_bad_value_is_reported_with_its_location_and_what_was_expected() {
    table(&[
        ("model = \"\"", "1:9", "a model's name"),
        ("model = 5", "1:9", "in quotes"),
        ("favourites = \"auto\"", "1:14", "a list"),
        ("favourites = [\"auto\", \"a b\"]", "1:23", "no spaces"),
        ("[aliases]\nfast = \"gpt-5\"", "2:8", "`provider/model`"),
        (
            "[aliases]\nauto = \"openai/gpt-5\"",
            "2:1",
            "other than `auto`",
        ),
        ("budget = 5", "1:10", "[budget]"),
        ("[[budget]]\nper_day = 5", "1:1", "[budget]"),
        ("[providers]\nname = \"x\"", "1:1", "[[providers]]"),
        ("[budget]\nper_day = -1", "2:11", "0 or more"),
        (
            "[[models]]\nid = \"a/b\"\nper_month = -0.01",
            "3:13",
            "0 or more",
        ),
        ("[budget]\nper_day = \"5\"", "2:11", "without quotes"),
        ("[budget]\nper_day = nan", "2:11", "12 decimals"),
        ("[budget]\nper_day = inf", "2:11", "12 decimals"),
        ("[budget]\nper_day = 1e2147483647", "2:11", "12 decimals"),
        ("[budget]\nper_day = 0.0000000000001", "2:11", "12 decimals"),
        ("[budget]\nper_day = 0x10", "2:11", "US dollars"),
        (
            "[budget]\non_limit = \"downgrad\"",
            "2:12",
            "did you mean `downgrade`?",
        ),
        (
            "[budget]\nalerts = [0.5, 0]",
            "2:16",
            "above 0 and at most 1",
        ),
        (
            "[budget]\nalerts = [\n  0.5,\n  1.01,\n]",
            "4:3",
            "above 0 and at most 1",
        ),
        ("[budget]\nalerts = [nan]", "2:11", "above 0"),
        (
            "[router]\nladder = [\"openai/gpt-5\", \"gpt-5-mini\"]",
            "2:27",
            "`provider/model`",
        ),
        ("[router]\nladder = [\"auto\"]", "2:11", "`provider/model`"),
        (
            "[router]\nladder = [\"openai/gpt-5 hihg\"]",
            "2:11",
            "did you mean `high`?",
        ),
        (
            "[router]\nladder = [\"openai/gpt-5 \"]",
            "2:11",
            "none, minimal, low, medium, high, xhigh, max",
        ),
        (
            "[router]\nladder = [\"openai/gpt-5 high low\"]",
            "2:11",
            "an effort after the model's name",
        ),
        ("[cache]\nttl = 7", "2:7", "\"7d\""),
        ("[cache]\nttl = \"7 days\"", "2:7", "\"7d\""),
        ("[cache]\nmemory = 64", "2:10", "\"64MiB\""),
        ("[cache]\nenabled = \"yes\"", "2:11", "true or false"),
        (
            "[redis]\nbudget_group = \"team\"",
            "1:1",
            "needs a line `url = …`",
        ),
        ("[redis]\nurl = \"http://h\"", "2:7", "redis://"),
        (
            "[redis]\nurl = \"redis://h\"\nsecret = \"x\"",
            "3:10",
            "{ env = \"NAME\" }",
        ),
        ("[limits]\nconcurrency = 0", "2:15", "from 1 to 65536"),
        ("[limits]\nconcurrency = 2.5", "2:15", "whole number"),
        ("[limits]\nmax_output = 0", "2:14", "from 1"),
        (
            "[limits]\nmax_output = 99999999999999999999",
            "2:14",
            "from 1",
        ),
        ("[limits]\nidle_timeout = \"0s\"", "2:16", "above zero"),
        ("[limits]\nretries = -1", "2:11", "from 0"),
        ("[slo]\ncpu = 80", "2:7", "at most 1"),
        ("[slo]\nerror_rate = -0.1", "2:14", "from 0 to 1"),
        ("[slo]\nrequests_per_second = 0", "2:23", "above 0"),
        ("[ui]\ntheme = \"drak\"", "2:9", "did you mean `dark`?"),
        ("[keys]\nsend = 5", "2:8", "a key such as"),
        ("[keys]\nsend = [\"\"]", "2:9", "not empty"),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn providers_and_models_follow_their_rules() {
    let provider = |lines: &str| format!("[[providers]]\nname = \"x\"\n{lines}");
    let model = |lines: &str| format!("[[models]]\nid = \"a/b\"\n{lines}");
    let rows = [
        (
            "[[providers]]\nbase_urls = []".to_owned(),
            "1:1",
            "needs a line `name = …`",
        ),
        (
            provider("[[providers]]\nname = \"x\""),
            "4:8",
            "another provider has this name",
        ),
        (
            "[[providers]]\nname = \"a/b\"".to_owned(),
            "2:8",
            "without spaces or `/`",
        ),
        (
            provider("base_urls = [\"api.openai.com\"]"),
            "3:14",
            "http or https",
        ),
        (
            provider("base_urls = [\"ftp://h/\"]"),
            "3:14",
            "http or https",
        ),
        (
            provider("base_urls = [\"https://\"]"),
            "3:14",
            "http or https",
        ),
        (
            provider("base_urls = [\"https://user:pass@h/v1\"]"),
            "3:14",
            "under `keys`",
        ),
        (
            provider("base_urls = [\"https://@h/v1\"]"),
            "3:14",
            "under `keys`",
        ),
        (
            provider("base_urls = [\"https://h/v1?key=1\"]"),
            "3:14",
            "ends before `?`",
        ),
        (
            provider("base_urls = [\"https://h\", \"http://10.0.0.1/v1\"]"),
            "3:27",
            "allow_http = true",
        ),
        (
            provider("base_urls = [\"http://localhost.evil.com/v1\"]"),
            "3:14",
            "allow_http = true",
        ),
        (
            provider("keys = [\"sk-secret\"]"),
            "3:9",
            "a key itself never stands here",
        ),
        (provider("keys = [{}]"), "3:9", "one of { env"),
        (provider("keys = [{ per_day = 1 }]"), "3:9", "one of { env"),
        (
            provider("keys = [{ env = \"A\", per_day = -1 }]"),
            "3:32",
            "0 or more",
        ),
        (
            provider("keys = [{ env = \"A\", per_month = \"1\" }]"),
            "3:34",
            "without quotes",
        ),
        (
            provider("keys = [{ env = \"A\", per_dya = 1 }]"),
            "3:22",
            "did you mean `per_day`?",
        ),
        (
            provider("keys = [{ env = \"A\", file = \"b\" }]"),
            "3:22",
            "two key sources in one",
        ),
        (
            provider("keys = [{ file = \"b\", env = \"A\" }]"),
            "3:23",
            "two key sources in one",
        ),
        (
            provider("keys = [{ env = \"sk-secret\" }]"),
            "3:17",
            "never the key itself",
        ),
        (
            provider("keys = [{ command = \" \" }]"),
            "3:21",
            "not empty",
        ),
        (
            provider("headers = { \"X Title\" = \"a\" }"),
            "3:13",
            "a header's name",
        ),
        (
            provider("headers = { X-Title = \"a\\r\\nX-Other: b\" }"),
            "3:23",
            "without line breaks",
        ),
        (
            provider("headers = { X-A = \"1\", x-a = \"2\" }"),
            "3:24",
            "set twice",
        ),
        (provider("[providers.headers]\nX-A = 1"), "4:7", "in quotes"),
        (
            "[[models]]\ninput = 1".to_owned(),
            "1:1",
            "needs a line `id = …`",
        ),
        (
            "[[models]]\nid = \"gpt-5\"".to_owned(),
            "2:6",
            "`provider/model`",
        ),
        (
            model("[[models]]\nid = \"a/b\""),
            "4:6",
            "another [[models]] entry",
        ),
        (model("input = -0.1"), "3:9", "0 or more"),
        (model("context = 0"), "3:11", "from 1"),
        (
            model("encoding = \"o200k\""),
            "3:12",
            "did you mean `o200k_base`?",
        ),
        (
            model("efforts = [\"hihg\"]"),
            "3:12",
            "did you mean `high`?",
        ),
        (model("input = nan"), "3:9", "12 decimals"),
        (model("output = \"2\""), "3:10", "without quotes"),
        (
            model("service_tier = \"flexx\""),
            "3:16",
            "did you mean `flex`?",
        ),
        (
            model("service_tier = \"batch\""),
            "3:16",
            "one of default, flex, priority, fast, auto",
        ),
        (model("alias = \"a/b\""), "3:9", "without spaces or `/`"),
        (model("output = 1\nfree = true"), "4:8", "contradicts"),
        (
            model("alias = \"m\"\n[[models]]\nid = \"a/c\"\nalias = \"m\""),
            "6:9",
            "names another model already",
        ),
        (
            model("alias = \"m\"\n[aliases]\nm = \"a/c\""),
            "3:9",
            "names another model already",
        ),
    ];
    for (text, place, cause) in &rows {
        table(&[(text, place, cause)]);
    }
    for address in [
        "http://127.0.0.1:8080/v1",
        "http://[::1]/v1",
        "http://LOCALHOST:11434/v1",
        "https://10.0.0.1/v1",
    ] {
        config(&provider(&format!("base_urls = [\"{address}\"]")));
    }
    config(&provider(
        "base_urls = [\"http://10.0.0.1/v1\"]\nallow_http = true",
    ));
}

#[test]
fn of_several_faults_the_first_in_the_file_is_reported() {
    table(&[
        (
            "[ui]\ntheme = \"x\"\n[budget]\nalerts = [2]\nzz = 1",
            "2:9",
            "auto, dark, light",
        ),
        ("[slo]\nzz = 1\n[budget]\nper_day = -1", "2:1", "`zz`"),
        (
            "[[providers]]\nname = \"x\"\nzz = 1\n[[providers]]\nname = \"x\"",
            "3:1",
            "`zz`",
        ),
        (
            "[[providers]]\nname = \"x\"\n[[providers]]\nname = \"x\"\nzz = 1",
            "4:8",
            "another provider",
        ),
    ]);
}

#[test]
fn a_toml_syntax_error_has_its_location() {
    table(&[
        ("model = ", "1", ""),
        ("[budget\nper_day = 5", "1", ""),
        ("model = \"a\nb\"", "1", ""),
        ("[ui]\npanel = true\npanel = false", "3:1", "duplicate key"),
        ("[ui]\n\n[ui]\n", "3:2", "duplicate key"),
        ("# é\n\u{FEFF}= 1", "2", ""),
    ]);
    assert!(
        Home::with(b"[ui]\ntheme = \"\xff\"")
            .fault()
            .starts_with("config.toml:2:10: this byte is not UTF-8")
    );
    // A byte order mark is no column.
    assert!(
        Home::with("\u{FEFF}modle = 1")
            .fault()
            .starts_with("config.toml:1:1: ")
    );
    assert!(
        Home::with("[ui]\r\n  zz = 1\r\n")
            .fault()
            .starts_with("config.toml:2:3: ")
    );
}

#[test]
fn an_unreadable_file_is_reported_in_one_line() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Home::new();
    std::fs::create_dir(folder.file()).unwrap();
    assert_eq!(
        folder.fault(),
        "config.toml: is a folder; name the file in it"
    );
    let large = Home::with(vec![b'#'; 10_000_000]);
    assert_eq!(
        large.fault(),
        "config.toml: is larger than 256 KiB, so it is not a configuration file"
    );
    // As large and as deep as it may be: no stack is used up.
    for text in [
        format!("{}a = 1", "a.".repeat(130_000)),
        "[".repeat(260_000),
        "a = ".to_owned() + &"[".repeat(260_000),
    ] {
        assert!(Home::with(text).fault().starts_with("config.toml:1:"));
    }
    let closed = Home::with("");
    std::fs::set_permissions(closed.file(), PermissionsExt::from_mode(0o000)).unwrap();
    // The superuser reads everything; then there is nothing to refuse.
    if std::fs::File::open(closed.file()).is_err() {
        assert!(
            closed.fault().starts_with("config.toml: cannot be read: "),
            "{}",
            closed.fault()
        );
    }
}

#[test]
fn an_error_never_repeats_a_value() {
    let secret = "sk-abcdef0123456789";
    for text in [
        format!("[redis]\nurl = \"{secret}\""),
        format!("[[providers]]\nname = \"x\"\nkeys = [\"{secret}\"]"),
        format!("[[providers]]\nname = \"x\"\nkeys = [{{ env = \"{secret}\" }}]"),
        format!("[[providers]]\nname = \"x\"\nkeys = \"{secret}\""),
        format!("[[providers]]\nname = \"x\"\nbase_urls = [\"https://{secret}@h\"]"),
        format!(
            "[[providers]]\nname = \"x\"\nheaders = {{ Authorization = \"Bearer {secret}\\n\" }}"
        ),
        format!("[ui]\ntheme = \"{secret}\""),
        format!("[ui]\ntheme = {secret}"),
    ] {
        let error: ConfigError = Home::with(&text).load().unwrap_err();
        let failure = Failure::from(error.clone());
        assert!(
            !format!("{error} {error:?} {failure} {failure:?}").contains(secret),
            "{error}"
        );
        assert_eq!(failure.kind.exit_code(), 2);
    }
}
