//! Making, opening and refusing chat.db.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rusqlite::Connection;

use super::*;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refused(folder: &std::path::Path) -> StoreError {
    let error = Db::open(folder).err().expect("must be refused");
    let sentence = error.to_string();
    assert!(
        !sentence.contains('\n') && sentence.contains(" - "),
        "{sentence}"
    );
    error
}

#[test]
fn folder_and_files_are_for_the_user_alone() {
    let top = folder();
    let data = top.path().join("a").join("b");
    let db = Db::open(&data).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "hi"))
        .unwrap();
    assert_eq!(mode(&data), 0o700);
    for file in [FILE, "chat.db-wal", "chat.db-shm"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    drop(db);
    fs::set_permissions(data.join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
    Db::open(&data).unwrap();
    assert_eq!(mode(&data.join(FILE)), 0o600);
}

#[test]
fn the_connection_is_set_for_safety() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    for (pragma, expected) in [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("foreign_keys", "1"),
        ("user_version", "4"),
    ] {
        let found: String = db
            .conn
            .query_row(
                &format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(found, expected, "{pragma}");
    }
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "hi"))
        .unwrap();
    ChatLog(&db)
        .append_answer(&message("x-a"), "piece", "")
        .unwrap();
    ChatLog(&db)
        .append_answer(&message("missing"), "piece", "")
        .unwrap_err();
    let level: i64 = db
        .conn
        .query_row("PRAGMA synchronous", [], |row| row.get(0))
        .unwrap();
    assert_eq!(
        level, 2,
        "a streaming piece leaves the safe setting behind, also when it fails"
    );
    check(&db).unwrap();
}

#[test]
fn random_bytes_are_an_error_and_stay_as_they_are() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for length in [1, 15, 100, 5000] {
        let data = folder();
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        fs::write(data.path().join(FILE), &bytes).unwrap();
        let error = refused(data.path());
        assert!(matches!(error, StoreError::Damaged(_)), "{length}: {error}");
        assert_eq!(
            fs::read(data.path().join(FILE)).unwrap(),
            bytes,
            "{length} bytes were touched"
        );
    }
}

#[test]
fn a_damaged_page_is_found_and_never_a_panic() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    for n in 0..50 {
        ChatLog(&db)
            .begin_exchange(&begin("c", &format!("x{n}"), None, &"word ".repeat(500)))
            .unwrap();
    }
    drop(db);
    let path = data.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let outcome = Db::open(data.path()).and_then(|db| check(&db));
    assert!(
        matches!(outcome, Err(StoreError::Damaged(_))),
        "{outcome:?}"
    );
}

#[test]
fn an_empty_file_is_a_new_store() {
    let data = folder();
    fs::write(data.path().join(FILE), b"").unwrap();
    assert_eq!(
        ChatList(&Db::open(data.path()).unwrap())
            .list_sessions(9)
            .unwrap(),
        []
    );
}

#[test]
fn a_store_that_lost_its_file_or_its_end_is_not_made_anew() {
    let data = folder();
    let path = data.path().join(FILE);
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "hi"))
        .unwrap();
    let log = fs::read(data.path().join("chat.db-wal")).unwrap();
    drop(db);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..300]).unwrap();
    assert!(matches!(refused(data.path()), StoreError::Damaged(_)));
    assert_eq!(fs::read(&path).unwrap(), whole[..300]);

    fs::write(data.path().join("chat.db-wal"), &log).unwrap();
    for lost in [false, true] {
        fs::write(&path, b"").unwrap();
        if lost {
            fs::remove_file(&path).unwrap();
        }
        assert!(
            matches!(refused(data.path()), StoreError::Damaged(_)),
            "lost: {lost}"
        );
        assert_eq!(path.exists(), !lost, "nothing is put in its place");
        assert_eq!(
            fs::read(data.path().join("chat.db-wal")).unwrap(),
            log,
            "the log still holds what can be saved"
        );
    }
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let data = folder();
    drop(Db::open(data.path()).unwrap());
    Connection::open(data.path().join(FILE))
        .unwrap()
        .pragma_update(None, "user_version", 5)
        .unwrap();
    let before = fs::read(data.path().join(FILE)).unwrap();
    assert_eq!(
        refused(data.path()),
        StoreError::Newer { found: 5, known: 4 }
    );
    assert_eq!(fs::read(data.path().join(FILE)).unwrap(), before);
}

#[test]
fn the_database_of_another_program_is_refused_and_left_alone() {
    let data = folder();
    let path = data.path().join(FILE);
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(refused(data.path()), StoreError::Foreign(path.clone()));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let data = folder();
    let path = data.path().join(FILE);
    symlink("/nowhere/else", &path).unwrap();
    assert_eq!(refused(data.path()), StoreError::NotAFile(path.clone()));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(refused(data.path()), StoreError::NotAFile(path));
    let file = data.path().join("file");
    fs::write(&file, b"x").unwrap();
    assert!(
        matches!(refused(&file), StoreError::Io(_)),
        "a data folder that is a file"
    );
}

