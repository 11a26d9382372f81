//! Says on a terminal what a person is waiting for, when it takes longer than a second.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Whether to say what is waited for: only commands that a person runs do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Waiting {
    speaks: bool,
}

impl Waiting {
    /// Silent, as a daemon is.
    pub const SILENT: Self = Self { speaks: false };

    /// Speaks when standard error is a terminal.
    pub fn on_a_terminal() -> Self {
        Self { speaks: std::io::stderr().is_terminal() }
    }

    /// Awaits `work`, saying `what` after a second.
    pub async fn during<T>(self, what: &str, work: impl Future<Output = T>) -> T {
        if !self.speaks {
            return work.await;
        }
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        // A terminal that has gone away is no reason to stop.
        let _ = writeln!(std::io::stderr(), "… {what}");
        work.await
    }
}
