//! Progress of a long run on the terminal's stderr, and the user's wish to stop it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Requests between two looks at the bar: looking costs more than simulating one.
const REQUESTS_A_LOOK: u64 = 1 << 14;

/// A progress bar that shows itself only on a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    done: u64,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        let bar = match (quiet, total) {
            (true, _) => ProgressBar::hidden(),
            (false, Some(total)) => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
            (false, None) => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
        };
        let template = match total {
            Some(_) => "{bar:40} {human_pos}/{human_len} requests, {eta} left",
            None => "{spinner} {human_pos} requests",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, done: 0 }
    }

    /// One more request has left.
    pub(crate) fn tick(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(REQUESTS_A_LOOK) {
            self.bar.set_position(self.done);
        }
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Keeps an unknown total moving.
    pub(crate) fn animate(&self) {
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }
}

/// A flag that Ctrl-C sets.
pub(crate) fn interrupt_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    // Without a handler Ctrl-C ends the process at once, which is safe too: files appear whole or not at all.
    let _ = ctrlc::set_handler(move || raised.store(true, Ordering::Relaxed));
    flag
}
