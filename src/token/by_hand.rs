//! Credentials whose login is in the configuration, as that of one made by hand is.
//!
//! A new credential has another login, so `homing token` leaves these alone, or refuses them.

use super::{Failure, Holder};
use crate::core::protocol::Credential;
use crate::core::secret::Secret;
use crate::os::say::out;

/// The credential in the secret of `holder`: its login, if it has one, and its secret.
pub fn credential_of(holder: &Holder<'_>, secret: &Secret) -> Result<Credential, Failure> {
    let username = holder.hosts[0].username.clone();
    let parts = holder.provider.credential_in(secret, username.is_some());
    let (login, secret) = parts.map_err(|what| {
        Failure::configuration(format!("its file {what}"), "`homing token issue` writes both")
    })?;
    Ok(Credential { login: username.or(login).unwrap_or_default(), secret })
}

/// Leaves out credentials made by hand, where all hosts are meant, and says so; `noun` is what they are.
pub fn leave_written_logins(holders: &mut Vec<Holder<'_>>, noun: &str) {
    holders.retain(|holder| {
        let is_by_hand = holder.hosts.iter().any(|host| host.username.is_some());
        if is_by_hand {
            out(&format!(
                "{}: left alone: its {noun} was made by hand, because its [[host]] has a username",
                holder.label()
            ));
        }
        !is_by_hand
    });
}

/// Refuses hosts whose login is in the configuration: it changes with the credential, whose name is `noun`.
pub fn refuse_written_logins(holder: &Holder<'_>, noun: &str) -> Result<(), Failure> {
    match holder.hosts.iter().find(|host| host.username.is_some()) {
        None => Ok(()),
        Some(host) => {
            let name = &host.host.key.host;
            Err(Failure::configuration(
                format!("the [[host]] of {name} has a username, which a new {noun} would not have"),
                format!("remove username there: the file will hold that of the {noun} as well"),
            ))
        }
    }
}
