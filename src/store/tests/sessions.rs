//! Lists, titles, ids, drafts, deletion.

use unicode_segmentation::UnicodeSegmentation;

use super::*;

#[test]
fn a_title_is_the_first_line_that_says_something() {
    for (prompt, title) in [
        ("Why does push move?\nmore", "Why does push move?"),
        ("\n  \n  tabs\tand   spaces \n", "tabs and spaces"),
        ("\u{1b}[31mred", "[31mred"),
        ("", ""),
        (" \n\t", ""),
    ] {
        assert_eq!(title_of(prompt), title, "{prompt:?}");
    }
    let family = "👨‍👩‍👧‍👦";
    for long in ["word ".repeat(40), "ä".repeat(61), family.repeat(30)] {
        let title = title_of(&long);
        assert!(
            title.chars().count() <= 60 && title.ends_with('…'),
            "{title}"
        );
        let kept = title
            .trim_end_matches('…')
            .graphemes(true)
            .all(|g| g == family || g.chars().count() == 1);
        assert!(kept, "cut inside a grapheme: {title}");
    }
    assert_eq!(title_of(&"ä".repeat(60)), "ä".repeat(60));
}

#[test]
fn chats_are_listed_newest_first_with_their_cost() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    for (n, chat) in ["aa1", "aa2", "b"].into_iter().enumerate() {
        let mut begin = begin(chat, chat, None, &format!("question {n}"));
        begin.at = Timestamp(NOON.0 + i64::try_from(n).unwrap());
        ChatLog(&db).begin_exchange(&begin).unwrap();
    }
    let windows = ledger::NOVEMBER;
    Ledger(&db)
        .insert_reservation(
            &reservation("b", "b", "t1", Some(usd("0.02")), NOON),
            NOON,
            &windows,
        )
        .unwrap();
    Ledger(&db)
        .insert_reservation(
            &reservation("b", "b", "t2", Some(usd("0.5")), NOON),
            NOON,
            &windows,
        )
        .unwrap();
    Ledger(&db)
        .settle(&AttemptId::from_text("t2"), &exact("0.001"))
        .unwrap();
    let rows = ChatList(&db).list_sessions(2).unwrap();
    assert_eq!(
        rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(),
        ["b", "aa2"]
    );
    assert_eq!(
        (rows[0].title.as_str(), rows[0].messages, rows[0].cost),
        ("question 2", 2, usd("0.021"))
    );
    assert_eq!(ChatList(&db).latest_session().unwrap(), Some(session("b")));

    assert_eq!(ChatList(&db).find_session("b"), Ok(session("b")));
    assert_eq!(ChatList(&db).find_session("aa1"), Ok(session("aa1")));
    assert_eq!(
        ChatList(&db).find_session("aa"),
        Err(StoreError::AmbiguousSession("aa".to_owned(), 2))
    );
    for none in ["", "c", "%", "a_1", "b'"] {
        assert_eq!(
            ChatList(&db).find_session(none),
            Err(StoreError::NoSession(none.to_owned())),
            "{none:?}"
        );
    }
}

#[test]
fn a_name_given_by_the_user_stays() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "1", None, "first"))
        .unwrap();
    ChatList(&db).rename_session(&session("c"), "Mine").unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "2", Some("1-a"), "second"))
        .unwrap();
    assert_eq!(ChatLog(&db).chat(&session("c")).unwrap().title, "Mine");
    assert!(ChatList(&db).rename_session(&session("none"), "x").is_err());
}

