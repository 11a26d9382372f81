//! PCP (RFC 6887): a mapping is requested only because its answer holds the gateway's address.
//!
//! PCP has no request for the address alone. The mapping leads to the asking socket, which
//! accepts datagrams only from the gateway, and is removed right after use.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Instead, Told, own, refusal};

/// The number by which an answer is recognised: 96 random bits.
pub type Nonce = [u8; 12];

/// The length of a MAP request and of its answer (sections 7 and 11.1).
pub const LENGTH: usize = 60;

const VERSION: u8 = 2;
const MAP: u8 = 1;
/// The bit R: the message is an answer.
const ANSWER: u8 = 0x80;
/// UDP, by its number in IP.
const UDP: u8 = 17;
/// The life of the mapping if its removal is lost, in seconds: the least that a gateway should be
/// asked for (section 15).
const LIFETIME: u32 = 120;
const UNSUPPORTED_VERSION: u8 = 1;

/// The result codes in words, from code 1 on (section 7.4).
const RESULTS: [&str; 13] = [
    "unsupported version",
    "not authorised, or switched off",
    "malformed request",
    "unsupported request",
    "unsupported option",
    "malformed option",
    "its Internet connection is down",
    "out of resources",
    "unsupported protocol",
    "too many mappings of this machine",
    "it cannot provide an external address",
    "it is behind another NAT",
    "too many peers",
];

// The longest message, and the shortest answer (section 7).
const LONGEST: usize = 1100;
const HEADER: usize = 24;

/// A mapping to the asker's own socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mapping {
    /// The asker's address, as the gateway sees it.
    pub address: Ipv4Addr,
    /// The port of the asker's socket.
    pub port: u16,
    /// The number that the gateway repeats in its answer.
    pub nonce: Nonce,
}

impl Mapping {
    /// The request for it.
    pub fn request(&self) -> [u8; LENGTH] {
        self.message(LIFETIME)
    }

    /// The request to remove it (section 15.1).
    pub fn removal(&self) -> [u8; LENGTH] {
        self.message(0)
    }

