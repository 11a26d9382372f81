//! `on-problem`: runs a program of the user when a host has a problem, and when it is right again.

use crate::core::hook::{LIMIT, variables};
use crate::core::round::Event;
use crate::os::log::Printable;
use crate::os::program::to_its_end;
use crate::os::user::User;

/// Runs `arguments` for `event`, as `user` where one is given; the error says what went wrong. The
/// program's output is not used.
pub async fn run(
    (arguments, user): (&[String], Option<User>),
    event: &Event,
) -> Result<(), String> {
    // A part of the reason may be a server's own words.
    let text = |words: &str| Printable(words).to_string();
    let mut all = variables(&event.key, &event.set, &event.before);
    all.extend([
        ("HOMING_EVENT", event.kind.word().to_owned()),
        ("HOMING_OUTCOME", event.outcome.as_str().to_owned()),
        ("HOMING_REASON", text(&event.reason)),
        ("HOMING_FIX", text(&event.fix)),
    ]);
    to_its_end((arguments, user), &all, LIMIT).await
}
