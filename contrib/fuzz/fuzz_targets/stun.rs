//! STUN: only the answer to our own request holds an address, and the address stands in it.
#![no_main]

use std::net::IpAddr;

use homing::core::address::Family;
use homing::core::wire::stun::{Instead, TransactionId, address_in, request};
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::{Bytes, holds};
use libfuzzer_sys::fuzz_target;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    let (how, place) = (bytes.byte(), usize::from(bytes.byte()));
    let id: TransactionId = bytes.array();
    let datagram = if how & 1 == 1 { made(&mut bytes, &id) } else { bytes.rest().to_vec() };
    check(&datagram, &id, place);
}));

/// A message of this transaction with attributes.
fn made(bytes: &mut Bytes<'_>, id: &TransactionId) -> Vec<u8> {
    let kind = bytes.one_of(&[0x0101_u16, 0x0101, 0x0111, 0x0001]);
    let mut attributes = Vec::new();
    while !bytes.0.is_empty() && attributes.len() < 200 {
        let kind = bytes.one_of(&[0x0001_u16, 0x0009, 0x0020, 0x8022]);
        let value = match bytes.byte() % 4 {
            0 => [&[0, 1, 0, 0][..], &bytes.array::<4>()].concat(),
            1 => [&[0, 2, 0, 0][..], &bytes.array::<16>()].concat(),
            _ => bytes.short().to_vec(),
        };
        attributes.extend(kind.to_be_bytes());
        attributes.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        attributes.extend(&value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    }
    let length = u16::try_from(attributes.len()).unwrap_or_default();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), &COOKIE, id, &attributes].concat()
}

fn check(datagram: &[u8], id: &TransactionId, place: usize) {
    let mut other = *id;
    other[place % 12] ^= 1 << (place % 8);
    for family in Family::BOTH {
        let nobody = address_in(datagram, &other, family);
        if datagram.get(8..20) != Some(&other[..]) {
            assert_eq!(nobody, Err(Instead::NoAnswer), "an answer to another request");
        }
        match address_in(datagram, id, family) {
            Err(Instead::NoAnswer) => {}
            Err(Instead::Answer(words)) => {
                assert!(!words.is_empty() && !words.contains('\n'), "{words:?}");
            }
            Ok(address) => {
                assert_eq!(datagram.get(..2), Some(&[1, 1][..]), "no success response");
                assert_eq!(Family::of(address), family);
                assert!(is_told(datagram, id, address), "{address} is not in it");
            }
        }
        assert_eq!(address_in(&request(id), id, family), Err(Instead::NoAnswer));
    }
}

/// Whether `address` stands in `datagram`, masked or not.
fn is_told(datagram: &[u8], id: &TransactionId, address: IpAddr) -> bool {
    let mask = [&COOKIE[..], id].concat();
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let masked: Vec<u8> = octets.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    holds(datagram, &octets) || holds(datagram, &masked)
}
