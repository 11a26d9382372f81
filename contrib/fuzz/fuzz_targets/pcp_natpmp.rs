//! PCP and NAT-PMP: only the answer to our own request holds an address, and the address stands in it.
#![no_main]

use std::net::Ipv4Addr;

use homing::core::wire::gateway::pcp::Mapping;
use homing::core::wire::gateway::{Instead, Told, natpmp};
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::{Bytes, holds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    let (how, place) = (bytes.byte(), usize::from(bytes.byte()));
    let mapping = Mapping {
        address: Ipv4Addr::from(bytes.array::<4>()),
        port: bytes.word(),
        nonce: bytes.array(),
    };
    let mut datagram = bytes.rest().to_vec();
    if how & 1 == 1 {
        // The answer as a gateway makes it: the request with a code, an address and the bit R.
        let mut answer = mapping.request().to_vec();
        answer[1] |= 0x80;
        answer[3] = datagram.first().copied().unwrap_or_default() & 15;
        let external = datagram.iter().skip(1).copied().chain(std::iter::repeat(0));
        let at = if how & 2 == 2 { 56 } else { 44 };
        answer[at..].iter_mut().zip(external).for_each(|(byte, new)| *byte = new);
        datagram = answer;
    }
    check_pcp(&datagram, &mapping, place);
    check_natpmp(&datagram);
}));

fn check_told(told: &Told, datagram: &[u8]) {
    match told {
        Ok(address) => {
            assert!(!address.is_unspecified());
            assert!(holds(datagram, &address.octets()), "{address} is not in it");
        }
        Err(Instead::NoAddress) => {}
        Err(Instead::Refusal(words)) => assert!(!words.is_empty() && !words.contains('\n')),
    }
}

fn check_pcp(datagram: &[u8], mapping: &Mapping, place: usize) {
    assert_eq!(mapping.address_in(&mapping.request()), None, "our own request came back");
    assert_eq!(mapping.address_in(&mapping.removal()), None, "our own request came back");
    let Some(told) = mapping.address_in(datagram) else { return };
    check_told(&told, datagram);
    if told.is_ok() {
        assert_eq!((datagram[0], datagram[1], datagram[3]), (2, 0x81, 0), "no success");
    }
    let mut nonce = mapping.nonce;
    nonce[place % 12] ^= 1 << (place % 8);
    let port = mapping.port ^ 1 << (place % 16);
    for other in [Mapping { nonce, ..*mapping }, Mapping { port, ..*mapping }] {
        let nobody = other.address_in(datagram);
        assert!(!matches!(nobody, Some(Ok(_))), "an answer to another request");
    }
}

fn check_natpmp(datagram: &[u8]) {
    assert_eq!(natpmp::address_in(&natpmp::REQUEST), None, "our own request came back");
    let Some(told) = natpmp::address_in(datagram) else { return };
    check_told(&told, datagram);
    if told.is_ok() {
        assert_eq!((datagram.len(), &datagram[..4]), (12, &[0, 128, 0, 0][..]), "no success");
    }
}
