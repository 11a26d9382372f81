//! `on-change`: runs a program of the user with a host's new addresses.

use crate::core::address::{Addresses, PerFamily};
use crate::core::hook::{LIMIT, variables};
use crate::core::memory::Key;
use crate::os::program::to_its_end;
use crate::os::user::User;

/// Runs `arguments` for the host `key`, as `user` where one is given, with the addresses set
/// `now` and `before`; the error says what went wrong. The program's output is not used.
pub async fn run(
    (arguments, user): (&[String], Option<User>),
    key: &Key,
    now: &PerFamily<Option<Addresses>>,
    before: &PerFamily<Option<Addresses>>,
) -> Result<(), String> {
    to_its_end((arguments, user), &variables(key, now, before), LIMIT).await
}
