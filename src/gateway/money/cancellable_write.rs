//! What a stop does to a wait.
//!
//! Owns: leaving a wait that holds nothing, and taking back a write that still waits for its turn.
//! Refuses: to leave a booking: what may have been sent is settled first, however long the ledger takes.
//! Invariant: either all of a write is on disk and the caller gets its result, or nothing of it is, now or later.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};

use tokio_util::sync::CancellationToken;

use crate::chat::{Failure, FailureKind};
use crate::store::{Db, Store, StoreError};

/// The result of a wait that holds nothing, unless the user stops first.
pub(in crate::gateway) async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(interrupted()),
        done = work => Ok(done),
    }
}

/// The user stopped the exchange before anything came.
pub(in crate::gateway) fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "stopped")
}

/// Writes in one transaction, unless the user stops first; `None`: nothing of it is written. Another process may keep
/// the ledger locked for seconds, and the store finishes every job that it was handed. So the last act of the job is to
/// check whether it is still wanted, and a stop says so before it returns.
pub(in crate::gateway) async fn write_unless_stopped<T: Send + 'static>(
    stop: &CancellationToken,
    store: &Store,
    write: impl FnOnce(&Db) -> Result<T, StoreError> + Send + 'static,
) -> Result<Option<T>, StoreError> {
    // Set by whichever comes first: the write when all but the commit is done, or the user's stop.
    let decided = Arc::new(AtomicBool::new(false));
    let of_job = Arc::clone(&decided);
    let job = move |db: &mut Db| {
        db.write(|db| {
            let done = write(db)?;
            if of_job.swap(true, AcqRel) {
                Err(StoreError::GivenUp)
            } else {
                Ok(done)
            }
        })
    };
    let mut written = pin!(store.run(job));
    tokio::select! {
        biased;
        written = &mut written => return written.map(Some),
        () = stop.cancelled() => {}
    }
    // It is being committed, which waits for no lock any more.
    if decided.swap(true, AcqRel) {
        written.await.map(Some)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const NAME: &str = "a write that may be taken back";

    fn account() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    /// Keeps the ledger locked, as another process may, until what is returned is dropped.
    fn lock(folder: &std::path::Path) -> mpsc::Sender<()> {
        let (other, (unlock, locked), (told, hears)) = (
            Store::open(folder).unwrap(),
            mpsc::channel(),
            mpsc::channel(),
        );
        std::thread::spawn(move || {
            other.run_blocking(move |db| {
                db.write(|_| {
                    told.send(()).unwrap();
                    let _ = locked.recv();
                    Ok(())
                })
            })
        });
        hears.recv().unwrap();
        unlock
    }

    async fn written(store: &Store) -> Option<u32> {
        store.run(|db| db.remembered::<u32>(NAME)).await.unwrap()
    }

    #[tokio::test]
    async fn a_stop_takes_back_what_waits_for_the_lock() {
        let (folder, store) = account();
        let (stop, unlock) = (CancellationToken::new(), lock(folder.path()));
        let mut write = pin!(write_unless_stopped(&stop, &store, |db| db.remember(NAME, &1)));
        tokio::select! {
            biased;
            written = &mut write => panic!("it did not wait: {written:?}"),
            () = std::future::ready(()) => {}
        }
        stop.cancel();
        assert_eq!(write.await, Ok(None));
        drop(unlock);
        // The job has its turn now, and writes nothing.
        assert_eq!(written(&store).await, None);
    }

    #[tokio::test]
    async fn what_is_being_committed_is_reported_whatever_the_user_does() {
        let (_folder, store) = account();
        let stop = CancellationToken::new();
        let stops = stop.clone();
        // Stopped in the middle of the write: either way both sides say the same.
        let write = write_unless_stopped(&stop, &store, move |db| {
            stops.cancel();
            db.remember(NAME, &1)
        });
        let written_value = write.await.unwrap();
        assert_eq!(written(&store).await, written_value.map(|()| 1));
        assert_eq!(
            write_unless_stopped(&CancellationToken::new(), &store, |db| db
                .remember(NAME, &2))
            .await,
            Ok(Some(()))
        );
        assert_eq!(written(&store).await, Some(2));
    }

    #[tokio::test]
    async fn a_failed_write_is_reported() {
        let (_folder, store) = account();
        let stop = CancellationToken::new();
        let failed = write_unless_stopped::<()>(&stop, &store, |_| Err(StoreError::Full)).await;
        assert_eq!(failed, Err(StoreError::Full));
    }

    #[tokio::test]
    async fn a_wait_ends_with_its_work_or_with_the_stop() {
        let stop = CancellationToken::new();
        assert_eq!(unless_stopped(&stop, std::future::ready(1)).await, Ok(1));
        stop.cancel();
        assert_eq!(
            unless_stopped(&stop, std::future::pending::<()>()).await,
            Err(interrupted())
        );
    }
}
