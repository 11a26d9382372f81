//! `suffix` and related keys in `[source.NAME]`: another machine on the link, from keys to a value.

use std::net::{IpAddr, Ipv6Addr};

use super::problems::Notes;
use super::table::Section;
use crate::core::address::prefix::{Neighbour, SHORTEST_DELEGATED, Suffix};

/// The machine that the section describes; `None` when it describes none, or wrongly.
pub(super) fn read_neighbour(section: &Section<'_>, notes: &mut Notes) -> Option<Neighbour> {
    let written_length = section.get("prefix-length");
    let setting = match (section.get("suffix"), section.get("suffix-mac")) {
        (Some(_), Some(mac)) => {
            notes.add(mac.at, &mac.name, "is a second suffix beside suffix; keep one of them");
            return None;
        }
        (suffix, mac) => suffix.or(mac),
    };
    let Some(setting) = setting else {
        if let Some(length) = written_length {
            let what = "has no effect without suffix or suffix-mac; add one, or remove it";
            notes.add(length.at, &length.name, what);
        }
        return None;
    };
    if let Some(count) = section.get("count") {
        let what = "does not work with a suffix; remove one of them";
        notes.add(count.at, &count.name, what);
    }
    let parse = if section.get("suffix").is_some() { written } else { mac };
    let suffix = setting.parsed(notes, parse);
    let prefix_length = match written_length {
        Some(length) => Some(u8::try_from(length.number(1, 127, notes)?).ok()?),
        None => None,
    };
    let neighbour = Neighbour { suffix: suffix?, prefix_length };
    // Without a written length, a delegated prefix may leave room, which is known only when it is seen.
    let room = neighbour.suffix.check_room(prefix_length.unwrap_or(SHORTEST_DELEGATED));
    let fix = match prefix_length {
        Some(_) => "correct one of the two",
        None => "shorten it, or write prefix-length",
    };
    notes.keep(setting.at, &setting.name, room.map_err(|misfit| format!("{misfit}; {fix}")))?;
    Some(neighbour)
}

/// A suffix in the form of an address.
fn written(text: &str) -> Result<Suffix, &'static str> {
    match text.parse() {
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => {
            Err("is empty; write the end of an address, like \"::1:2:3:4\"")
        }
        Ok(IpAddr::V6(suffix)) => Ok(Suffix::Written(suffix)),
        Ok(IpAddr::V4(_)) => {
            Err("is an IPv4 address; a suffix is the end of an IPv6 one, like \"::1:2:3:4\"")
        }
        Err(_) => Err("is not the end of an IPv6 address; write it like \"::1:2:3:4\""),
    }
}

/// The suffix of the network card with this MAC address.
fn mac(text: &str) -> Result<Suffix, &'static str> {
    let byte = |digits: &str| match digits.len() {
        2 => u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.split([':', '-']).map(byte).collect();
    let mac = bytes.and_then(|bytes| bytes.try_into().ok());
    mac.map(Suffix::Mac).ok_or("is not a MAC address; write it like \"00:11:22:33:44:55\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_six_bytes_in_hex() {
        let expect = Ok(Suffix::Mac([0x00, 0x11, 0x22, 0xaa, 0xbb, 0xcc]));
        for right in ["00:11:22:aa:bb:cc", "00-11-22-AA-BB-CC"] {
            assert_eq!(mac(right), expect, "{right}");
        }
        for wrong in ["", "00:11:22:aa:bb", "0:11:22:aa:bb:cc", "+1:11:22:aa:bb:cc", "::1", "é:1"]
        {
            assert!(mac(wrong).is_err(), "{wrong}");
        }
        assert!(mac("00:11:22:aa:bb:cc:dd").is_err());
    }
}
