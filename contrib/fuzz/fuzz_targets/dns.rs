//! DNS messages: what is read reads the same again, and no address or zone is in it that was not told.
#![no_main]

use std::net::IpAddr;

use homing::core::address::{Family, PerFamily};
use homing::core::name::Hostname;
use homing::core::protocol::rfc2136;
use homing::core::wire::dns::{Message, Name, Question, ResourceRecord, Type, direct_query, query};
use homing::core::wire::whoami::address_in;
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::{Bytes, holds};
use homing_fuzz::message::{encoded, made};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    if bytes.flag() {
        let message = made(&mut bytes);
        let wire = encoded(&message);
        let read = Message::parse(&wire).expect("what was encoded is a message");
        assert_eq!(Message { last_at: 0, ..read }, message);
        check(&wire);
    } else {
        check(bytes.rest());
    }
}));

fn check(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    assert!(message.last_at <= bytes.len());
    let records = [&message.answers, &message.authority, &message.additional];
    // The data of such a record may hold a pointer, which means something else in another message.
    let is_whole = |record: &&ResourceRecord| {
        record.record_type != Type::NS
            || Name::leading(&record.data).is_ok_and(|(_, rest)| rest.is_empty())
    };
    if records.iter().copied().flatten().all(|record| is_whole(&record)) {
        let again = Message::parse(&encoded(&message)).expect("what was encoded is a message");
        assert_eq!(Message { last_at: message.last_at, ..again }, message);
    }
    let names = message.questions.iter().map(|question| &question.name);
    names.chain(records.into_iter().flatten().map(|record| &record.name)).for_each(check_name);
    for question in &message.questions {
        check_question(question, &message);
    }
}

fn check_name(name: &Name) {
    assert_eq!(
        Name::leading(name.wire()).map(|(name, rest)| (name, rest.len())),
        Ok((name.clone(), 0))
    );
    let text = name.to_string();
    assert!(!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()), "{text:?}");
    if let Some(read) = Name::from_text(&text) {
        assert_eq!(read, *name);
    }
    if let Some(host) = name.hostname() {
        assert_eq!(Name::from(&host), *name);
        assert_eq!(host.as_str().parse::<Hostname>(), Ok(host.clone()));
    }
}

fn check_question(question: &Question, message: &Message) {
    let id = message.header.id;
    assert!(!message.answers(id.wrapping_add(1), question), "another id");
    let is_answer = message.header.is_answer;
    assert!(is_answer || !message.answers(id, question), "a query is no answer");
    for query in [query(id, question), direct_query(id, question)] {
        let asked = Message::parse(&query).expect("our own query is a message");
        assert_eq!(asked.questions, std::slice::from_ref(question));
        assert!(!asked.answers(id, question), "our own query came back");
    }
    for family in Family::BOTH {
        let Ok(address) = address_in(&message.answers, question, family) else { continue };
        assert_eq!(Family::of(address), family);
        let told = |record: &&ResourceRecord| match address {
            IpAddr::V4(address) => record.data == address.octets(),
            IpAddr::V6(address) => record.data == address.octets(),
        };
        let of_text = |record: &&ResourceRecord| {
            let text = String::from_utf8_lossy(&record.data);
            let parts = text.split(|c: char| !(c.is_ascii_hexdigit() || ".:".contains(c)));
            parts.into_iter().any(|part| part.parse() == Ok(address))
                || holds(&record.data, address.to_string().as_bytes())
        };
        let is_text = question.record_type == Type::TXT;
        let mut records = message.answers.iter();
        assert!(records.any(|record| if is_text { of_text(&record) } else { told(&record) }));
    }
    let Some(host) = question.name.hostname() else { return };
    if let Some(zone) = rfc2136::zone_told(message, &host) {
        assert!(host.is_within(&zone), "{host} is not within {zone}");
    }
    assert!(!rfc2136::answers(message, id.wrapping_add(1), &host));
    let wire = rfc2136::message(id, &host, &[], &PerFamily::default(), 60);
    let update = Message::parse(&wire).expect("our own update is a message");
    assert!(!rfc2136::answers(&update, id, &host), "our own update came back");
}
