//! What the manual and the examples show as configuration can be read as such.

use std::process::Command;

#[test]
fn the_configuration_in_the_manual_is_toml() {
    let mut blocks = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/guide")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let inner = block.split("```").next().unwrap();
            let read = inner.parse::<toml::Table>();
            assert!(read.is_ok(), "{}: {read:?} in\n{inner}", path.display());
            blocks += 1;
        }
    }
    assert!(blocks > 10, "{blocks}");
}

#[test]
fn the_example_configurations_pass_the_check() {
    let home = tempfile::tempdir().unwrap();
    // The company's own authority, which one of them names.
    std::fs::create_dir(home.path().join(".config")).unwrap();
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");
    std::fs::copy(authority, home.path().join(".config/company-ca.pem")).unwrap();
    let mut names = Vec::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = file.unwrap().path();
        let checked = Command::new(env!("CARGO_BIN_EXE_chat-agent"))
            .arg("--config")
            .arg(&path)
            .args(["config", "check"])
            .env_clear()
            .env("HOME", home.path())
            .env("OPENAI_API_KEY", "sk-test-0000")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(
            checked.status.success() && said.contains("is in order") && checked.stderr.is_empty(),
            "{}: {checked:?}",
            path.display()
        );
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "company-proxy.toml",
            "one-person.toml",
            "team-with-redis.toml"
        ]
    );
}

/// What the manual says is missing: the README must say so too, and whatever is built leaves this list.
#[test]
fn the_manual_denies_nothing_that_works() {
    let mut denied = Vec::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/guide")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let says_no = |line: &&str| {
            ["this version", "to come", "not yet"]
                .iter()
                .any(|words| line.contains(words))
        };
        denied.extend(
            text.lines()
                .filter(|line| !line.starts_with(['<', '#']))
                .filter(says_no)
                .map(str::to_owned),
        );
        denied.extend(
            text.lines()
                .filter(|line| line.starts_with("This version"))
                .map(str::to_owned),
        );
    }
    denied.sort();
    assert_eq!(
        denied,
        [
            "The command `sessions export` is not in this version.",
            "This version has no batch command and no dashboard.",
            "This version sends text only: models cannot call tools, and images are counted but cannot be sent.",
        ]
    );
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let missing = readme
        .split("## What does not work yet")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    for words in [
        "`sessions export`",
        "`batch`",
        "F4",
        "Tools and images are counted",
    ] {
        assert!(missing.contains(words), "{words}");
    }
}

/// Every relative link in the documentation leads to a file or folder.
#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/README.md",
        "docs/screens.md",
        "docs/faults.md",
        "docs/performance.md",
    ] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.contains("://") || target.is_empty() {
                continue;
            }
            let folder = root.join(page).parent().unwrap().to_owned();
            assert!(folder.join(target).exists(), "{page} links to {target}");
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
}

/// The manual has one source: the index in `docs/` lists every page of the guide.
#[test]
fn the_index_lists_every_page_of_the_manual() {
    let root = env!("CARGO_MANIFEST_DIR");
    let index = std::fs::read_to_string(format!("{root}/docs/README.md")).unwrap();
    for file in std::fs::read_dir(format!("{root}/assets/guide")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            index.contains(&format!("(../assets/guide/{name})")),
            "{name}"
        );
    }
}

/// A newcomer reads the front page to its end.
#[test]
fn the_readme_stays_short() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let bytes = std::fs::metadata(readme).unwrap().len();
    assert!(bytes <= 15 * 1024, "{bytes} bytes");
}
