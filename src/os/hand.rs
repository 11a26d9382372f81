//! The user for the use of files: root reads and writes the paths of another user's configuration as
//! that user, and the paths of the command line as the caller.
//!
//! Changes the user of this thread alone, for one step; programs get their user when they start.

use std::cell::Cell;
use std::io;

use super::user::User;

/// The user that this thread serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Author {
    /// The user that can change the configuration.
    pub(crate) user: User,
    /// The directory of the configuration by device and inode, where that is root's alone: root put
    /// the configuration there, so what lies beside it may be made there.
    pub(crate) home: Option<(u64, u64)>,
}

thread_local! {
    static AUTHOR: Cell<Option<Author>> = const { Cell::new(None) };
    static IS_CALLER: Cell<bool> = const { Cell::new(false) };
    static STATE_IS_CALLERS: Cell<bool> = const { Cell::new(false) };
}

/// Uses the configuration's paths as `author` from now on; with `None`, as the user of this process.
pub(crate) fn serve(author: Option<Author>) {
    AUTHOR.set(author);
}

/// Notes whether the caller named the state directory, and not the configuration.
pub(crate) fn state_is_the_callers(is: bool) {
    STATE_IS_CALLERS.set(is);
}

/// The user for whom paths are used now, if it is not the one of this process.
pub(crate) fn author() -> Option<Author> {
    if IS_CALLER.get() { None } else { AUTHOR.get() }
}

/// A guard: until it is dropped, paths are used as the caller of Homing.
#[must_use]
pub(crate) struct AsCaller(bool);

/// Uses paths as the caller of Homing, as long as the result lives.
pub(crate) fn as_caller() -> AsCaller {
    AsCaller(IS_CALLER.replace(true))
}

/// Uses paths as the caller if the caller named the state directory, as long as the result lives.
pub(crate) fn of_state() -> Option<AsCaller> {
    STATE_IS_CALLERS.get().then(as_caller)
}

/// The user for the use of the state, if it is not this process's.
pub(crate) fn state_author() -> Option<User> {
    AUTHOR.get().filter(|_| !STATE_IS_CALLERS.get()).map(|author| author.user)
}

/// Gives up the rights of root that Homing never needs, for ever. The rights to use others' files and
/// to act as others stay; if Homing `binds`, also the one that old kernels want for `SO_BINDTODEVICE`.
#[cfg(target_os = "linux")]
pub(crate) fn give_up_rights(binds: bool) {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    if !rustix::process::geteuid().is_root() {
        return;
    }
    let Ok(mut sets) = capabilities(None) else { return };
    let mut needed = CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::KILL
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID;
    if binds {
        needed |= CapabilitySet::NET_RAW;
    }
    sets.permitted &= needed;
    sets.effective &= needed;
    sets.inheritable &= needed;
    // A process with fewer rights has given up these already.
    let _ = set_capabilities(None, sets);
}

/// Does nothing: other systems do not divide the rights of root.
#[cfg(not(target_os = "linux"))]
pub(crate) fn give_up_rights(_: bool) {}

impl Drop for AsCaller {
    fn drop(&mut self) {
        IS_CALLER.set(self.0);
    }
}

#[cfg(target_os = "linux")]
mod disguise {
    use std::io;

    use rustix::process::{Gid, Uid, getegid, getgroups};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

    use crate::os::user::User;

    /// This thread as another user, until it is dropped.
    ///
    /// The real and the saved user stay root: that user can neither signal nor trace this process.
    pub(crate) struct Disguise {
        groups: Vec<Gid>,
        gid: Gid,
    }

    impl Disguise {
        /// `None` when this process has no right to change its user.
        pub(super) fn of(User { uid, gid }: User) -> io::Result<Option<Self>> {
            let (groups, own) = (getgroups()?, getegid());
            let gid = Gid::from_raw(gid);
            match set_thread_groups(&[gid]) {
                Err(rustix::io::Errno::PERM) => return Ok(None),
                result => result?,
            }
            // From here on the user is put back, whatever fails.
            let disguise = Self { groups, gid: own };
            set_thread_res_gid(None, gid, None)?;
            match set_thread_res_uid(None, Uid::from_raw(uid), None) {
                Err(rustix::io::Errno::PERM) => Ok(None),
                result => result.map(|()| Some(disguise)).map_err(Into::into),
            }
        }
    }

    impl Drop for Disguise {
        fn drop(&mut self) {
            let back = set_thread_res_uid(None, Uid::ROOT, None)
                .and_then(|()| set_thread_res_gid(None, self.gid, None))
                .and_then(|()| set_thread_groups(&self.groups));
            // The saved user is root, so the kernel has no reason to refuse.
            debug_assert!(back.is_ok(), "{back:?}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod disguise {
    use std::io;

    use crate::os::user::User;

    /// Never made: on other systems all threads have the same user.
    pub(crate) struct Disguise;

    impl Disguise {
        pub(super) fn of(_: User) -> io::Result<Option<Self>> {
            Ok(None)
        }
    }
}

pub(crate) use disguise::Disguise;

/// This thread as the author of the configuration, as long as the result lives; `None` if it stays.
pub(crate) fn disguised() -> io::Result<Option<Disguise>> {
    author().map_or(Ok(None), |author| Disguise::of(author.user))
}
