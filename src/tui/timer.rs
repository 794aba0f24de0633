//! The one timer of the screen.
//!
//! Owns: a timer that is set anew only when something is due earlier.
//! Refuses: deadlines; the loop asks for them anew in every turn.
//! Invariant: it may ring too early, once, and never too late; without a deadline it is not waited for.

use std::pin::Pin;
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// Setting a timer wakes the thread that waits for all of them, which costs more than drawing a key. A deadline that
/// moves on with every key and every piece of an answer is therefore waited for with the timer of the one before.
#[derive(Debug, Default)]
pub(crate) struct WakeTimer(Option<(Instant, Pin<Box<Sleep>>)>);

impl WakeTimer {
    /// Waits until then or until an earlier time that was asked for before; for ever without a time.
    pub(crate) async fn until(&mut self, at: Option<Instant>) {
        let Some(at) = at else {
            return std::future::pending().await;
        };
        match &mut self.0 {
            Some((set, _)) if *set <= at => {}
            Some((set, sleep)) => {
                *set = at;
                sleep.as_mut().reset(at.into());
            }
            None => self.0 = Some((at, Box::pin(sleep_until(at.into())))),
        }
        if let Some((_, sleep)) = &mut self.0 {
            sleep.as_mut().await;
        }
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_later_time_is_waited_for_with_the_earlier_timer_and_then_by_itself() {
        let (mut timer, start) = (WakeTimer::default(), tokio::time::Instant::now());
        let after = |ms| Some(start.into_std() + Duration::from_millis(ms));
        let passed = || start.elapsed().as_millis();
        let unfinished = tokio::time::timeout(Duration::from_millis(10), timer.until(after(100)));
        assert!(unfinished.await.is_err());
        timer.until(after(200)).await;
        assert_eq!(passed(), 100, "too early, once");
        timer.until(after(200)).await;
        assert_eq!(passed(), 200);
        let unfinished = tokio::time::timeout(Duration::from_millis(10), timer.until(after(900)));
        assert!(unfinished.await.is_err());
        timer.until(after(300)).await;
        assert_eq!(passed(), 300, "never too late");
    }
}
