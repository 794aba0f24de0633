//! What a terminal sends for a key.
//!
//! Owns: the names of keys (`Alt-P`, `Shift-F2`, `Ctrl-Home`) and their bytes, as xterm sends them.
//! Invariant: a name that is not known fails the test; nothing is sent for it.

/// `application`: whether the program has switched the cursor keys (DECCKM).
pub fn bytes(name: &str, application: bool) -> Vec<u8> {
    let (mut shift, mut alt, mut ctrl, mut base) = (false, false, false, name);
    while let Some((modifier, rest)) = base.split_once('-').filter(|(_, rest)| !rest.is_empty()) {
        match modifier {
            "Shift" => shift = true,
            "Alt" => alt = true,
            "Ctrl" => ctrl = true,
            _ => panic!("no such modifier: {name}"),
        }
        base = rest;
    }
    let code = 1 + u8::from(shift) + 2 * u8::from(alt) + 4 * u8::from(ctrl);
    let plain = code == 1;
    let letter = |introducer: &str, last: char| {
        if plain {
            format!("\x1b{introducer}{last}")
        } else {
            format!("\x1b[1;{code}{last}")
        }
        .into_bytes()
    };
    let tilde = |number: u8| {
        if plain {
            format!("\x1b[{number}~")
        } else {
            format!("\x1b[{number};{code}~")
        }
        .into_bytes()
    };
    let cursor = if application { "O" } else { "[" };
    let alone = |byte: u8| if alt { vec![0x1b, byte] } else { vec![byte] };
    match base {
        "Enter" if !shift && !ctrl => alone(b'\r'),
        // Only with the enhanced keyboard can a terminal tell these from Enter.
        "Enter" => format!("\x1b[13;{code}u").into_bytes(),
        "Tab" if shift => b"\x1b[Z".to_vec(),
        "Tab" => alone(b'\t'),
        "Esc" => alone(0x1b),
        "Backspace" if ctrl => alone(0x08),
        "Backspace" => alone(0x7f),
        "Space" if ctrl => alone(0),
        "Space" => alone(b' '),
        "Up" => letter(cursor, 'A'),
        "Down" => letter(cursor, 'B'),
        "Right" => letter(cursor, 'C'),
        "Left" => letter(cursor, 'D'),
        "Home" => letter(cursor, 'H'),
        "End" => letter(cursor, 'F'),
        "Insert" => tilde(2),
        "Delete" => tilde(3),
        "PgUp" => tilde(5),
        "PgDn" => tilde(6),
        "F1" => letter("O", 'P'),
        "F2" => letter("O", 'Q'),
        "F3" => letter("O", 'R'),
        "F4" => letter("O", 'S'),
        "F5" => tilde(15),
        "F6" => tilde(17),
        "F7" => tilde(18),
        "F8" => tilde(19),
        "F9" => tilde(20),
        "F10" => tilde(21),
        "F11" => tilde(23),
        "F12" => tilde(24),
        _ => character(name, base, (shift, alt, ctrl)),
    }
}

/// With Alt an upper-case name (`Alt-P`) means the key, not Shift: `Alt-Shift-P` says so.
fn character(name: &str, base: &str, (shift, alt, ctrl): (bool, bool, bool)) -> Vec<u8> {
    let mut chars = base.chars();
    let (Some(mut c), None) = (chars.next(), chars.next()) else {
        panic!("no such key: {name}")
    };
    if shift {
        c = c.to_ascii_uppercase();
    } else if alt || ctrl {
        c = c.to_ascii_lowercase();
    }
    let mut bytes = if alt { vec![0x1b] } else { Vec::new() };
    match (ctrl, c) {
        (false, c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        (true, 'a'..='z' | 'A'..='Z' | '@' | '[' | '\\' | ']' | '^' | '_') => {
            bytes.push(c as u8 & 0x1f);
        }
        (true, '/') => bytes.push(0x1f),
        (true, _) => panic!("terminals send nothing for {name}"),
    }
    bytes
}
