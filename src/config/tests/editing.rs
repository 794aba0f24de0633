//! Changing the user's file leaves the rest of it as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::edit::{init, set_list, set_string};
use super::super::{Config, EXAMPLE};
use super::{Home, config};
use crate::chat::Failure;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

#[test]
fn init_writes_the_example_for_the_owner_alone_and_once() {
    let home = Home::new();
    let file = home.folder.path().join("a/b/config.toml");
    init(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), EXAMPLE);
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    fs::write(&file, "mine").unwrap();
    let error = init(&file).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("config.toml: exists already and is left alone"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn init_says_when_the_folder_cannot_be_made() {
    let home = Home::with("");
    let error = init(&home.file().join("config.toml")).unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    assert_eq!(Failure::from(error).kind.exit_code(), 1);
}

/// Each row: the file before, the key, the new value, the file after.
#[test]
fn a_text_is_set_and_the_rest_stays() {
    for (before, key, value, after) in [
        (
            "model = \"auto\"   # mine\n",
            "model",
            "gpt-5",
            "model = \"gpt-5\"   # mine\n",
        ),
        (
            "# head\n\n[ui] # u\nmouse = true\n",
            "model",
            "gpt-5",
            "model = \"gpt-5\"\n# head\n\n[ui] # u\nmouse = true\n",
        ),
        (
            "[ui] # u\nmouse = true # m\n",
            "ui.theme",
            "dark",
            "[ui] # u\nmouse = true # m\ntheme = \"dark\"\n",
        ),
        (
            "ui = { mouse = true }\n",
            "ui.theme",
            "dark",
            "ui = { mouse = true , theme = \"dark\" }\n",
        ),
        (
            "model='x' #q",
            "ui.theme",
            "dark",
            "model='x' #q\n\n[ui]\ntheme = \"dark\"\n",
        ),
    ] {
        let home = Home::with(before);
        set_string(&home.file(), key, value).unwrap();
        assert_eq!(fs::read_to_string(home.file()).unwrap(), after);
        home.load().unwrap();
    }
}

#[test]
fn a_list_is_set_and_its_comments_stay() {
    let lines = "favourites = [ # mine\n  \"a\", # first\n  \"b\",\n]\n";
    for (before, wanted, after) in [
        ("favourites = []\n", &["a"][..], "favourites = [\"a\"]\n"),
        (
            "favourites = [\"a\"]\n",
            &["a", "b"],
            "favourites = [\"a\", \"b\"]\n",
        ),
        (
            "favourites = [\"a\", \"b\"] # c\n",
            &["b", "a"],
            "favourites = [\"b\", \"a\"] # c\n",
        ),
        (
            lines,
            &["a", "b", "c"],
            "favourites = [ # mine\n  \"a\", # first\n  \"b\",\n  \"c\",\n]\n",
        ),
        (
            lines,
            &["a"],
            "favourites = [ # mine\n  \"a\", # first\n]\n",
        ),
        (lines, &["b"], "favourites = [ # mine\n  \"b\",\n]\n"),
        (lines, &["c"], "favourites = [ # mine\n  \"c\",\n]\n"),
        (
            "favourites = [\"a\", \"b\"]\n",
            &["b"],
            "favourites = [\"b\"]\n",
        ),
        (
            "favourites = [\"a\", # n\n]\n",
            &["a", "b"],
            "favourites = [\"a\", # n\n  \"b\",\n]\n",
        ),
        (
            "favourites = [\"a\" # n\n]\n",
            &["a", "b"],
            "favourites = [\"a\" # n\n, \"b\"]\n",
        ),
        ("favourites = [\"a\", # n\n]\n", &[], "favourites = [\n]\n"),
        ("", &["a"], "favourites = [\"a\"]\n"),
    ] {
        let home = Home::with(before);
        set_list(&home.file(), "favourites", &list(wanted)).unwrap();
        assert_eq!(
            home.load().unwrap().config.favourites,
            list(wanted),
            "{before}"
        );
        assert_eq!(fs::read_to_string(home.file()).unwrap(), after);
    }
}

#[test]
fn only_one_line_of_the_example_changes() {
    let home = Home::with(EXAMPLE);
    set_string(&home.file(), "model", "openai/gpt-5").unwrap();
    set_list(&home.file(), "favourites", &list(&["openai/gpt-5"])).unwrap();
    let text = fs::read_to_string(home.file()).unwrap();
    let changed: Vec<_> = text
        .lines()
        .zip(EXAMPLE.lines())
        .filter(|(new, old)| new != old)
        .collect();
    assert_eq!(changed.len(), 2, "{changed:?}");
    let wanted = Config {
        model: "openai/gpt-5".to_owned(),
        favourites: list(&["openai/gpt-5"]),
        ..Config::default()
    };
    assert_eq!(config(&text), wanted);
}

#[test]
fn a_file_that_does_not_exist_is_made_for_the_owner_alone() {
    let home = Home::new();
    let file = home.folder.path().join("new/config.toml");
    set_string(&file, "model", "gpt-5").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "model = \"gpt-5\"\n");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn the_mode_and_the_link_stay_and_nothing_is_left_over() {
    let home = Home::new();
    let real = home.folder.path().join("dotfiles.toml");
    fs::write(&real, "model = \"auto\"\n").unwrap();
    fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, home.file()).unwrap();
    set_string(&home.file(), "model", "gpt-5").unwrap();
    assert!(fs::symlink_metadata(home.file()).unwrap().is_symlink());
    assert_eq!(
        (fs::read_to_string(&real).unwrap().as_str(), mode(&real)),
        ("model = \"gpt-5\"\n", 0o640)
    );
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 2);
}