    fn message(&self, lifetime: u32) -> [u8; LENGTH] {
        let mut message = [0; LENGTH];
        message[..2].copy_from_slice(&[VERSION, MAP]);
        message[4..8].copy_from_slice(&lifetime.to_be_bytes());
        message[8..24].copy_from_slice(&self.address.to_ipv6_mapped().octets());
        message[24..36].copy_from_slice(&self.nonce);
        message[36] = UDP;
        message[40..42].copy_from_slice(&self.port.to_be_bytes());
        // Any external port and any external address, as long as it is one of IPv4.
        message[44..].copy_from_slice(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
        message
    }

    /// The content of the answer to [`Mapping::request`]; `None` for another datagram, which may
    /// come from anyone.
    pub fn address_in(&self, datagram: &[u8]) -> Option<Told> {
        let &[version, opcode, _, code, ..] = datagram else { return None };
        if version != VERSION {
            let is_refusal = opcode & ANSWER != 0 && code == UNSUPPORTED_VERSION;
            let refusal = || Err(Instead::Refusal("does not speak it".to_owned()));
            return is_refusal.then(refusal);
        }
        let has_length =
            (HEADER..=LONGEST).contains(&datagram.len()) && datagram.len().is_multiple_of(4);
        if opcode != MAP | ANSWER || !has_length {
            return None;
        }
        let answer = datagram.get(HEADER..LENGTH)?;
        let is_ours = answer[..12] == self.nonce
            && answer[12] == UDP
            && answer[16..18] == self.port.to_be_bytes();
        if !is_ours {
            return None;
        }
        if code != 0 {
            return Some(Err(refusal(code.into(), &RESULTS)));
        }
        let external = Ipv6Addr::from(<[u8; 16]>::try_from(&answer[20..]).ok()?);
        Some(match external.to_ipv4_mapped() {
            Some(address) => own(address),
            None if external.is_unspecified() => Err(Instead::NoAddress),
            None => {
                Err(Instead::Refusal(format!("returns {external}, which is not an IPv4 address")))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: Mapping =
        Mapping { address: Ipv4Addr::new(192, 168, 1, 2), port: 0x8454, nonce: *b"twelve bytes" };

    /// `::ffff:0:0`, `::ffff:192.168.1.2` and `::ffff:8.8.4.9`.
    const ANY: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0";
    const CLIENT: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\xa8\x01\x02";
    const EXTERNAL: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x08\x08\x04\x09";

    /// The answer with `code` and the external address `external`.
    fn answer(code: u8, external: &[u8]) -> Vec<u8> {
        let head = [2, 0x81, 0, code, 0, 0, 0, 120, 0, 0, 0x58, 0xc3];
        let ports = b"\x11\0\0\0\x84\x54\x10\x01";
        [&head[..], &[0; 12], b"twelve bytes", ports, external].concat()
    }

    #[track_caller]
    fn check_refused(datagram: &[u8], words: &str) {
        let expect = Some(Err(Instead::Refusal(words.to_owned())));
        assert_eq!(MAPPING.address_in(datagram), expect);
    }

    #[track_caller]
    fn check_ignored(datagram: &[u8]) {
        assert_eq!(MAPPING.address_in(datagram), None, "{datagram:?}");
    }

    #[test]
    fn a_request_names_the_asker_and_its_port() {
        let tail = b"twelve bytes\x11\0\0\0\x84\x54\0\0";
        let expect = [b"\x02\x01\0\0\0\0\0\x78", CLIENT, tail, ANY].concat();
        assert_eq!(MAPPING.request(), expect[..]);
        let removal = [b"\x02\x01\0\0\0\0\0\0", CLIENT, tail, ANY].concat();
        assert_eq!(MAPPING.removal(), removal[..]);
    }

    #[test]
    fn the_address_is_read() {
        let good = answer(0, EXTERNAL);
        assert_eq!(MAPPING.address_in(&good), Some(Ok(Ipv4Addr::new(8, 8, 4, 9))));
        // Options may follow.
        let optional = [&good[..], b"\x80\0\0\0"].concat();
        assert_eq!(MAPPING.address_in(&optional), Some(Ok(Ipv4Addr::new(8, 8, 4, 9))));
    }

    #[test]
    fn zeros_are_no_address_and_ipv6_is_another_matter() {
        assert_eq!(MAPPING.address_in(&answer(0, ANY)), Some(Err(Instead::NoAddress)));
        assert_eq!(MAPPING.address_in(&answer(0, &[0; 16])), Some(Err(Instead::NoAddress)));
        let v6 = Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1).octets();
        check_refused(&answer(0, &v6), "returns 2a00::1, which is not an IPv4 address");
    }

    #[test]
    fn refusals_are_told_in_words_whatever_address_stands_beside_them() {
        let full = "answers with the error 8 (out of resources)";
        check_refused(&answer(8, EXTERNAL), full);
        let off = "answers with the error 2 (not authorised, or switched off)";
        check_refused(&answer(2, EXTERNAL), off);
        check_refused(&answer(99, ANY), "answers with the error 99");
    }

    #[test]
    fn another_version_is_told() {
        // NAT-PMP (RFC 6886, section 3.5), and an older PCP.
        check_refused(b"\0\x81\0\x01\0\0\x58\xc3", "does not speak it");
        check_refused(&[&b"\x01\x81\0\x01"[..], &[0; 20]].concat(), "does not speak it");
        check_ignored(b"\0\x80\0\0\0\0\x58\xc3\x08\x08\x04\x09");
    }

    #[test]
    fn what_is_no_answer_to_the_request_is_ignored() {
        // Version, opcode, nonce, protocol, port.
        for place in [0, 1, 24, 35, 36, 40, 41] {
            for code in [0, 8] {
                let mut wrong = answer(code, EXTERNAL);
                wrong[place] ^= 0x40;
                check_ignored(&wrong);
            }
        }
        let good = answer(0, EXTERNAL);
        (0..good.len()).for_each(|end| check_ignored(&good[..end]));
        check_ignored(&[&good[..], b"\0"].concat());
        check_ignored(&[good, vec![0; LONGEST]].concat());
        check_ignored(&MAPPING.request());
    }
}
