//! Changes to the user's file that the user asked for.
//!
//! Owns: `config init`, and setting one value while comments and layout stay.
//! Refuses: a file that is read-only or does not load, and a change after which it would not.
//! Invariant: the file is replaced whole or not at all, and keeps its mode; two programs that change it at the same
//! time do not damage it: the later change wins.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, RawString, Table, TableLike, Value};

use super::error::ConfigError;
use super::file;
use super::layers::read_file;

/// The commented example file: every key, its meaning and its built-in value.
pub(crate) const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Writes the example to `path`, for the owner alone; missing folders are made. An existing file is left alone.
pub(crate) fn init(path: &Path) -> Result<(), ConfigError> {
    make_folder(path)?;
    let mut out = match private(path) {
        Ok(out) => out,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(ConfigError::file(path, "exists already and is left alone")
                .with_hint("edit it, or move it away"));
        }
        Err(error) => return Err(ConfigError::storage(path, &error)),
    };
    out.write_all(EXAMPLE.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(|error| {
            // Remove the incomplete file, and report the first error.
            let _ = fs::remove_file(path);
            ConfigError::storage(path, &error)
        })
}

/// Sets a text (`model`, `ui.theme`) in the file; a file that does not exist yet is made.
pub(crate) fn set_string(path: &Path, key: &str, value: &str) -> Result<(), ConfigError> {
    change(path, key, |old| match old {
        Some(Value::String(text)) if text.value() == value => None,
        _ => Some(Value::from(value)),
    })
}

/// Sets a list of texts (`favourites`) in the file; entries that stay keep their place and their comments.
pub(crate) fn set_list(path: &Path, key: &str, values: &[String]) -> Result<(), ConfigError> {
    change(path, key, |old| match old {
        Some(Value::Array(old)) if is(old, values) => None,
        Some(Value::Array(old)) => Some(Value::Array(merged(old, values))),
        _ => Some(Value::Array(values.iter().collect())),
    })
}

