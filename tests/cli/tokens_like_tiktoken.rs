//! Counts are tiktoken's own: on texts of every kind, and on random strings of what its patterns tell apart.
//!
//! `TOKEN_STRINGS=1000000 cargo test --test cli tokens_like_tiktoken` tries a million strings for each encoding;
//! `TOKEN_SEED=…` repeats a run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the small functions of tests are tests; a seed is printed"
)]

use std::hash::{BuildHasher, RandomState};

use chat_agent::tokens::{Encoding, count};
use tiktoken_rs::CoreBPE;

fn oracle(encoding: Encoding) -> &'static CoreBPE {
    match encoding {
        Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
        Encoding::O200kHarmony => tiktoken_rs::o200k_harmony_singleton(),
        Encoding::P50kBase => tiktoken_rs::p50k_base_singleton(),
        Encoding::R50kBase => tiktoken_rs::r50k_base_singleton(),
    }
}

#[track_caller]
fn same(encoding: Encoding, text: &str) {
    let theirs = oracle(encoding).encode_ordinary(text).len() as u64;
    assert_eq!(count(encoding, text), theirs, "{encoding} {text:?}");
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "\n",
    "\r\n",
    "The quick brown fox jumps over the lazy dog, doesn't it? I'd say WE'LL see; they've'd enough.",
    "DON'T SHOUT'S 'S 'T 'RE 'Ve 'lL 'M 'D don'ts we'res I'mm 'ſ'ſt Iſn'ſ it'ſ IT'ſ he'K 'ſS ''s''s ''ll '",
    "fn main() {\n    let x: Vec<u8> = vec![0; 32];\n\tprintln!(\"{x:?}\"); // done\n}\n\n\n#[test]\r\n\r\n  mod a;",
    "SELECT * FROM `users` WHERE id IN (1,22,333,4444,55555) AND name LIKE '%o''brien%';--x\n/* y */",
    "<div class=\"a-b_c\">&nbsp;&#8212;</div>\n\n\n   </body>   \n",
    "camelCaseWord XMLHttpRequest iOS macOS eBay ABCdefGHI aB Ab AB ab ÀÉÎÕÜàéîõü ǅungla ǈ ǋ ǲ",
    "清晨的市场已经热闹起来。卖菜的老人把白菜一棵一棵摆好，又洒上一点水；旁边的女孩在数昨天的零钱，共１２３４元。",
    "東京タワーは、ひらがなとカタカナと漢字ＡＢＣａｂｃ。ー々〆〤",
    "모든 사람은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. ١٢٣٤٥٦ ٪ «نص»",
    "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. שָׁלוֹם",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ๑๒๓๔",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। १२३४",
    "Все люди рождаются свободными и равными в своём достоинстве и правах. ЁЖИК'S Её'll",
    "Ὅλοι οἱ ἄνθρωποι γεννιοῦνται ἐλεύθεροι ᾼ ᾳ ΐ ΰ Σίσυφος'ς",
    "🦀 👩‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 🏳️‍🌈 ✨️ ☺︎ 1️⃣ ©®™ ‍ \u{200d}\u{fe0f} 🫠🫠🫠🫠",
    "e\u{301}E\u{301} \u{301}A \u{301}a\u{301}B !\u{301}x !!\u{301}x \u{20dd} n\u{303}N\u{303}Ñ Z\u{351}\u{36b}a\u{343}l\u{32b}go",
    "\u{301}ABC \u{301}\u{302}ABC'S ABC世DEF 世ABC'll ʰABC ABCʰDEF aʰB ªº ׳ABC",
    "tab\tspace nbsp\u{a0}x\u{a0}\u{a0}y em\u{2003}z\u{2003}\u{2003} ogham\u{1680}a ls\u{2028}b ps\u{2029}\u{2029}c nel\u{85}d ideo\u{3000}字",
    "a\u{b}b\u{c}c\u{1c}d\u{1d}\u{1e}\u{1f} \u{0}\u{0}\u{1}\u{7f}\u{80}\u{9f}\u{ad}\u{feff}bom\u{200b}zwsp\u{e000}\u{10ffff}\u{fffd}",
    "a  b   c    d \n e \r\n f \r\r g\n\n\nh \t\n\t i\u{2028}\n\u{2028}j   \n   k   ",
    "   \n   ",
    "\n \n \n x",
    " \u{a0}\n\u{a0} !",
    "!?\n\n\nx ...\r\n/path //\n/a/b\n/ ///\r\r\n\n// a\n --\n\n",
    "1 12 123 1234 12345 1,234,567.89 0x1F ½¼²³ ⅷⅸ ٣٤٥٦ 𝟙𝟚𝟛𝟜 1a2b3c a1 1st ①②③④ 三〇一",
    "....!!!!????----====____****####~~~~^^^^&&&&%%%%$$$$@@@@((((([[[[{{{{}}}}]]]])))));;;;::::,,,,''''\"\"\"\"\\\\\\\\||||",
    "<|endoftext|><|fim_prefix|> <|endofprompt|> <|start|>user<|message|>hi<|end|> <|reserved_200013|> <|im_start|>",
    "aGVsbG8gd29ybGQhIFRoaXMgaXMgYmFzZTY0Lg==MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo",
    "d41d8cd98f00b204e9800998ecf8427e https://example.org/a?b=c&d=%20#e mailto:x@y.z C:\\dir\\f.txt ~/.a/b",
    "x y\u{301} 𐐀𐐨𝒜𝒶 𞤀𞤢 ᾈᾀ ꟈꟉ ßẞ ŉ ſt ﬁ K Å 𑀅𑀸 𒀀𒀁 𓀀 𠀀𠀁 🀀",
];

