//! Users of this machine, by their numbers and as `/etc/passwd` names them.
//!
//! Says nothing about what they may do.

use std::fmt;

/// A user of this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct User {
    /// Their number.
    pub uid: u32,
    /// The number of their group.
    pub gid: u32,
}

impl User {
    /// The user without any rights, in nobody's group.
    pub(crate) const NOBODY: Self = Self { uid: 65534, gid: 65534 };

    /// The user `uid` in their own group; in `gid` (never root's) if the system does not know the user.
    pub(crate) fn known(uid: u32, gid: u32) -> Self {
        let gid = if gid == 0 { Self::NOBODY.gid } else { gid };
        Self { uid, gid: account(uid).map_or(gid, |(_, own)| own) }
    }

    /// The user called `name`, if the system knows one.
    #[cfg(feature = "init")]
    pub(crate) fn named(name: &str) -> Option<Self> {
        accounts(|known, _| known == name).map(|(_, user)| user)
    }

    /// Their name for `sudo -u` in a shell (`sudo(8)`).
    pub fn for_sudo(self) -> String {
        account(self.uid).map_or_else(|| format!("'#{}'", self.uid), |(name, _)| name)
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match account(self.uid) {
            Some((name, _)) => f.write_str(&name),
            None => write!(f, "user {}", self.uid),
        }
    }
}

/// The name and the group of the user `uid`.
fn account(uid: u32) -> Option<(String, u32)> {
    accounts(|_, known| known == uid).map(|(name, user)| (name, user.gid))
}

/// The first user that `is_meant` by name and number, with the name (`passwd(5)`).
fn accounts(is_meant: impl Fn(&str, u32) -> bool) -> Option<(String, User)> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    // `homing:x:998:996:…`
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (_, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        let uid = uid.parse().ok().filter(|uid| is_meant(name, *uid))?;
        Some((name.to_owned(), User { uid, gid: gid.parse().ok()? }))
    })
}
