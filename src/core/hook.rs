//! Hooks: what the user's programs find in their environment, and how long they may take.

use std::time::Duration;

use super::address::{Addresses, PerFamily};
use super::memory::Key;

/// How long a hook may take.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The variables about the host `key`, with the addresses set `now` and `before`; a family without any
/// is empty.
pub fn variables(
    key: &Key,
    now: &PerFamily<Option<Addresses>>,
    before: &PerFamily<Option<Addresses>>,
) -> Vec<(&'static str, String)> {
    let text = |addresses: &Option<Addresses>| {
        addresses.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    vec![
        ("HOMING_HOST", key.host.to_string()),
        ("HOMING_PROVIDER", key.provider.to_string()),
        ("HOMING_IPV4", text(&now.v4)),
        ("HOMING_IPV6", text(&now.v6)),
        ("HOMING_OLD_IPV4", text(&before.v4)),
        ("HOMING_OLD_IPV6", text(&before.v6)),
    ]
}
