//! The kernel's messages: no address, prefix, route or interface that does not stand in them.
#![no_main]

use std::net::IpAddr;

use homing::os::kernel::fuzzing::{Reading, read};
use homing::os::kernel::noted;
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::{Bytes, holds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    if bytes.flag() { check(&made(&mut bytes)) } else { check(bytes.rest()) }
}));

/// A datagram of messages with attributes.
fn made(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut datagram = Vec::new();
    while !bytes.0.is_empty() && datagram.len() < 4096 {
        let (kind, header) = bytes.one_of(&[
            (16_u16, 16),
            (17, 16),
            (20, 8),
            (21, 8),
            (24, 12),
            (25, 12),
            (32, 12),
            (2, 4),
        ]);
        let mut payload = bytes.take(header).to_vec();
        payload.resize(header, 0);
        for _ in 0..bytes.byte() % 8 {
            let (kind, value) = (u16::from(bytes.byte() % 32), bytes.short());
            payload.extend(u16::try_from(4 + value.len()).unwrap_or_default().to_ne_bytes());
            payload.extend(kind.to_ne_bytes());
            payload.extend(value);
            payload.resize(payload.len().next_multiple_of(4), 0);
        }
        datagram.extend(u32::try_from(16 + payload.len()).unwrap_or_default().to_ne_bytes());
        datagram.extend(kind.to_ne_bytes());
        datagram.extend([0; 10]);
        datagram.extend(payload);
    }
    datagram
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn check(datagram: &[u8]) {
    let known: Vec<Reading> = read(datagram);
    for Reading { payload, address, link, route, delegated, .. } in &known {
        assert!(holds(datagram, payload));
        if let Some(listed) = address {
            let number = payload
                .first_chunk::<8>()
                .map(|head| u32::from_ne_bytes([head[4], head[5], head[6], head[7]]));
            assert_eq!(number, Some(listed.address.index));
            assert!(holds(payload, &octets(listed.address.address)), "{listed:?} is not in it");
        }
        if let Some((_, name)) = link {
            let shown = |part: &str| holds(payload, part.as_bytes());
            assert!(name.split('\u{fffd}').all(shown), "{name:?} is not in it");
        }
        let told = route.iter().flat_map(|route| [route.source, route.gateway]).flatten();
        for address in told.chain(delegated.iter().map(|prefix| prefix.address.into())) {
            assert!(holds(payload, &octets(address)), "{address} is not in it");
        }
    }
    assert_eq!(read(datagram), known);
    let changes = noted(datagram);
    for index in &changes.interfaces {
        assert!(holds(datagram, &index.to_ne_bytes()), "interface {index} is not in it");
    }
}