/// Replaces the value of a dotted key by what `new` makes of the old one; `None` leaves the file as it is.
fn change(
    path: &Path,
    key: &str,
    new: impl FnOnce(Option<&Value>) -> Option<Value>,
) -> Result<(), ConfigError> {
    let text = read_file(path)?;
    let before = text.as_deref().unwrap_or_default();
    file::read(before).map_err(|fault| fault.into_error(path, before.as_bytes()))?;
    let mut document: DocumentMut = before
        .parse()
        .map_err(|_| ConfigError::file(path, "cannot be edited: it is not TOML"))?;
    let table = match key.split_once('.') {
        None => document.as_table_mut() as &mut dyn TableLike,
        Some((section, _)) => document
            .entry(section)
            .or_insert_with(|| Item::Table(Table::new()))
            .as_table_like_mut()
            .ok_or_else(|| ConfigError::file(path, format!("[{section}] is no table")))?,
    };
    let name = key.split_once('.').map_or(key, |(_, name)| name);
    let old = table.get(name).and_then(Item::as_value);
    let Some(mut value) = new(old) else {
        return Ok(());
    };
    if let Some(old) = old {
        // The space and the comment around the old value.
        *value.decor_mut() = old.decor().clone();
    }
    match table.get_mut(name) {
        Some(item) => *item = Item::Value(value),
        None => drop(table.insert(name, Item::Value(value))),
    }
    let mut after = document.to_string();
    if before.contains('\n') && before.matches('\n').count() == before.matches("\r\n").count() {
        // The document was written with Windows line ends throughout; the library writes the others.
        after = after.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    file::read(&after).map_err(|fault| fault.into_error(path, after.as_bytes()))?;
    if text.as_deref() == Some(&after) {
        Ok(())
    } else {
        replace(path, &after)
    }
}

/// The old list with what is no longer wanted taken out and what is new put in. A comment at the end of a line belongs
/// to the entry before it, though TOML reads it after the comma.
fn merged(old: &Array, wanted: &[String]) -> Array {
    let mut left: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let prefixes: Vec<&str> = old
        .iter()
        .map(|value| raw(value.decor().prefix()))
        .collect();
    let ends: Vec<&str> = prefixes
        .iter()
        .copied()
        .chain([raw(Some(old.trailing()))])
        .collect();
    let mut list = Array::new();
    let mut line_end = ends.first().map_or("", |text| split_line(text).0);
    for (index, value) in old.iter().enumerate() {
        let Some(found) = value
            .as_str()
            .and_then(|text| left.iter().position(|entry| *entry == text))
        else {
            continue;
        };
        left.remove(found);
        let own = split_line(prefixes[index]).1;
        // The first entry of a list on one line has no space before it.
        let own = if list.is_empty() && !own.contains('\n') {
            split_line(prefixes[0]).1
        } else {
            own
        };
        let suffix = raw(value.decor().suffix());
        list.push_formatted(value.clone().decorated(join(line_end, own), suffix));
        line_end = split_line(ends[index + 1]).0;
    }
    // A new entry is laid out like the last one: on a line of its own, or after a space.
    let latest = prefixes.last().map_or("", |prefix| split_line(prefix).1);
    let on_a_line = latest.rfind('\n').map(|newline| &latest[newline..]);
    for entry in left {
        let own = match on_a_line {
            Some(own) => own,
            None if list.is_empty() => "",
            None => " ",
        };
        list.push_formatted(Value::from(entry).decorated(join(line_end, own), ""));
        line_end = "";
    }
    list.set_trailing(join(line_end, split_line(raw(Some(old.trailing()))).1));
    list.set_trailing_comma(old.trailing_comma() && !list.is_empty());
    if is(&list, wanted) {
        list
    } else {
        wanted.iter().collect()
    }
}

/// Whether the list has exactly these entries.
fn is(list: &Array, wanted: &[String]) -> bool {
    list.iter()
        .map(Value::as_str)
        .eq(wanted.iter().map(|entry| Some(entry.as_str())))
}

fn raw(text: Option<&RawString>) -> &str {
    text.and_then(RawString::as_str).unwrap_or_default()
}

/// What ends the line of the entry before, and what belongs to the entry after.
fn split_line(text: &str) -> (&str, &str) {
    let end = text.find('\n').map_or(0, |newline| {
        newline - usize::from(text[..newline].ends_with('\r'))
    });
    text.split_at(end)
}

/// The inverse; a comment is never left without the end of its line.
fn join(line_end: &str, own: &str) -> String {
    let open = line_end.contains('#') && !own.starts_with(['\r', '\n']);
    format!("{line_end}{}{own}", if open { "\n " } else { "" })
}

/// Writes the whole text beside the file, then puts it in its place in one step.
fn replace(path: &Path, text: &str) -> Result<(), ConfigError> {
    make_folder(path)?;
    // A link (a file kept in a repository of dot files) stays a link; what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode =
        fs::metadata(&target).map_or(0o600, |metadata| metadata.permissions().mode() & 0o7777);
    if mode & 0o200 == 0 {
        // A rename would succeed, but the owner has made the file read-only.
        return Err(ConfigError::storage(
            path,
            &ErrorKind::PermissionDenied.into(),
        ));
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside: PathBuf = target.with_file_name(name);
    let written = private(&beside).and_then(|mut out| {
        out.write_all(text.as_bytes())?;
        out.set_permissions(Permissions::from_mode(mode))?;
        out.sync_all()?;
        fs::rename(&beside, &target)
    });
    written.map_err(|error| {
        if error.kind() != ErrorKind::AlreadyExists {
            let _ = fs::remove_file(&beside);
        }
        ConfigError::storage(path, &error)
    })
}

fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn make_folder(path: &Path) -> Result<(), ConfigError> {
    let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| ConfigError::storage(path, &error))
}
