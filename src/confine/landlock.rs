//! Landlock (landlock(7)): rules that a process sets for itself and cannot remove.
//!
//! Turns needs into rules, as far as the kernel supports them. Does not decide who is confined.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::{Identity, KernelRules, PORTS_SINCE};
use crate::core::confinement::{Needs, Ports, Unconfined};
use crate::core::order::SortedSet;

/// The newest version of the rules that was tested; the kernel's version is used if it is older. Later
/// ones also limit datagrams and sockets of files, by which the C library asks caches and resolvers.
const KNOWN: ABI = ABI::V6;

/// Confines this thread, and the threads and programs that it starts, to `needs` permanently.
///
/// Missing directories are skipped. Sockets without a file stay allowed if `abstract_sockets`, since
/// no rule could name one.
pub(super) fn restrict(needs: &Needs, abstract_sockets: bool) -> Result<KernelRules, Unconfined> {
    let refused = |error: RulesetError| Unconfined::Refused(error.to_string());
    let reads = AccessFs::ReadFile | AccessFs::ReadDir;
    // The rights to create, fill, rename over an old file, and remove a file.
    let writes =
        reads | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    let mut rules = rules(&needs.ports, abstract_sockets).map_err(refused)?;
    let mut held = KernelRules::default();
    for (directories, access) in [(&needs.read, reads), (&needs.write, writes)] {
        for directory in directories {
            // A missing or unreachable directory needs no rule. Skipping one that fails for another
            // reason, such as too few descriptors, would lock Homing out of it permanently.
            let open = match PathFd::new(directory) {
                Ok(open) => open,
                Err(error) if is_out_of_reach(&error) => continue,
                Err(error) => return Err(Unconfined::Refused(error.to_string())),
            };
            let Some(identity) = Identity::at(directory) else { continue };
            held.identities.insert(directory.clone(), identity);
            rules = rules.add_rule(PathBeneath::new(open, access)).map_err(refused)?;
        }
    }
    let is_open = |directory: &&PathBuf| held.identities.contains_key(*directory);
    let opened = |directories: &SortedSet<PathBuf>| {
        directories.iter().filter(is_open).cloned().collect::<SortedSet<_>>()
    };
    let (read, write) = (opened(&needs.read), opened(&needs.write));
    held.needs = Needs { read, write, ports: needs.ports.clone() };
    match rules.restrict_self().map_err(refused)?.landlock {
        LandlockStatus::NotEnabled => Err(Unconfined::Disabled),
        LandlockStatus::NotImplemented => Err(Unconfined::Missing),
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            held.abi = kernel_abi.unwrap_or(effective_abi as i32);
            if held.abi < PORTS_SINCE {
                held.needs.ports = Ports::Any;
            }
            Ok(held)
        }
    }
}

/// Whether the error means that there is no directory at the path, or none that Homing may open.
fn is_out_of_reach(error: &PathFdError) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};

    match error {
        PathFdError::OpenCall { source, .. } => {
            matches!(source.kind(), NotADirectory | NotFound | PermissionDenied)
        }
        _ => false,
    }
}

/// Rules that allow nothing but `ports`.
fn rules(ports: &Ports, abstract_sockets: bool) -> Result<RulesetCreated, RulesetError> {
    let mut scopes = Scope::from_all(KNOWN);
    if abstract_sockets {
        scopes.remove(Scope::AbstractUnixSocket);
    }
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp)?
        .scope(scopes)?;
    let rules = match ports {
        Ports::Any => rules,
        Ports::These(_) => rules.handle_access(AccessNet::ConnectTcp)?,
    };
    // Sockets are bound to an address before they connect, and the kernel chooses the port.
    let rules = rules.create()?.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    let connect = |port: &u16| Ok(NetPort::new(*port, AccessNet::ConnectTcp));
    match ports {
        Ports::Any => Ok(rules),
        Ports::These(ports) => rules.add_rules(ports.iter().map(connect)),
    }
}
