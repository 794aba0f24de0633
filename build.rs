//! Prepares at build time what every start needs. For counting tokens, so that nothing is loaded: the rank tables of
//! every encoding, read from tiktoken-rs token by token, and the classes of all characters, from the same Unicode tables
//! that its patterns use. And the catalogue, which is written for people and read by machines: the same tables as JSON.
//!
//! The shape of the tables is in `src/tokens/layout.rs`; `src/tokens/ranks.rs` and `classes.rs` read them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

use regex_syntax::hir::{Class, HirKind};
use tiktoken_rs::CoreBPE;

#[path = "src/tokens/layout.rs"]
mod layout;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Loader = fn() -> Result<CoreBPE, Failure>;

/// Harmony adds special tokens only, so it needs no tables of its own.
const ENCODINGS: [(&str, Loader); 4] = [
    ("o200k", || Ok(tiktoken_rs::o200k_base()?)),
    ("cl100k", || Ok(tiktoken_rs::cl100k_base()?)),
    ("p50k", || Ok(tiktoken_rs::p50k_base()?)),
    ("r50k", || Ok(tiktoken_rs::r50k_base()?)),
];

/// The classes of characters as the patterns write them; what is in none of them is in [`layout::OTHER`].
const CLASSES: [(&str, u8); 7] = [
    (r"[\p{Lu}\p{Lt}]", layout::UPPER),
    (r"\p{Ll}", layout::LOWER),
    (r"[\p{Lm}\p{Lo}]", layout::CASELESS),
    (r"\p{M}", layout::ACCENT),
    (r"\p{N}", layout::NUMBER),
    (r"[\s--[\r\n]]", layout::BLANK),
    (r"[\r\n]", layout::BREAK),
];

const CATALOGUE: &str = "assets/models.toml";

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    let writers: Vec<_> = ENCODINGS
        .iter()
        .map(|(name, load)| {
            let folder = folder.clone();
            std::thread::spawn(move || write_ranks(&folder, name, &vocabulary(&load()?)))
        })
        .collect();
    write_classes(&folder)?;
    write_catalogue(&folder)?;
    for writer in writers {
        writer
            .join()
            .map_err(|_| "a rank table could not be laid out")??;
    }
    Ok(())
}

/// What the rows mean is judged when they are read, by `src/catalog/asset.rs`; a test compares both forms.
fn write_catalogue(folder: &Path) -> Result<(), Failure> {
    println!("cargo::rerun-if-changed={CATALOGUE}");
    let tables: toml::Table = toml::from_str(&fs::read_to_string(CATALOGUE)?)?;
    fs::write(folder.join("models.json"), serde_json::to_vec(&tables)?)?;
    Ok(())
}

/// The ordinary tokens by rank; a rank may be unused.
fn vocabulary(bpe: &CoreBPE) -> Vec<Option<Vec<u8>>> {
    let special = bpe.special_tokens();
    let is_special =
        |token: &Vec<u8>| str::from_utf8(token).is_ok_and(|text| special.contains(text));
    let all = 0..1 << layout::RANK_BITS;
    all.map(|rank| {
        bpe.decode_bytes(&[rank])
            .ok()
            .filter(|token| !is_special(token))
    })
    .collect()
}

fn write_ranks(folder: &Path, name: &str, tokens: &[Option<Vec<u8>>]) -> Result<(), Failure> {
    let mut ranks: Ranks =
        HashMap::with_capacity_and_hasher(tokens.len(), BuildHasherDefault::default());
    for (rank, token) in tokens.iter().enumerate() {
        if let Some(token) = token {
            ranks.insert(token, u32::try_from(rank)?);
        }
    }
    let mut bytes = Vec::new();
    for byte in 0..=u8::MAX {
        let rank = ranks.get(&[byte][..]).ok_or("a byte without a token")?;
        bytes.extend(rank.to_le_bytes());
    }
    let mut pairs = Vec::new();
    for token in ranks.keys() {
        if let Some((left, right)) = last_merge(token, &ranks) {
            let merged = ranks[token];
            if merged <= left.max(right) {
                return Err(
                    format!("in {name}, {merged} ranks before what it is merged from").into(),
                );
            }
            let key = layout::pair_key(left, right);
            pairs.push((key, key << layout::RANK_BITS | u64::from(merged)));
        }
    }
    let all = tokens.iter().flatten().map(Vec::as_slice);
    let (short, long): (Vec<&[u8]>, Vec<&[u8]>) =
        all.partition(|token| token.len() <= layout::SHORT);
    let short = short
        .iter()
        .map(|token| (layout::short_key(token), layout::short_key(token)))
        .collect();
    // Offset 0 would look like an empty slot.
    let mut text = vec![0];
    let mut places = Vec::new();
    for token in long {
        let key = layout::long_key(token);
        let place = u32::try_from(text.len())?;
        if place >> (32 - layout::MARK_BITS) != 0 {
            return Err("the long tokens of a vocabulary outgrow their slots".into());
        }
        places.push((
            key,
            u64::from(place << layout::MARK_BITS | layout::mark(key)),
        ));
        text.push(u8::try_from(token.len())?);
        text.extend(token);
    }
    let write = |kind: &str, table: &[u8]| fs::write(folder.join(format!("{name}.{kind}")), table);
    write("bytes", &bytes)?;
    write("pairs", &laid_out::<8>(pairs, 5, 2)?)?;
    write("short", &laid_out::<8>(short, 5, 3)?)?;
    write("long", &laid_out::<4>(places, 5, 3)?)?;
    write("text", &text)?;
    Ok(())
}

