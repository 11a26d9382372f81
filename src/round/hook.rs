//! `on-change`: runs a program of the user with a host's new addresses.

use std::time::Duration;

use crate::core::address::{Addresses, PerFamily};
use crate::core::memory::Key;
use crate::os::program::to_its_end;
use crate::os::user::User;

/// How long a hook may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs `arguments` for the host `key`, as `user` where one is given, with the addresses set
/// `now` and `before`; the error says what went wrong. The program's output is not used.
pub async fn run(
    (arguments, user): (&[String], Option<User>),
    key: &Key,
    now: &PerFamily<Option<Addresses>>,
    before: &PerFamily<Option<Addresses>>,
) -> Result<(), String> {
    let text = |addresses: &Option<Addresses>| {
        addresses.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let variables = [
        ("HOMING_HOST", key.host.to_string()),
        ("HOMING_PROVIDER", key.provider.clone()),
        ("HOMING_IPV4", text(&now.v4)),
        ("HOMING_IPV6", text(&now.v6)),
        ("HOMING_OLD_IPV4", text(&before.v4)),
        ("HOMING_OLD_IPV6", text(&before.v6)),
    ];
    to_its_end((arguments, user), &variables, LIMIT).await
}
