//! STUN (RFC 8489): the one message that asks for the asker's address, and what its answer says.
//!
//! Pure: the transaction id is an argument, sending is the shell's work. Only the Binding method
//! is used, without authentication.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::core::address::Family;
use crate::core::address::told::of_family;

/// The number by which an answer is recognised: 96 random bits.
pub type TransactionId = [u8; 12];

/// The port of STUN over UDP (section 18.6).
pub const PORT: u16 = 3478;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;

// Message types of the Binding method (section 5).
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;

// Attributes (section 14). All others say nothing about the address.
const MAPPED_ADDRESS: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// What a datagram says instead of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Instead {
    /// It is no answer to the request, and may come from anyone.
    NoAnswer,
    /// It is the answer and says this instead, in words that follow the server's name.
    Answer(String),
}

/// The Binding request that carries `id`.
pub fn request(id: &TransactionId) -> [u8; HEADER] {
    let mut message = [0; HEADER];
    message[..2].copy_from_slice(&REQUEST.to_be_bytes());
    message[4..8].copy_from_slice(&MAGIC_COOKIE);
    message[8..].copy_from_slice(id);
    message
}

/// The asker's address of `family` in the answer to the request that carried `id`.
pub fn address_in(datagram: &[u8], id: &TransactionId, family: Family) -> Result<IpAddr, Instead> {
    let (kind, attributes) = answer(datagram, id).ok_or(Instead::NoAnswer)?;
    let attributes = Attributes(attributes);
    if kind == ERROR {
        return Err(Instead::Answer(refusal(attributes.find(ERROR_CODE))));
    }
    let address = match attributes.find(XOR_MAPPED_ADDRESS) {
        Some(value) => mapped_address(value, &mask(id)),
        // A server of RFC 3489 sends only this; routers may rewrite an address that is not masked.
        None => attributes.find(MAPPED_ADDRESS).and_then(|value| mapped_address(value, &[0; 16])),
    };
    let address =
        address.ok_or_else(|| Instead::Answer("answers without a readable address".to_owned()))?;
    of_family(address, family).map_err(|instead| Instead::Answer(format!("says {instead}")))
}

/// The type and the attributes of a message that answers the request with `id` (section 6.3).
fn answer<'a>(datagram: &'a [u8], id: &TransactionId) -> Option<(u16, &'a [u8])> {
    let (header, attributes) = datagram.split_at_checked(HEADER)?;
    let kind = number(header, 0)?;
    let length = usize::from(number(header, 2)?);
    let is_whole = length == attributes.len() && length.is_multiple_of(4);
    let is_ours = header[4..8] == MAGIC_COOKIE && header[8..] == *id;
    (is_whole && is_ours && matches!(kind, SUCCESS | ERROR)).then_some((kind, attributes))
}

/// What an error response says (section 14.8).
fn refusal(error_code: Option<&[u8]>) -> String {
    match error_code {
        Some([_, _, class, number, ..]) => {
            let code = u16::from(class & 0b111) * 100 + u16::from(*number);
            let meaning = match code {
                300 => " (ask another server)",
                400 => " (bad request)",
                401 => " (it needs a login)",
                500 => " (server error)",
                _ => "",
            };
            format!("answers with the error {code}{meaning}")
        }
        _ => "answers with an error that it does not name".to_owned(),
    }
}

/// The mask with which addresses are exclusive-ored (section 14.2).
fn mask(id: &TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE);
    mask[4..].copy_from_slice(id);
    mask
}