/// The two tokens that are left before `token` is whole when its bytes are merged, lowest rank first; none when they
/// never become whole.
///
/// No other two neighbours ever make this token, in any text: between the two outer ends nothing has merged across
/// them, so what happened inside is what happens when the token stands alone. One entry for each token is enough.
fn last_merge(token: &[u8], ranks: &Ranks) -> Option<(u32, u32)> {
    if token.len() < 2 {
        return None;
    }
    // Part n lies between border n and the next.
    let mut borders: Vec<usize> = (0..=token.len()).collect();
    let rank = |borders: &[usize], part: usize| {
        ranks
            .get(&token[borders[part]..borders[part + 2]])
            .copied()
            .unwrap_or(u32::MAX)
    };
    let mut merges: Vec<u32> = (0..token.len() - 1)
        .map(|part| rank(&borders, part))
        .collect();
    while merges.len() > 1 {
        let mut first = 0;
        for part in 1..merges.len() {
            if merges[part] < merges[first] {
                first = part;
            }
        }
        if merges[first] == u32::MAX {
            return None;
        }
        borders.remove(first + 1);
        merges.remove(first);
        if first < merges.len() {
            merges[first] = rank(&borders, first);
        }
        if first > 0 {
            merges[first - 1] = rank(&borders, first - 1);
        }
    }
    Some((ranks[&token[..borders[1]]], ranks[&token[borders[1]..]]))
}

/// Entries in slots of `WIDTH` bytes, `slots` slots for every `entries` entries.
fn laid_out<const WIDTH: usize>(
    mut keyed: Vec<(u64, u64)>,
    slots: usize,
    entries: usize,
) -> Result<Vec<u8>, Failure> {
    let slots = keyed.len() * slots / entries;
    let mut table = vec![0; slots + layout::TAIL];
    // The same table in every build, whatever the order of a map.
    keyed.sort_unstable();
    for (key, entry) in keyed {
        let home = layout::home(key, slots);
        let free = table[home..]
            .iter()
            .position(|slot| *slot == 0)
            .ok_or("a table overflows its tail")?;
        table[home + free] = entry;
    }
    if table.last() != Some(&0) {
        return Err("a table fills its tail".into());
    }
    let mut bytes = Vec::with_capacity(table.len() * WIDTH);
    for entry in table {
        bytes.extend_from_slice(&entry.to_le_bytes()[..WIDTH]);
    }
    Ok(bytes)
}

/// Two stages: for every 256 characters the number of a page, and the pages, each of them once.
fn write_classes(folder: &Path) -> Result<(), Failure> {
    let mut classes = vec![layout::OTHER; 0x11_0000];
    for (pattern, bit) in CLASSES {
        for (first, last) in characters(pattern)? {
            classes[first as usize..=last as usize].fill(bit);
        }
    }
    let mut pages: Vec<&[u8]> = Vec::new();
    let mut numbers = Vec::new();
    for page in classes.chunks(256) {
        let known = pages.iter().position(|other| *other == page);
        let number = known.unwrap_or_else(|| {
            pages.push(page);
            pages.len() - 1
        });
        numbers.push(u8::try_from(number)?);
    }
    fs::write(folder.join("class_numbers"), numbers)?;
    fs::write(folder.join("class_pages"), pages.concat())?;
    Ok(())
}

/// The characters of a class, as ranges of their first and last.
fn characters(class: &str) -> Result<Vec<(u32, u32)>, Failure> {
    match regex_syntax::parse(class)?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Ok(class
            .ranges()
            .iter()
            .map(|range| (range.start().into(), range.end().into()))
            .collect()),
        other => Err(format!("{class} is no class of characters: {other:?}").into()),
    }
}

type Ranks<'a> = HashMap<&'a [u8], u32, BuildHasherDefault<ByteHasher>>;

/// Build scripts are not optimised; this takes a fraction of what the standard hasher takes then.
#[derive(Default)]
struct ByteHasher(u64);

impl Hasher for ByteHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length of the slice, which its bytes tell apart well enough.
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32) ^ (self.0 << 32)
    }
}