#[test]
fn a_change_that_would_not_load_is_not_made() {
    for (before, key, value, cause) in [
        (
            "model = \"auto\"\n",
            "ui.theme",
            "drak",
            "did you mean `dark`?",
        ),
        ("model = \"auto\"\n", "modle", "x", "did you mean `model`?"),
        ("model = \"auto\"\n", "model", "", "a model's name"),
        ("modle = \"auto\"\n", "model", "x", "did you mean `model`?"),
        ("model = \n", "model", "x", ":1:"),
    ] {
        let home = Home::with(before);
        let error = set_string(&home.file(), key, value)
            .unwrap_err()
            .to_string();
        assert!(error.contains(cause), "{error}");
        assert_eq!(fs::read_to_string(home.file()).unwrap(), before);
    }
}

#[test]
fn a_read_only_file_is_left_alone() {
    let home = Home::with("model = \"auto\"\n");
    fs::set_permissions(home.file(), PermissionsExt::from_mode(0o444)).unwrap();
    let error = set_string(&home.file(), "model", "gpt-5")
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("config.toml: cannot be written: permission denied"),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(home.file()).unwrap(),
        "model = \"auto\"\n"
    );
}

proptest! {
    /// However the list is laid out, it says what was wanted afterwards, and comments of entries that stay are there.
    #[test]
    fn a_list_in_any_layout_is_set(
        before in vec(select(vec!["a", "b", "c", "d"]), 0..5),
        wanted in vec(select(vec!["a", "b", "c", "d", "e", "f"]), 0..5),
        gaps in vec(select(vec!["", " ", "\n  ", " # n\n  ", "\n  # above\n  "]), 12),
        last_comma in any::<bool>(),
        line_end in select(vec!["\n", "\r\n"]),
    ) {
        let mut text = "favourites = [".to_owned();
        for (index, entry) in before.iter().enumerate() {
            let comma = if index + 1 < before.len() || last_comma { "," } else { "" };
            text.extend([gaps[index], "\"", entry, "\"", gaps[index + 5], comma]);
        }
        text.extend([gaps[11], "] # end\n\n[ui]\nmouse = true\n"]);
        let text = text.replace('\n', line_end);
        let home = Home::with(&text);
        set_list(&home.file(), "favourites", &list(&wanted)).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        let after = fs::read_to_string(home.file()).unwrap();
        prop_assert_eq!(config(&after).favourites, list(&wanted), "{}\n{}", text, after);
        let end = "] # end\n\n[ui]\nmouse = true\n".replace('\n', line_end);
        prop_assert!(after.ends_with(&end), "{}", after);
        if before == wanted {
            prop_assert_eq!(after, text);
        }
    }
}