#[test]
fn a_deleted_chat_is_gone_but_its_money_is_not() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "1", None, "secret word"))
        .unwrap();
    ChatLog(&db)
        .append_answer(&message("1-a"), "a streaming piece", "")
        .unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "2", Some("1-a"), "more"))
        .unwrap();
    ChatLog(&db)
        .rewind(&session("c"), &message("2-q"), NOON)
        .unwrap();
    Ledger(&db)
        .insert_reservation(
            &reservation("c", "1", "t", Some(usd("0.02")), NOON),
            NOON,
            &ledger::NOVEMBER,
        )
        .unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("d", "3", None, "stays"))
        .unwrap();

    ChatList(&db).delete_session(&session("c")).unwrap();
    assert!(ChatLog(&db).chat(&session("c")).is_err());
    assert_eq!(ChatSearch(&db).search("secret", 9).unwrap(), []);
    assert_eq!(ChatList(&db).prompt_history(9).unwrap(), ["stays"]);
    let rest: i64 = db
        .conn
        .query_row(
            "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM answer_parts)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rest, 2);
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().reserved,
        usd("0.02")
    );
    assert!(ChatList(&db).delete_session(&session("c")).is_err());
    check(&db).unwrap();
    db.conn
        .execute_batch("INSERT INTO message_words (message_words) VALUES ('integrity-check')")
        .unwrap();
    db.conn
        .execute_batch("INSERT INTO title_words (title_words) VALUES ('integrity-check')")
        .unwrap();
}

#[test]
fn prompts_are_remembered_once_each_newest_last() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    for (n, text) in ["a", "b", "a", "c", "b"].into_iter().enumerate() {
        ChatLog(&db)
            .begin_exchange(&begin(&format!("c{n}"), &format!("x{n}"), None, text))
            .unwrap();
    }
    assert_eq!(ChatList(&db).prompt_history(9).unwrap(), ["a", "c", "b"]);
    assert_eq!(ChatList(&db).prompt_history(2).unwrap(), ["c", "b"]);
    assert_eq!(
        ChatList(&db).prompt_history(0).unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn a_draft_waits_until_it_is_sent() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let setting = ChatSetting {
        selection: Selection::Pinned(model()),
        effort: Some(Effort::High),
        system: Some("Be brief.".to_owned()),
    };
    ChatList(&db)
        .save_draft(&session("c"), &setting, "half a thou", NOON)
        .unwrap();
    assert_eq!(
        ChatList(&db).list_sessions(9).unwrap(),
        [],
        "a draft alone is no chat"
    );
    let chat = ChatLog(&db).chat(&session("c")).unwrap();
    assert_eq!(
        (chat.setting.clone(), chat.draft.as_str()),
        (setting.clone(), "half a thou")
    );

    let mut sent = begin("c", "1", None, "half a thought");
    sent.setting = setting.clone();
    ChatLog(&db).begin_exchange(&sent).unwrap();
    let chat = ChatLog(&db).chat(&session("c")).unwrap();
    assert_eq!(
        (chat.title.as_str(), chat.draft.as_str(), &chat.setting),
        ("half a thought", "", &setting)
    );

    ChatList(&db)
        .save_draft(&session("d"), &setting, "never mind", NOON)
        .unwrap();
    ChatList(&db)
        .save_draft(&session("d"), &setting, "", NOON)
        .unwrap();
    assert!(
        ChatLog(&db).chat(&session("d")).is_err(),
        "an emptied draft leaves nothing"
    );
    ChatList(&db)
        .save_draft(&session("c"), &setting, "", NOON)
        .unwrap();
    ChatList(&db)
        .set_setting(&session("c"), &ChatSetting::default())
        .unwrap();
    assert_eq!(
        ChatLog(&db).chat(&session("c")).unwrap().setting,
        ChatSetting::default()
    );
}

