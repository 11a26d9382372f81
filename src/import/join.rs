//! Joins hosts: the two families of a name, and the names of one block.
//!
//! Old clients may list each family or name alone; Homing has one block per host. Called by `write`.

use super::address::Address;
use super::{Credential, Host, IPV4_ONLY, Refresh, Remark};
use crate::core::address::{Family, PerFamily};
use crate::core::order::SortedMap;

/// `hosts` with families joined, repeated hosts left out, and equal neighbours in one block.
pub(super) fn joined(hosts: Vec<Host>) -> Vec<Host> {
    let mut single: Vec<Host> = Vec::new();
    let mut places = SortedMap::new();
    for host in hosts.into_iter().flat_map(each_name) {
        let key = key(&host);
        let twin = key.as_ref().and_then(|key| places.get(key).copied());
        if let (Some(key), None) = (key, twin) {
            places.insert(key, single.len());
        }
        match twin.map(|place: usize| &mut single[place]) {
            Some(first) if can_join(first, &host) => join(first, host),
            Some(first) => {
                let mut host = host;
                host.leave_out(format!(
                    "it is already on line {}, with other settings; Homing allows a name once for \
                        each service: put both settings into that block",
                    first.line
                ));
                single.push(host);
            }
            None => single.push(host),
        }
    }
    let mut blocks: Vec<Host> = Vec::new();
    for mut host in single {
        match blocks.last_mut() {
            Some(block) if block.line == host.line && is_alike(block, &host) => {
                block.names.append(&mut host.names);
                block.remarks.append(&mut host.remarks);
            }
            _ => blocks.push(host),
        }
    }
    blocks
}

/// One host per name; the first gets the remarks.
fn each_name(host: Host) -> Vec<Host> {
    let mut names = host.names.clone();
    names.dedup();
    if names.is_empty() {
        return vec![host];
    }
    let one = |(place, name): (usize, String)| {
        let remarks = if place == 0 { host.remarks.clone() } else { Vec::new() };
        Host { names: vec![name], remarks, ..host.clone() }
    };
    names.into_iter().enumerate().map(one).collect()
}

/// The key that only one host of a configuration may have; `None` for a host that is left out.
fn key(host: &Host) -> Option<(String, String)> {
    let counts = host.left_out.is_none() && host.service.protocol().is_some();
    let name = host.names.first().filter(|_| counts)?;
    Some((name.trim_end_matches('.').to_lowercase(), host.service.name().to_owned()))
}

/// Whether each host has the family that the other lacks, and the rest is equal.
fn can_join(one: &Host, other: &Host) -> bool {
    let has = |host: &Host| host.addresses.map(|_, address| *address != Address::Off);
    let (a, b) = (has(one), has(other));
    let are_halves = Family::BOTH.into_iter().all(|family| a[family] != b[family]);
    are_halves && (is_served_alike(one, other) || has_secret_each(one, other))
}

/// Whether the service has a secret for each family, and the rest is equal.
fn has_secret_each(one: &Host, other: &Host) -> bool {
    let has_each = one.service.described().is_some_and(|(_, entry)| entry.uses("secret.family"));
    let has_both = one.secret().is_some() && other.secret().is_some();
    let same = Host { credential: one.credential.clone(), ..other.clone() };
    has_each && has_both && is_served_alike(one, &same)
}

/// Whether both send the same data to the same account, wherever their secrets are.
fn is_served_alike(one: &Host, other: &Host) -> bool {
    let has_same_credential = match (&one.credential, &other.credential) {
        (Credential::Text(one, _), Credential::Text(other, _)) => one == other,
        (one, other) => one == other,
    };
    has_same_credential
        && (&one.service, &one.username) == (&other.service, &other.username)
        && (&one.on_change, &one.zone, one.ttl) == (&other.on_change, &other.zone, other.ttl)
        && one.options == other.options
}

fn join(first: &mut Host, second: Host) {
    if first.credential != second.credential && has_secret_each(first, &second) {
        let secrets = [first.secret().cloned(), second.secret().cloned()];
        let [one, other] = secrets;
        // IPv4's stands first.
        let is_v4 = first.addresses.v4 != Address::Off;
        first.join_secret(&if is_v4 { [one, other] } else { [other, one] }, ' ');
    }
    let Host { addresses: PerFamily { v4, v6 }, refresh, line, mut remarks, .. } = second;
    if first.addresses.v4 == Address::Off {
        first.addresses.v4 = v4;
    } else {
        first.addresses.v6 = v6;
    }
    first.refresh = match (first.refresh, refresh) {
        (Some(Refresh::Every(one)), Some(Refresh::Every(other))) => {
            Some(Refresh::Every(one.min(other)))
        }
        (Some(every @ Refresh::Every(_)), _) | (_, Some(every @ Refresh::Every(_))) => Some(every),
        (one, other) => one.or(other),
    };
    first.remarks.append(&mut remarks);
    first.remarks.retain(|remark| remark.text != IPV4_ONLY);
    let what =
        format!("joined with what begins on line {}: one host with both families", first.line);
    first.remarks.push(Remark::info(line, what));
}

/// Whether two hosts differ only in name and remarks.
pub(super) fn is_alike(one: &Host, other: &Host) -> bool {
    is_served_alike(one, other)
        && (&one.addresses, one.refresh) == (&other.addresses, other.refresh)
        && one.left_out == other.left_out
}
