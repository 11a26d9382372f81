//! NAT-PMP (RFC 6886): the one request that asks for the gateway's address. It changes nothing.

use std::net::Ipv4Addr;

use super::{Instead, Told, own, refusal};

/// The request for the external address (section 3.2): version 0, opcode 0.
pub const REQUEST: [u8; 2] = [0, 0];

/// The bit that is added to the request's opcode in the answer.
const ANSWER: u8 = 128;

/// The result codes in words, from code 1 on (section 3.5).
const RESULTS: [&str; 5] = [
    "unsupported version",
    "not authorised, or switched off",
    "its Internet connection is down",
    "out of resources",
    "unsupported request",
];

/// The content of the answer to [`REQUEST`]; `None` for another datagram, which may be anyone's.
pub fn address_in(datagram: &[u8]) -> Option<Told> {
    Some(match *datagram {
        [0, ANSWER, 0, 0, _, _, _, _, a, b, c, d] => own(Ipv4Addr::new(a, b, c, d)),
        [0, ANSWER, high, low, ..] if high | low != 0 => {
            Err(refusal(u16::from_be_bytes([high, low]), &RESULTS))
        }
        // PCP's refusal of a version other than its own (RFC 6887, section 8.2).
        [1..=u8::MAX, ANSWER..=u8::MAX, _, 1, ..] => {
            Err(Instead::Refusal("does not speak it".to_owned()))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(datagram: &[u8], expect: Result<&str, &str>) {
        let expect = expect.map(|address| address.parse().unwrap());
        let expect = expect.map_err(|words| Instead::Refusal(words.to_owned()));
        assert_eq!(address_in(datagram), Some(expect));
    }

    #[test]
    fn the_address_is_read() {
        check(b"\x00\x80\x00\x00\x00\x00\x58\xc3\x08\x08\x04\x09", Ok("8.8.4.9"));
        let none = b"\x00\x80\x00\x00\x00\x00\x58\xc3\x00\x00\x00\x00";
        assert_eq!(address_in(none), Some(Err(Instead::NoAddress)));
    }

    #[test]
    fn refusals_are_told_in_words_whatever_address_stands_beside_them() {
        let off = b"\x00\x80\x00\x02\x00\x00\x58\xc3\x08\x08\x04\x09";
        check(off, Err("answers with the error 2 (not authorised, or switched off)"));
        check(
            b"\x00\x80\x00\x03\0\0\0\0",
            Err("answers with the error 3 (its Internet connection \
            is down)"),
        );
        check(b"\x00\x80\x01\x00\0\0\0\0", Err("answers with the error 256"));
        check(&[&b"\x02\x80\x00\x01"[..], &[0; 20]].concat(), Err("does not speak it"));
    }

    #[test]
    fn what_is_no_answer_is_ignored() {
        let good = b"\x00\x80\x00\x00\x00\x00\x58\xc3\x08\x08\x04\x09";
        for end in 0..good.len() {
            assert_eq!(address_in(&good[..end]), None, "{end}");
        }
        assert_eq!(address_in(&[&good[..], b"\0"].concat()), None);
        // The request itself, the answer to another request, another version's success.
        assert_eq!(address_in(&REQUEST), None);
        assert_eq!(address_in(b"\0\x81\0\0\0\0\0\0\x08\x08\x04\x09"), None);
        assert_eq!(address_in(b"\x02\x80\0\0\0\0\0\0\x08\x08\x04\x09"), None);
    }
}
