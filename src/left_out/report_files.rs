//! `drivers::reports::files` of a build without pages: there are none.

use std::pin::Pin;
use std::time::Duration;

use crate::round::Engine;

/// A file being written, by its setting; the error is what went wrong, and the fix.
pub type Writing = (&'static str, Pin<Box<dyn Future<Output = Result<(), (String, String)>>>>);

/// No files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files(());

impl Files {
    /// Never.
    #[expect(clippy::unused_self, reason = "it stands for one that knows")]
    pub fn due(self) -> Option<Duration> {
        None
    }

    /// Never happens.
    #[expect(clippy::unused_self, reason = "it stands for one that knows")]
    pub fn write_again(self) {}

    /// Nothing.
    #[expect(clippy::unused_self, reason = "it stands for one that knows")]
    pub fn writings(self, _: &Engine) -> Vec<Writing> {
        Vec::new()
    }
}
