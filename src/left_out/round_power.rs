//! `round::power` of a build without token management: no entry has powers, so nothing is asked.

use std::time::Duration;

use super::way::Carrying;
use crate::core::outcome::{Fault, Outcome};
use crate::core::round::{Holder, Subject};
use crate::core::token::upkeep::TokenFacts;

/// Finds out nothing.
#[expect(clippy::unused_async, reason = "it stands for one that awaits")]
pub async fn facts(
    _: &Carrying,
    _: &Holder,
    _: &Subject,
    _: Duration,
) -> Result<TokenFacts, Outcome> {
    Err(Outcome::deferred(Fault::Unread, ""))
}
