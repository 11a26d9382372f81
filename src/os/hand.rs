//! As whom files are used: what somebody else's configuration names, root reads and writes as that
//! user; what the command line names, as the caller.
//!
//! Changes the user of this thread alone, for one step; programs get their user when they start.

use std::cell::Cell;
use std::io;

use super::user::User;

/// Whom this thread serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Author {
    /// Who can change the configuration.
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

/// From now on, the paths of the configuration are those of `author`; `None` is of whom Homing runs as.
pub(crate) fn serve(author: Option<Author>) {
    AUTHOR.set(author);
}

/// Whether the state directory was named by whoever called, and not by the configuration.
pub(crate) fn state_is_the_callers(is: bool) {
    STATE_IS_CALLERS.set(is);
}

/// For whom paths are used now, if that is somebody else than this process.
pub(crate) fn author() -> Option<Author> {
    if IS_CALLER.get() { None } else { AUTHOR.get() }
}

/// Until it is dropped, paths are used as whoever called Homing.
#[must_use]
pub(crate) struct AsCaller(bool);

/// Paths are used as whoever called Homing, as long as the result lives.
pub(crate) fn as_caller() -> AsCaller {
    AsCaller(IS_CALLER.replace(true))
}

/// Paths of the state are used as whoever named its directory, as long as the result lives.
pub(crate) fn of_state() -> Option<AsCaller> {
    STATE_IS_CALLERS.get().then(as_caller)
}

/// The user as whom the state is used, if it is not this process's.
pub(crate) fn state_author() -> Option<User> {
    AUTHOR.get().filter(|_| !STATE_IS_CALLERS.get()).map(|author| author.user)
}

/// Gives up the rights of root that Homing never needs, for good. Those to use others' files and to act
/// as others stay; so does the one that older kernels want for `SO_BINDTODEVICE`, if Homing `binds`.
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
    // Whoever has fewer has given them up already.
    let _ = set_capabilities(None, sets);
}

/// Elsewhere root has no rights one by one.
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
        /// `None` when this process has no right to be somebody else.
        pub(super) fn of(User { uid, gid }: User) -> io::Result<Option<Self>> {
            let (groups, own) = (getgroups()?, getegid());
            let gid = Gid::from_raw(gid);
            match set_thread_groups(&[gid]) {
                Err(rustix::io::Errno::PERM) => return Ok(None),
                result => result?,
            }
            // From here on it is put back, whatever fails.
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

    /// Elsewhere there are no threads of several users.
    pub(crate) struct Disguise;

    impl Disguise {
        pub(super) fn of(_: User) -> io::Result<Option<Self>> {
            Ok(None)
        }
    }
}

pub(crate) use disguise::Disguise;

/// This thread as the author of the configuration, as long as the result lives; `None` if it is so.
pub(crate) fn disguised() -> io::Result<Option<Disguise>> {
    author().map_or(Ok(None), |author| Disguise::of(author.user))
}
