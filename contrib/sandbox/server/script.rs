//! What a test may make the server do instead of answering properly.
//!
//! Plain values: the shell performs them. A script says whose answer is sent, whether the request
//! takes effect, how long it takes, and how much of it arrives.

use std::time::Duration;

use super::http::{Answer, Request};

/// Which request a script is for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `GET` and so on; `None` for any.
    pub method: Option<String>,
    /// How many requests that would fit are let pass first.
    pub passes: usize,
    /// What its path begins with; `None` for any usual one, such as an update.
    pub path: Option<String>,
}

/// After how many requests the server dies: it goes on listening, but every connection ends
/// without an answer and without an effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Death {
    /// Requests that are still served.
    pub left: usize,
    /// Whether the last of them takes effect without being answered; otherwise it is answered.
    pub performed_last: bool,
}

impl Death {
    /// The fate of the next request; `None` if nothing happens to it.
    pub fn next(&mut self) -> Option<Scripted> {
        let last = self.left == 1;
        match self.left.checked_sub(1) {
            None => Some(Scripted::dropped()),
            Some(left) => {
                self.left = left;
                (last && self.performed_last).then(Scripted::lost_answer)
            }
        }
    }
}

/// What is to happen to the requests to come.
#[derive(Debug, Default)]
pub struct Fates {
    /// Comes before every script.
    pub death: Option<Death>,
    /// In the order in which they were added.
    pub scripts: Vec<(Wanted, Scripted)>,
}

impl Fates {
    /// What is to happen to `request`; `None` if nothing is. `is_usual` is whether a script fits that
    /// names no path.
    pub fn next(&mut self, request: &Request, is_usual: bool) -> Option<Scripted> {
        if let Some(fate) = self.death.as_mut().and_then(Death::next) {
            return Some(fate);
        }
        let at = self.scripts.iter_mut().position(|(wanted, _)| {
            let method = wanted.method.as_ref().is_none_or(|method| *method == request.method);
            let path = match &wanted.path {
                Some(start) => request.path.starts_with(start),
                None => is_usual,
            };
            let meant = method && path;
            let passed = meant && wanted.passes > 0;
            wanted.passes -= usize::from(passed);
            meant && !passed
        })?;
        Some(self.scripts.remove(at).1)
    }
}

/// The fate of one request.
#[derive(Clone, Debug)]
pub struct Scripted {
    /// Sent instead of the account's own answer.
    pub answer: Option<Answer>,
    /// How long the client waits for the first byte, beyond what nginx's pace asks for.
    pub delay: Duration,
    /// How the answer travels.
    pub delivery: Delivery,
    /// Whether the request takes effect: it changes records and uses up budget.
    pub performed: bool,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// The connection is cut after so many bytes, head included; 0 is no answer at all.
    Cut(usize),
    /// One byte at a time with a pause after each.
    Drip(Duration),
    /// The body is sent again and again until the client hangs up, under no stated length.
    Endless,
    /// All at once.
    Whole,
}

impl Scripted {
    /// The account's own answer: a start for the methods below.
    pub fn genuine() -> Self {
        Self { answer: None, delay: Duration::ZERO, delivery: Delivery::Whole, performed: true }
    }

    /// This answer and no effect.
    pub fn answer(answer: Answer) -> Self {
        Self { answer: Some(answer), performed: false, ..Self::genuine() }
    }

    /// The connection is closed without an effect and without an answer.
    pub fn dropped() -> Self {
        Self { delivery: Delivery::Cut(0), performed: false, ..Self::genuine() }
    }

    /// The update is made, but its answer is lost.
    pub fn lost_answer() -> Self {
        Self { delivery: Delivery::Cut(0), ..Self::genuine() }
    }

    /// The update is made, but then the server stumbles: what deSEC does when its name servers
    /// fail after the change was stored.
    pub fn error_after_commit() -> Self {
        let answer = Answer::text(500, "Internal Server Error. We're on it!");
        Self { answer: Some(answer), ..Self::genuine() }
    }

    /// The same, later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same, arriving in another way.
    #[must_use]
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }
}
