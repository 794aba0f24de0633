//! The requests to one provider that run at the same time, and those that wait for their turn.
//!
//! Owns: the places, in the order of asking, and the number of those that wait.
//! Refuses: to overtake: a small question does not go before a large one.
//! Invariant: whoever stops waiting, for whatever reason, is not counted any more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{Semaphore, SemaphorePermit};

#[derive(Debug)]
pub(in crate::gateway) struct Queue {
    places: Semaphore,
    waiting: AtomicU64,
}

/// Somebody who waits.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Queue {
    pub(in crate::gateway) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicU64::new(0),
        }
    }

    /// A place, if one is free and nobody waits for it.
    pub(in crate::gateway) fn free(&self) -> Option<SemaphorePermit<'_>> {
        self.places.try_acquire().ok()
    }

    /// Waits for a place; the queue is as long as the number of these futures that are alive.
    pub(in crate::gateway) fn wait(&self) -> impl Future<Output = Option<SemaphorePermit<'_>>> {
        // Counted from here on, before anybody looks at the future for the first time.
        let waiting = Waiting::new(&self.waiting);
        async move {
            // Fails only when the semaphore is closed, which nobody does.
            let permit = self.places.acquire().await.ok();
            drop(waiting);
            permit
        }
    }

    /// How many wait.
    pub(in crate::gateway) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn first_come_first_served_and_who_leaves_is_not_counted() {
        let queue = Queue::new(1);
        let mut context = Context::from_waker(Waker::noop());
        let held = queue.free().unwrap();
        assert!(queue.free().is_none() && queue.waiting() == 0);
        let mut first = pin!(queue.wait());
        let mut gone = Box::pin(queue.wait());
        let mut third = pin!(queue.wait());
        assert_eq!(queue.waiting(), 3);
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(gone.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(gone);
        assert_eq!(queue.waiting(), 2);
        drop(held);
        assert!(queue.free().is_none(), "nobody overtakes");
        assert!(third.as_mut().poll(&mut context).is_pending());
        let Poll::Ready(Some(permit)) = first.as_mut().poll(&mut context) else {
            panic!("its turn")
        };
        assert_eq!(queue.waiting(), 1);
        drop(permit);
        assert!(third.as_mut().poll(&mut context).is_ready());
        assert_eq!(queue.waiting(), 0);
    }
}
