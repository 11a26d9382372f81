//! `on-change`: a program of the user's that is told of a host's new addresses.

use std::time::Duration;

use crate::core::address::{Addresses, PerFamily};
use crate::core::memory::Key;
use crate::os::program::to_its_end;
use crate::os::user::User;

/// How long a hook may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A host's addresses before and after a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The host and its provider.
    pub key: Key,
    /// What is set now.
    pub now: PerFamily<Option<Addresses>>,
    /// What was set before.
    pub before: PerFamily<Option<Addresses>>,
}

/// Runs `arguments` for `change`, as `user` where one is given; the error says what went wrong. What it prints is not used.
pub async fn run(
    (arguments, user): (&[String], Option<User>),
    change: &Change,
) -> Result<(), String> {
    let text = |addresses: &Option<Addresses>| {
        addresses.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let variables = [
        ("HOMING_HOST", change.key.host.to_string()),
        ("HOMING_PROVIDER", change.key.provider.clone()),
        ("HOMING_IPV4", text(&change.now.v4)),
        ("HOMING_IPV6", text(&change.now.v6)),
        ("HOMING_OLD_IPV4", text(&change.before.v4)),
        ("HOMING_OLD_IPV6", text(&change.before.v6)),
    ];
    to_its_end((arguments, user), &variables, LIMIT).await
}
