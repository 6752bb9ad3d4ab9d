//! Progress of a long run on the terminal's stderr, and the user's wish to stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kendall_study::Watch;
use signal_hook::consts::{SIGINT, SIGTERM};

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

/// The progress of runs on several threads, and the wish to stop them.
pub(crate) struct StudyProgress {
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
    /// What the bar counts.
    counts: Counts,
}

/// What the bar of a study counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Requests,
    Runs,
    /// Searches of some runs each.
    Searches,
}

impl StudyProgress {
    /// A bar that shows itself only on a terminal; without a total it counts up.
    pub(crate) fn new(counts: Counts, total: Option<u64>, quiet: bool, interrupted: Arc<AtomicBool>) -> Self {
        let Progress { bar, .. } = Progress::new(total, quiet);
        let style = match (counts, total) {
            (Counts::Requests, _) => None,
            (Counts::Runs, Some(_)) => Some("{bar:40} {human_pos}/{human_len} runs, {eta} left"),
            (Counts::Runs, None) => Some("{spinner} {human_pos} runs"),
            (Counts::Searches, Some(_)) => Some("{bar:40} {human_pos}/{human_len} draws played, {eta} left"),
            (Counts::Searches, None) => Some("{spinner} {human_pos} draws played"),
        };
        if let Some(Ok(style)) = style.map(ProgressStyle::with_template) {
            bar.set_style(style);
        }
        if total.is_none() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, interrupted, counts }
    }

    /// So many runs were done before.
    pub(crate) fn skip(&self, runs: u64) {
        self.bar.inc(runs);
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for StudyProgress {
    fn departed(&self, requests: u64) {
        if self.counts == Counts::Requests {
            self.bar.inc(requests);
        }
    }

    fn finished(&self) {
        if self.counts == Counts::Runs {
            self.bar.inc(1);
        }
    }

    fn settled(&self) {
        if self.counts == Counts::Searches {
            self.bar.inc(1);
        }
    }

    fn wants_to_stop(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// A flag that Ctrl-C sets, and a request to end (SIGTERM).
pub(crate) fn interrupt_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Without a handler the signal ends the process at once, which is safe too: files appear whole or not at all.
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
    }
    let _ = signal_hook::flag::register(SIGTERM, Arc::clone(&ASKED_TO_END));
    flag
}

static ASKED_TO_END: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The exit code of a process that a signal ended: 128 and its number.
pub(crate) fn interrupted_code() -> u8 {
    if ASKED_TO_END.load(Ordering::Relaxed) { 143 } else { 130 }
}