#[test]
fn texts_of_every_kind_count_as_tiktoken_counts_them() {
    for encoding in Encoding::ALL {
        for text in TEXTS {
            same(encoding, text);
            // What stands before a piece must not matter, and what follows must.
            same(encoding, &format!("{text}{text}"));
            same(encoding, &format!(" {text}\n"));
            for (at, _) in text.char_indices() {
                same(encoding, &text[at..]);
                same(encoding, &text[..at]);
            }
        }
        same(encoding, &TEXTS.concat());
        same(encoding, include_str!("tokens_like_tiktoken.rs"));
        same(encoding, include_str!("../../README.md"));
    }
}

#[test]
fn long_pieces_count_as_tiktoken_counts_them() {
    let digits = |n: usize| {
        (0..n)
            .map(|i| ["0", "1", "4", "9", "2", "7"][i * i % 6])
            .collect::<String>()
    };
    let mut random = Random(7);
    for encoding in Encoding::ALL {
        for length in [2, 127, 128, 129, 130, 2047, 2048, 2049, 5000, 20_000] {
            for part in [
                " ", "\t", "\n", "a", "A", "=", "ab", "é", "界", "的是", "\u{301}", "🦀", "-=",
                "\r\n", "aB",
            ] {
                same(encoding, &part.repeat(length / part.len()));
            }
            same(encoding, &digits(length));
            let base64: String = (0..length)
                .map(|_| char::from(*random.one_of(BASE64)))
                .collect();
            same(encoding, &base64.to_ascii_lowercase());
            same(encoding, &base64);
            let han: String = (0..length / 3)
                .filter_map(|_| char::from_u32(0x4E00 + random.below(3000)))
                .collect();
            same(encoding, &han);
        }
    }
}

const BASE64: &[u8; 65] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

/// Characters and runs at which the patterns decide something.
const PARTS: &[&str] = &[
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u{a0}",
    "\u{2003}",
    "\u{3000}",
    "\u{85}",
    "\u{2028}",
    "\u{b}",
    "a",
    "b",
    "s",
    "t",
    "e",
    "the",
    "ing",
    "z",
    "A",
    "B",
    "S",
    "T",
    "RE",
    "Ab",
    "é",
    "É",
    "ß",
    "ſ",
    "ж",
    "Ж",
    "ǅ",
    "K",
    "世",
    "界",
    "あ",
    "ª",
    "ʰ",
    "א",
    "ع",
    "ก",
    "\u{e31}",
    "\u{e48}",
    "\u{301}",
    "\u{302}",
    "\u{20dd}",
    "ा",
    "क",
    "0",
    "1",
    "12",
    "345",
    "½",
    "٣",
    "Ⅷ",
    "一",
    "'",
    "'",
    "'s",
    "'S",
    "'ſ",
    "'t",
    "'T",
    "'re",
    "'RE",
    "'rE",
    "'ve",
    "'VE",
    "'m",
    "'M",
    "'ll",
    "'LL",
    "'lL",
    "'d",
    "'D",
    "'l",
    "'r",
    "'v",
    "'x",
    "\u{2019}s",
    "/",
    "//",
    "!",
    ".",
    ",",
    "-",
    "--",
    "==",
    "(",
    ")",
    "{",
    "_",
    "\"",
    "$",
    "€",
    "😀",
    "🦀",
    "\u{200d}",
    "\u{fe0f}",
    "\u{0}",
    "\u{7f}",
    "\u{fffd}",
    "<|endoftext|>",
    "fn ",
    "->",
    "::",
    "#",
    "\\",
    "的",
    "模型",
];

/// A generator by xorshift; the seed is printed when a string counts differently.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        (((self.next() >> 32) * u64::from(limit)) >> 32) as u32
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(u32::try_from(all.len()).unwrap()) as usize]
    }

    /// A string; one in eight parts is any character at all.
    fn string(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(24) {
            match self.below(8) {
                0 => text.extend(char::from_u32(self.below(0x11_0000))),
                1 => text.extend(char::from_u32(self.below(0x3000))),
                _ => text.push_str(self.one_of::<&str>(PARTS)),
            }
        }
        text
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().unwrap())
}

#[test]
fn random_strings_count_as_tiktoken_counts_them() {
    let strings = number("TOKEN_STRINGS").unwrap_or(20_000);
    let seed = number("TOKEN_SEED")
        .unwrap_or_else(|| RandomState::new().hash_one("seed"))
        .max(1);
    eprintln!("TOKEN_SEED={seed} TOKEN_STRINGS={strings}");
    let mut random = Random(seed);
    for _ in 0..strings {
        let text = random.string();
        for encoding in Encoding::ALL {
            same(encoding, &text);
        }
    }
}
