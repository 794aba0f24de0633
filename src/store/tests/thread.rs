//! The handle and its thread.

use std::time::{Duration, Instant};

use super::*;

#[tokio::test]
async fn clones_share_one_store_and_answers_come_back() {
    let data = folder();
    let store = Store::open(data.path()).unwrap();
    let other = store.clone();
    store
        .run(|db| ChatLog(db).begin_exchange(&begin("c", "x", None, "hi")))
        .await
        .unwrap();
    assert_eq!(
        other.run(|db| ChatList(db).latest_session()).await,
        Ok(Some(session("c")))
    );
    let missing = store.run(|db| ChatLog(db).chat(&session("none"))).await;
    assert_eq!(missing, Err(StoreError::NoSession("none".to_owned())));
}

#[tokio::test]
async fn a_full_queue_makes_the_next_one_wait_and_loses_nothing() {
    let data = folder();
    let store = Store::open(data.path()).unwrap();
    let (go, gate) = std::sync::mpsc::sync_channel::<()>(0);
    let first = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .run(move |_| gate.recv().map_err(|_| StoreError::Closed))
                .await
        }
    });
    let jobs: Vec<_> = (0..600)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.run(move |_| Ok(n)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(move || go.send(()))
        .await
        .unwrap()
        .unwrap();
    first.await.unwrap().unwrap();
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.await.unwrap(), Ok(n));
    }
}

#[tokio::test]
async fn a_job_whose_asker_has_gone_is_still_done() {
    let data = folder();
    let store = Store::open(data.path()).unwrap();
    let (go, gate) = std::sync::mpsc::sync_channel::<()>(1);
    let blocker = store.run(move |_| gate.recv().map_err(|_| StoreError::Closed));
    let asked = store.run(|db| ChatLog(db).begin_exchange(&begin("c", "x", None, "hi")));
    {
        let (mut blocker, mut asked) = (std::pin::pin!(blocker), std::pin::pin!(asked));
        assert!(futures_util::poll!(&mut blocker).is_pending());
        assert!(futures_util::poll!(&mut asked).is_pending());
    }
    go.send(()).unwrap();
    assert_eq!(
        store.run(|db| ChatList(db).latest_session()).await,
        Ok(Some(session("c")))
    );
}

#[test]
fn the_thread_ends_with_the_last_handle_and_closes_the_file() {
    let data = folder();
    let store = Store::open(data.path()).unwrap();
    store
        .run_blocking(|db| ChatLog(db).begin_exchange(&begin("c", "x", None, "hi")))
        .unwrap();
    let log = std::fs::canonicalize(data.path())
        .unwrap()
        .join("chat.db-wal");
    let is_open = || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(|file| file == log)
    };
    assert!(is_open());
    drop(store.clone());
    assert!(
        store
            .run_blocking(|db| ChatList(db).latest_session())
            .is_ok()
    );
    drop(store);
    let end = Instant::now() + Duration::from_mins(1);
    while is_open() {
        assert!(Instant::now() < end, "the thread is still there");
        std::thread::yield_now();
    }
    // What the log holds is not lost: the next process that opens the file reads it.
    let again = Store::open(data.path()).unwrap();
    assert_eq!(
        again.run_blocking(|db| ChatList(db).latest_session()),
        Ok(Some(session("c")))
    );
}
