//! Which file of `src` needs which other one.
//!
//! Owns: following a path to the file that declares what it names, through aliases and re-exports; circles of files.
//! Refuses: methods and macros: what is named by no path is no arrow.
//! Invariant: an arrow leads from a file to another one, never to itself; tests have none.

use std::collections::{BTreeMap, BTreeSet};

use super::File;
use super::paths::{Written, tokens, written};
use super::types::{declared, without_tests};

type Path = Vec<String>;

/// A module that has a file.
struct Module {
    file: String,
    /// Names that a `use` brings here, and where they come from.
    names: BTreeMap<String, Path>,
    /// Modules of which everything is brought here.
    globs: Vec<Path>,
    declares: BTreeSet<String>,
    /// The paths by which it needs something, from the top of the crate.
    needs: Vec<Path>,
}

/// Where a path leads from the top of the crate; `None`: to another crate, or to what the file itself declares.
fn absolute(
    path: &Written,
    aliases: &BTreeMap<String, Path>,
    children: &BTreeSet<String>,
) -> Option<Path> {
    let (first, rest) = path.segments.split_first()?;
    let under = |base: &[String], rest: &[String]| Some([base, rest].concat());
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => under(&path.here, rest),
        "super" => {
            let ups = path
                .segments
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            let kept = path.here.len().checked_sub(ups)?;
            under(&path.here[..kept], &path.segments[ups..])
        }
        name => match aliases.get(name) {
            Some(base) => under(base, rest),
            None if children.contains(name) => under(&path.here, &path.segments),
            None => None,
        },
    }
}

impl Module {
    fn read(file: &File) -> Self {
        let text = without_tests(&file.text);
        let (paths, children) = written(text, &file.module());
        let tokens = tokens(text);
        let (mut names, mut globs, mut needs) = (BTreeMap::new(), Vec::new(), Vec::new());
        let imports = |path: &&Written| path.import.is_some();
        for path in paths.iter().filter(imports) {
            let Some(target) = absolute(path, &BTreeMap::new(), &children) else {
                continue;
            };
            let alias = path.import.as_ref().unwrap();
            let times = tokens.iter().filter(|token| token.text == alias.name);
            // What is only handed on is not needed here.
            if !alias.public || times.count() > 1 {
                needs.push(target.clone());
            }
            if alias.name == "*" {
                globs.push(target[..target.len() - 1].to_vec());
            } else {
                names.insert(alias.name.clone(), target);
            }
        }
        let plain = paths.iter().filter(|path| path.import.is_none());
        needs.extend(plain.filter_map(|path| absolute(path, &names, &children)));
        Self {
            file: file.path.clone(),
            names,
            globs,
            declares: declared(&tokens).into_iter().map(str::to_owned).collect(),
            needs,
        }
    }
}

/// Every file and the files that it needs.
pub struct Arrows(pub BTreeMap<String, BTreeSet<String>>);

impl Arrows {
    pub fn of(files: &[File]) -> Self {
        let sources = files
            .iter()
            .filter(|file| file.in_src() && !file.module().contains(&"tests"));
        let modules: BTreeMap<Path, Module> = sources
            .filter(|file| !file.module().is_empty())
            .map(|file| {
                let path = file.module().into_iter().map(str::to_owned).collect();
                (path, Module::read(file))
            })
            .collect();
        let arrows = modules.values().map(|module| {
            let targets = module
                .needs
                .iter()
                .filter_map(|path| home(&modules, path, 9));
            let others = targets.filter(|target| *target != module.file);
            (module.file.clone(), others.collect())
        });
        Self(arrows.collect())
    }

    /// The circles among the files of one room, each sorted.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let room = |file: &str| {
            file.split('/')
                .nth(1)
                .map(|name| name.trim_end_matches(".rs").to_owned())
        };
        let reach = |from: &str| {
            let (mut seen, mut waiting) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(file) = waiting.pop() {
                for next in self.0.get(&file).into_iter().flatten() {
                    if room(next) == room(from) && seen.insert(next.clone()) {
                        waiting.push(next.clone());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&String, BTreeSet<String>> =
            self.0.keys().map(|file| (file, reach(file))).collect();
        let mut found = BTreeSet::new();
        for (file, targets) in &reached {
            if targets.contains(*file) {
                let back =
                    |other: &&String| reached.get(other).is_some_and(|it| it.contains(*file));
                found.insert(targets.iter().filter(back).cloned().collect::<Vec<_>>());
            }
        }
        found.into_iter().collect()
    }
}

/// The file that declares what a path names.
fn home(modules: &BTreeMap<Path, Module>, path: &[String], steps: usize) -> Option<String> {
    let known = (1..=path.len())
        .rev()
        .find(|length| modules.contains_key(&path[..*length]))?;
    let module = &modules[&path[..known]];
    let Some(name) = path.get(known).filter(|name| *name != "*") else {
        return Some(module.file.clone());
    };
    if steps > 0 && !module.declares.contains(name) {
        if let Some(target) = module.names.get(name) {
            return home(modules, target, steps - 1);
        }
        for glob in &module.globs {
            if modules.get(glob).is_some_and(|there| {
                there.declares.contains(name) || there.names.contains_key(name)
            }) {
                return home(modules, &[&glob[..], &path[known..]].concat(), steps - 1);
            }
        }
    }
    Some(module.file.clone())
}

/// The parts of a room from top to bottom: each may need those behind it.
pub fn against_the_order(arrows: &Arrows, room: &str, order: &[&str]) -> Vec<String> {
    let part = |file: &str| {
        let mut names = file.trim_end_matches(".rs").split('/').skip(1);
        (names.next() == Some(room)).then(|| names.next().unwrap_or("mod").to_owned())
    };
    let mut found = BTreeSet::new();
    for (from, targets) in &arrows.0 {
        let Some(upper) = part(from) else { continue };
        for lower in targets.iter().filter_map(|target| part(target)) {
            let rank = |name: &String| order.iter().position(|known| known == name);
            if upper != lower
                && rank(&upper).is_none_or(|upper| rank(&lower).is_none_or(|lower| lower < upper))
            {
                found.insert(format!("{from} -> {lower}"));
            }
        }
    }
    found.into_iter().collect()
}