/// The address in the value of (XOR-)MAPPED-ADDRESS (sections 14.1 and 14.2).
fn mapped_address(value: &[u8], mask: &[u8; 16]) -> Option<IpAddr> {
    let (head, address) = value.split_at_checked(4)?;
    let bytes: Vec<u8> = address.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    match (head[1], address.len()) {
        (0x01, 4) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        (0x02, 16) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

/// The attributes of a message, one after the other (section 14).
#[derive(Clone, Copy)]
struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The value of the first attribute of the type `wanted`.
    fn find(mut self, wanted: u16) -> Option<&'a [u8]> {
        while let Some((kind, value)) = self.next() {
            if kind == wanted {
                return Some(value);
            }
        }
        None
    }

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let kind = number(self.0, 0)?;
        let length = usize::from(number(self.0, 2)?);
        let value = self.0.get(4..4 + length)?;
        // Values are padded to a multiple of four bytes.
        self.0 = self.0.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transaction id of RFC 5769's sample messages.
    const ID: TransactionId =
        [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    /// SOFTWARE "test vector", as RFC 5769 pads it.
    const SOFTWARE: &[u8] = b"\x80\x22\x00\x0btest vector ";

    /// XOR-MAPPED-ADDRESS 192.0.2.1, port 32853.
    const XOR_V4: &[u8] = b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";

    /// XOR-MAPPED-ADDRESS 2001:db8:1234:5678:11:2233:4455:6677, port 32853.
    const XOR_V6: &[u8] = b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\
        \xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";

    /// MESSAGE-INTEGRITY and FINGERPRINT of RFC 5769, section 2.2.
    const TAIL: &[u8] = b"\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\
        \xba\x53\xf0\x6b\xe7\xd7\x80\x28\x00\x04\xc0\x7d\x4c\x96";

    /// MAPPED-ADDRESS 192.0.2.1, port 32853.
    const MAPPED: &[u8] = b"\x00\x01\x00\x08\x00\x01\x80\x55\xc0\x00\x02\x01";

    fn message(kind: u16, attributes: &[&[u8]]) -> Vec<u8> {
        let attributes = attributes.concat();
        let length = u16::try_from(attributes.len()).unwrap();
        let head = [kind.to_be_bytes(), length.to_be_bytes()].concat();
        [&head, &MAGIC_COOKIE[..], &ID, &attributes].concat()
    }

    #[track_caller]
    fn check(datagram: &[u8], family: Family, expect: Result<&str, &str>) {
        let expect = expect.map(|address| address.parse().unwrap());
        let found = address_in(datagram, &ID, family);
        assert_eq!(found, expect.map_err(|words| Instead::Answer(words.to_owned())));
    }

    #[track_caller]
    fn check_ignored(datagram: &[u8]) {
        assert_eq!(address_in(datagram, &ID, Family::V4), Err(Instead::NoAnswer));
    }

    #[test]
    fn a_request_is_a_header_and_nothing_else() {
        let expect =
            b"\x00\x01\x00\x00\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
        assert_eq!(&request(&ID), expect);
    }

    #[test]
    fn the_samples_of_rfc_5769_are_read() {
        let v4 = message(SUCCESS, &[SOFTWARE, XOR_V4, TAIL]);
        assert_eq!(v4[..4], [0x01, 0x01, 0x00, 0x3c]);
        check(&v4, Family::V4, Ok("192.0.2.1"));
        let v6 = message(SUCCESS, &[SOFTWARE, XOR_V6, TAIL]);
        assert_eq!(v6[..4], [0x01, 0x01, 0x00, 0x48]);
        check(&v6, Family::V6, Ok("2001:db8:1234:5678:11:2233:4455:6677"));
    }

    #[test]
    fn an_open_address_serves_only_where_there_is_no_other() {
        check(&message(SUCCESS, &[MAPPED]), Family::V4, Ok("192.0.2.1"));
        let other = b"\x00\x01\x00\x08\x00\x01\x80\x55\xcb\x00\x71\x09";
        check(&message(SUCCESS, &[other, XOR_V4]), Family::V4, Ok("192.0.2.1"));
    }

    #[test]
    fn an_address_of_the_other_family_is_refused() {
        let v4 = message(SUCCESS, &[XOR_V4]);
        check(&v4, Family::V6, Err("says 192.0.2.1, which is not an IPv6 address"));
    }

    #[test]
    fn an_answer_without_a_readable_address_is_told() {
        let expect = Err("answers without a readable address");
        check(&message(SUCCESS, &[]), Family::V4, expect);
        check(&message(SUCCESS, &[SOFTWARE]), Family::V4, expect);
        // A length that leads past the end, a family that is none, too few bytes of an address.
        check(&message(SUCCESS, &[b"\x00\x20\x00\x09\x00\x01\x00\x00"]), Family::V4, expect);
        check(&message(SUCCESS, &[b"\x00\x20\x00\x08\x00\x03\0\0\0\0\0\0"]), Family::V4, expect);
        check(&message(SUCCESS, &[b"\x00\x20\x00\x06\x00\x01\0\0\0\0\0\0"]), Family::V4, expect);
    }

    #[test]
    fn an_error_is_told_with_its_code() {
        let login = b"\x00\x09\x00\x08\x00\x00\x04\x01nope";
        check(
            &message(ERROR, &[login]),
            Family::V4,
            Err("answers with the error 401 (it needs a login)"),
        );
        let rare = b"\x00\x09\x00\x04\x00\x00\x06\x63";
        check(&message(ERROR, &[rare, XOR_V4]), Family::V4, Err("answers with the error 699"));
        let nameless = Err("answers with an error that it does not name");
        check(&message(ERROR, &[]), Family::V4, nameless);
    }

    #[test]
    fn what_is_no_answer_to_the_request_is_ignored() {
        let good = message(SUCCESS, &[XOR_V4]);
        for place in [0, 2, 4, 7, 8, 19] {
            let mut wrong = good.clone();
            wrong[place] ^= 0x40;
            check_ignored(&wrong);
        }
        check_ignored(b"");
        check_ignored(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        check_ignored(&message(REQUEST, &[XOR_V4]));
        check_ignored(&[&good[..], &[0; 4]].concat());
    }

    #[test]
    fn no_bytes_are_too_strange() {
        let good = message(SUCCESS, &[SOFTWARE, XOR_V6, TAIL]);
        for end in 0..good.len() {
            assert!(address_in(&good[..end], &ID, Family::V6).is_err());
        }
        for place in HEADER..good.len() {
            for byte in 0..=u8::MAX {
                let mut strange = good.clone();
                strange[place] = byte;
                let _ = address_in(&strange, &ID, Family::V6);
            }
        }
    }
}