#[test]
fn figures_are_learned_from_what_happened() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    assert_eq!(
        PastExchanges(&db).learned(&model(), NOON).unwrap(),
        Learned::default()
    );
    assert_eq!(
        PastExchanges(&db).overview(NOON).unwrap(),
        Overview::default()
    );
    let outcome = |output, ttft, cache, failure| ExchangeOutcome {
        model: None,
        ended: NOON,
        cache,
        saved: Some(if cache == CacheHit::None {
            Usd::ZERO
        } else {
            usd("0.25")
        }),
        latency: Latency {
            ttft_ms: Some(ttft),
            total_ms: 9000,
            tokens_per_second: Some(100.0),
        },
        finish: Some(Finish::Stop),
        failure,
        usage: Some(Usage::counted(10, output)),
        foreseen: None,
    };
    let failed = crate::chat::Failure::new(crate::chat::FailureKind::Request, "refused");
    let stopped = crate::chat::Failure::new(crate::chat::FailureKind::Interrupted, "stopped");
    let week = 7 * 24 * 3_600_000;
    for (n, (age, outcome)) in [
        (week, outcome(1000, 9999, CacheHit::None, None)),
        (9, outcome(100, 300, CacheHit::None, None)),
        (8, outcome(300, 500, CacheHit::None, None)),
        (7, outcome(7, 1, CacheHit::Memory, None)),
        (
            6,
            ExchangeOutcome {
                finish: None,
                ..outcome(5, 400, CacheHit::None, Some(failed))
            },
        ),
        (
            5,
            ExchangeOutcome {
                finish: Some(Finish::Interrupted),
                ..outcome(5, 200, CacheHit::None, Some(stopped))
            },
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut begin = begin("c", &format!("x{n}"), None, "?");
        begin.at = Timestamp(NOON.0 - age);
        ChatLog(&db).begin_exchange(&begin).unwrap();
        ExchangeLog(&db)
            .finish_exchange(&begin.exchange, &outcome)
            .unwrap();
        assert!(
            ExchangeLog(&db)
                .finish_exchange(&begin.exchange, &outcome)
                .is_err(),
            "it ends once"
        );
    }
    let learned = PastExchanges(&db).learned(&model(), NOON).unwrap();
    assert_eq!(
        learned.expected_output,
        Some(300),
        "the middle of 100, 300 and 1000"
    );
    assert_eq!(
        (learned.ttft_p50_ms, learned.ttft_p95_ms, learned.tps_p50),
        (Some(300), Some(500), Some(100.0))
    );
    assert_eq!((learned.exchanges, learned.errors), (4, 1));
    let overview = PastExchanges(&db).overview(NOON).unwrap();
    assert_eq!(
        (overview.exchanges, overview.cache_hits, overview.errors),
        (5, 1, 1)
    );
    assert_eq!(
        (overview.saved, overview.cache_share()),
        (usd("0.25"), Some(0.2))
    );
    let recent: Vec<_> = PastExchanges(&db)
        .recent(3)
        .unwrap()
        .into_iter()
        .filter_map(|pace| pace.ttft_ms)
        .collect();
    assert_eq!(recent, [500, 400, 200]);
    let other = PastExchanges(&db)
        .learned(&ModelId::new("openai", "gpt-5"), NOON)
        .unwrap();
    assert_eq!(other, Learned::default());
}

#[test]
fn a_draft_left_behind_is_adopted_and_one_in_hand_is_not() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let setting = ChatSetting::default();
    ChatLog(&db)
        .begin_exchange(&begin("old", "1", None, "a question"))
        .unwrap();
    let newest = ChatLog(&db).chat(&session("old")).unwrap().updated;
    ChatList(&db)
        .save_draft(&session("old"), &setting, "left behind", NOON)
        .unwrap();
    assert_eq!(
        ChatList(&db)
            .adopt_draft(&session("new"), &setting, NOON)
            .unwrap(),
        None,
        "this process is writing it"
    );

    db.conn
        .execute(
            "UPDATE sessions SET draft_owner = 'a process that is gone'",
            [],
        )
        .unwrap();
    let adopted = ChatList(&db)
        .adopt_draft(&session("new"), &setting, NOON)
        .unwrap();
    assert_eq!(adopted.as_deref(), Some("left behind"));
    assert_eq!(
        ChatLog(&db).chat(&session("new")).unwrap().draft,
        "left behind"
    );
    let old = ChatLog(&db).chat(&session("old")).unwrap();
    assert_eq!(
        (old.draft.as_str(), old.messages.len()),
        ("", 2),
        "its chat is whole"
    );
    assert!(old.updated >= newest);
}
