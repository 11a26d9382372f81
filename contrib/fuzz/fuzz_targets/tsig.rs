//! Signed answers: one is accepted only with the key's own signature, and no byte of it can be changed.
#![no_main]

use homing::core::protocol::rfc2136;
use homing::core::wire::dns::{Class, Message, Name, Rcode, ResourceRecord, Type};
use homing::core::wire::tsig::{Algorithm, Check, Complaint, TsigKey, check, sign};
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::Bytes;
use homing_fuzz::message::{encoded, made, name, put, short};
use libfuzzer_sys::fuzz_target;
use ring::hmac;

/// How far clocks may differ, in seconds (RFC 8945, section 10).
const FUDGE: u64 = 300;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    let key = TsigKey { name: name(&mut bytes), algorithm: bytes.one_of(&Algorithm::ALL) };
    if bytes.flag() { own(&key, &mut bytes) } else { foreign(&key, bytes.rest()) }
}));

/// The keyed hash with the secret that both sides know.
fn hash(bytes: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a secret that the fuzzer does not use");
    hmac::sign(&key, bytes).as_ref().to_vec()
}

/// Bytes of somebody who does not know the secret.
fn foreign(key: &TsigKey, bytes: &[u8]) {
    let Ok((message, found)) = check(bytes, b"request", key, 0, &hash) else { return };
    assert!(matches!(found, Check::Unverified(_)), "{found:?}");
    let outcome = rfc2136::outcome(message.header.rcode, found, 0, "ns");
    assert_ne!(outcome, homing::core::outcome::Outcome::Updated);
    assert!(rfc2136::needs_a_second_look(found));
}

/// A signature, as RFC 8945, section 4.2 has it.
struct Signature {
    time: u64,
    fudge: u16,
    error: u16,
    other: Vec<u8>,
}

fn own(key: &TsigKey, bytes: &mut Bytes<'_>) {
    const MOST: u64 = 0xffff_ffff_ffff;
    let now = bytes.long() & MOST;
    let request = sign(encoded(&made(bytes)), key, now, &hash);
    let errors = [0, 0, 0, 16, 17, 18, bytes.word()];
    let apart = u64::from(bytes.word()) % 700;
    let signature = Signature {
        time: if bytes.flag() { now.saturating_sub(apart) } else { (now + apart).min(MOST) },
        fudge: bytes.word(),
        error: bytes.one_of(&errors),
        other: bytes.short().to_vec(),
    };
    let place = usize::from(bytes.word());
    let change = bytes.byte().max(1);
    let message = encoded(&made(bytes));
    let answer = signed(&message, &request.mac, key, &signature);
    let (read, found) = check(&answer, &request.mac, key, now, &hash).expect("it is a message");
    let clock = signature.time.abs_diff(now) > FUDGE.max(signature.fudge.into());
    match found {
        Check::Clock(_) => assert!(clock || signature.error == 18),
        Check::Verified => assert!(!clock && signature.error != 18),
        Check::Unverified(complaint) => panic!("{complaint:?}"),
    }
    let outcome = rfc2136::outcome(read.header.rcode, found, now, "ns");
    let is_right = found == Check::Verified && read.header.rcode == Rcode::NO_ERROR;
    assert_eq!(outcome == homing::core::outcome::Outcome::Updated, is_right);

    // It answers our request, and no other.
    let (_, other) = check(&answer, b"another", key, now, &hash).expect("it is a message");
    assert!(matches!(other, Check::Unverified(_)), "the answer to another request: {other:?}");

    let place = place % answer.len();
    let mut changed = answer.clone();
    changed[place] ^= change;
    // What a forwarder may change (the id), what is not read (the time to live), and the case of names.
    let ttl = message.len() + key.name.wire().len() + 4;
    let is_free = place < 2 || (ttl..ttl + 4).contains(&place);
    let is_case = changed.eq_ignore_ascii_case(&answer);
    if is_free || is_case {
        return;
    }
    if let Ok((_, found)) = check(&changed, &request.mac, key, now, &hash) {
        assert!(matches!(found, Check::Unverified(_)), "byte {place} was changed: {found:?}");
    }
    let cut = &answer[..place];
    if let Ok((_, found)) = check(cut, &request.mac, key, now, &hash) {
        let unsigned = [Complaint::Unsigned, Complaint::Forged].map(Check::Unverified);
        assert!(unsigned.contains(&found), "cut at {place}: {found:?}");
    }
}

/// `message` as a server signs it that answers the request with the signature `request`.
fn signed(message: &[u8], request: &[u8], key: &TsigKey, signature: &Signature) -> Vec<u8> {
    let Signature { time, fudge, error, other } = signature;
    let algorithm = Name::from_text(key.algorithm.word()).expect("it is a name");
    let time = &time.to_be_bytes()[2..];
    let (fudge, error) = (fudge.to_be_bytes(), error.to_be_bytes());
    let tail = [&error[..], &short(other.len()), other].concat();
    let class = Class::ANY.0.to_be_bytes();
    let (name, lowered) = (key.name.lowered(), algorithm.lowered());
    let mac = hash(
        &[
            &short(request.len())[..],
            request,
            message,
            name.wire(),
            &class,
            &[0; 4],
            lowered.wire(),
            time,
            &fudge,
            &tail,
        ]
        .concat(),
    );
    let data =
        [algorithm.wire(), time, &fudge, &short(mac.len()), &mac, &message[..2], &tail].concat();
    let mut bytes = message.to_vec();
    let count = u16::from_be_bytes([bytes[10], bytes[11]]) + 1;
    bytes[10..12].copy_from_slice(&count.to_be_bytes());
    let (name, record_type, class) = (key.name.clone(), Type::TSIG, Class::ANY);
    put(&mut bytes, &ResourceRecord { name, record_type, class, data });
    debug_assert!(Message::parse(&bytes).is_ok());
    bytes
}
