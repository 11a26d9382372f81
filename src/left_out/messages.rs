//! `drivers::reports::messages` of a build without pages: there are none.

use std::pin::Pin;
use std::time::Duration;

use crate::core::round::Event;
use crate::round::Engine;

/// Why a message was not taken: none is sent.
#[derive(Debug)]
pub enum Failure {}

/// A message being sent, with the label of its service.
pub type Sending = Pin<Box<dyn Future<Output = (String, Result<(), Failure>)>>>;

/// No messages.
#[derive(Clone, Copy, Debug)]
pub struct Messages(());

impl Messages {
    /// None.
    pub fn new(_: bool) -> Self {
        Self(())
    }

    /// Takes nothing.
    #[expect(clippy::unused_self, reason = "it stands for one that takes them")]
    pub fn add(self, _: &Engine, _: &[Event]) {}

    /// None.
    #[expect(clippy::unused_self, reason = "it stands for one that knows")]
    pub fn failing(self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Never.
    #[expect(clippy::unused_self, reason = "it stands for one that knows")]
    pub fn due(self) -> Option<Duration> {
        None
    }

    /// Nothing.
    #[expect(clippy::unused_self, reason = "it stands for one that knows")]
    pub fn sendings(self) -> Vec<Sending> {
        Vec::new()
    }

    /// Never called.
    #[expect(clippy::unused_self, reason = "it stands for one that notes it")]
    pub fn note_sent(self, _: &str, result: Result<(), Failure>) -> Result<(), (String, String)> {
        result.map_err(|failure| match failure {})
    }
}
