//! A store that is opened when it is first needed.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use super::{Store, StoreError};

/// The place of a store, and the store once it is open.
#[derive(Debug)]
pub(crate) struct LazyStore {
    folder: PathBuf,
    store: OnceCell<Store>,
}

impl LazyStore {
    /// Opens nothing.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            store: OnceCell::new(),
        }
    }

    /// The store, opened at the first call; a failed one is tried again by the next.
    pub(crate) async fn open(&self) -> Result<&Store, StoreError> {
        let open = || async {
            let folder = self.folder.clone();
            let opened = tokio::task::spawn_blocking(move || Store::open(&folder)).await;
            opened.unwrap_or(Err(StoreError::Closed))
        };
        self.store.get_or_try_init(open).await
    }

    /// The store, if it is open.
    pub(crate) fn opened(&self) -> Option<&Store> {
        self.store.get()
    }

    /// Takes a store that was opened already, unless one is open.
    pub(crate) fn set(&self, store: Store) {
        let _ = self.store.set(store);
    }
}