#[test]
fn a_locked_store_is_waited_for_and_then_reported() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    db.conn
        .busy_timeout(std::time::Duration::from_millis(50))
        .unwrap();
    let other = Connection::open(data.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(
        ChatLog(&db).begin_exchange(&begin("c", "x", None, "hi")),
        Err(StoreError::Locked)
    );
    assert_eq!(
        ChatList(&db).list_sessions(9).unwrap(),
        [],
        "reading goes on while another writes"
    );
    other.execute_batch("COMMIT").unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "hi"))
        .unwrap();
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_half_done() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "hi"))
        .unwrap();
    let pages: i64 = db
        .conn
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    db.conn
        .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        .unwrap();
    let long = "word ".repeat(20_000);
    assert_eq!(
        ChatLog(&db).begin_exchange(&begin("c", "y", Some("x-a"), &long)),
        Err(StoreError::Full)
    );
    assert_eq!(
        words(&ChatLog(&db).chat(&session("c")).unwrap()),
        ["you: hi", "it: "]
    );
    db.conn
        .query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(()))
        .unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "y", Some("x-a"), &long))
        .unwrap();
}

#[test]
fn a_file_that_may_only_be_read_is_reported() {
    let data = folder();
    let path = data.path().join(FILE);
    drop(Db::open(data.path()).unwrap());
    let uri = format!("file:{}?immutable=1", path.display());
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(uri, flags).unwrap();
    assert_eq!(db::settle_in(&conn, &path), Err(StoreError::ReadOnly(path)));
}

#[test]
fn many_who_open_a_new_store_at_once_all_get_it() {
    let data = folder();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let path = data.path();
                scope.spawn(move || {
                    let db = Db::open(path)?;
                    ChatLog(&db).begin_exchange(&begin(
                        &format!("c{n}"),
                        &format!("x{n}"),
                        None,
                        "hi",
                    ))
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
    assert_eq!(
        ChatList(&Db::open(data.path()).unwrap())
            .list_sessions(99)
            .unwrap()
            .len(),
        8
    );
}

#[test]
fn a_ledger_of_the_first_format_keeps_its_charges_and_gets_the_new_totals() {
    let data = folder();
    let old = Connection::open(data.path().join(FILE)).unwrap();
    old.execute_batch(include_str!("../schema.sql")).unwrap();
    let charge = |attempt: &str, model: &str, state: &str, settled: Option<i64>| {
        old.execute(
            "INSERT INTO charges (attempt, exchange, session, run, model, provider, key_last4, taken_at, day_start,
               day_end, month_start, month_end, state, reserved, settled, kind, price)
             VALUES (?1, 'x', 'c', 'run', ?2, 'openai', '…f3a1', ?3, ?4, ?5, ?6, ?7, ?8, 100, ?9, 'exact', '{}')",
            rusqlite::params![
                attempt,
                model,
                NOON.0,
                ledger::NOVEMBER.day_start.0,
                ledger::NOVEMBER.day_end.0,
                ledger::NOVEMBER.month_start.0,
                ledger::NOVEMBER.month_end.0,
                state,
                settled
            ],
        )
        .unwrap();
    };
    charge("1", "openai/gpt-5-mini", "settled", Some(30));
    charge("2", "openai/gpt-5", "settled", Some(7));
    charge("3", "openai/gpt-5-mini", "held", None);
    charge("4", "openai/gpt-5-mini", "released", None);
    old.execute(
        "UPDATE charges SET kind = 'estimated' WHERE attempt = '2'",
        [],
    )
    .unwrap();
    old.pragma_update(None, "application_id", 0x6368_6174)
        .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);

    let db = Db::open(data.path()).unwrap();
    check(&db).unwrap();
    let uncertain: Vec<String> = Corrections(&db)
        .uncertain(NOON, 9)
        .unwrap()
        .iter()
        .map(|charge| charge.id.to_string())
        .collect();
    assert_eq!(
        uncertain,
        ["2"],
        "an estimate of before can be put right too"
    );
    let key = KeyName {
        provider: "openai",
        last4: "…f3a1",
    };
    for (over, settled, reserved) in [
        (ChargeScope::Run("run"), 37, 100),
        (ChargeScope::Session(&session("c")), 37, 100),
        (ChargeScope::Day(NOON), 37, 100),
        (ChargeScope::ModelDay(&model(), NOON), 30, 100),
        (
            ChargeScope::ModelMonth(&ModelId::new("openai", "gpt-5"), NOON),
            7,
            0,
        ),
        (ChargeScope::KeyDay(key, NOON), 37, 100),
        (ChargeScope::KeyMonth(key, NOON), 37, 100),
        (
            ChargeScope::KeyDay(
                KeyName {
                    provider: "groq",
                    ..key
                },
                NOON,
            ),
            0,
            0,
        ),
        (
            ChargeScope::Month(Timestamp(NOON.0 + 40 * 86_400_000)),
            0,
            0,
        ),
    ] {
        let sum = ScopeSums(&db).sum(over).unwrap();
        assert_eq!(
            (sum.settled, sum.reserved),
            (Usd::from_pico(settled), Usd::from_pico(reserved)),
            "{over:?}"
        );
    }
    Ledger(&db)
        .settle(&AttemptId::from_text("3"), &exact("0.000000000001"))
        .unwrap();
    assert_eq!(
        ScopeSums(&db)
            .sum(ChargeScope::ModelDay(&model(), NOON))
            .unwrap()
            .total(),
        Usd::from_pico(31)
    );
    check(&db).unwrap();
}
