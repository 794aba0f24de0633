//! The requests to one provider that run at the same time, and those that wait for their turn.
//!
//! Owns: the permits, given in the order of asking, and the number of requests that wait.
//! Refuses: to reorder: a small question does not go before a large one.
//! Invariant: a request that stops waiting, for whatever reason, is not counted any more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{Semaphore, SemaphorePermit};

#[derive(Debug)]
pub(in crate::gateway) struct Queue {
    permits: Semaphore,
    waiting: AtomicU64,
}

/// A request that waits; counted until it is dropped.
struct QueuedRequest<'a>(&'a AtomicU64);

impl<'a> QueuedRequest<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for QueuedRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Queue {
    pub(in crate::gateway) fn new(concurrency: usize) -> Self {
        Self {
            permits: Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicU64::new(0),
        }
    }

    /// A permit, if one is free and no request waits for it.
    pub(in crate::gateway) fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.try_acquire().ok()
    }

    /// Waits for a permit; the length of the queue is the number of these futures alive.
    pub(in crate::gateway) fn acquire(&self) -> impl Future<Output = Option<SemaphorePermit<'_>>> {
        // Counted from here on, not from the first poll.
        let waiting = QueuedRequest::new(&self.waiting);
        async move {
            // Fails only when the semaphore is closed, which never happens.
            let permit = self.permits.acquire().await.ok();
            drop(waiting);
            permit
        }
    }

    /// Requests that wait.
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
    fn permits_go_in_the_order_of_asking_and_a_dropped_request_is_not_counted() {
        let queue = Queue::new(1);
        let mut context = Context::from_waker(Waker::noop());
        let held = queue.try_acquire().unwrap();
        assert!(queue.try_acquire().is_none() && queue.waiting() == 0);
        let mut first = pin!(queue.acquire());
        let mut gone = Box::pin(queue.acquire());
        let mut third = pin!(queue.acquire());
        assert_eq!(queue.waiting(), 3);
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(gone.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(gone);
        assert_eq!(queue.waiting(), 2);
        drop(held);
        assert!(
            queue.try_acquire().is_none(),
            "a newcomer does not overtake"
        );
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
