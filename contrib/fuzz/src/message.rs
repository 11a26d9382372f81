//! DNS messages made of the fuzzer's bytes, and an encoder of its own to hold the decoder against.

use homing::core::wire::dns::{
    Class, Header, Message, Name, Question, Rcode, ResourceRecord, Type,
};

use crate::bytes::Bytes;

/// A message that an encoder can write.
pub fn made(bytes: &mut Bytes<'_>) -> Message {
    let flags = bytes.word();
    let header = Header {
        id: bytes.word(),
        is_answer: flags & 0x8000 != 0,
        opcode: u8::try_from(flags >> 11 & 15).unwrap_or_default(),
        is_authoritative: flags & 0x400 != 0,
        is_truncated: false,
        rcode: Rcode(u8::try_from(flags & 15).unwrap_or_default()),
    };
    let counts: [u8; 4] = bytes.array();
    let questions = (0..counts[0] % 3).map(|_| question(bytes)).collect();
    let mut records = |count: u8| (0..count % 4).map(|_| record(bytes)).collect();
    let (answers, authority) = (records(counts[1]), records(counts[2]));
    let additional = records(counts[3]);
    Message { header, questions, answers, authority, additional, last_at: 0 }
}

/// A name of at most four labels.
pub fn name(bytes: &mut Bytes<'_>) -> Name {
    let mut wire = Vec::new();
    for _ in 0..bytes.byte() % 5 {
        let length = bytes.byte() % 64;
        let label = bytes.take(length.into());
        if let (Ok(length @ 1..), false) = (u8::try_from(label.len()), label.is_empty()) {
            wire.push(length);
            wire.extend(label);
        }
    }
    wire.push(0);
    Name::leading(&wire).map_or_else(|_| Name::root(), |(name, _)| name)
}

fn question(bytes: &mut Bytes<'_>) -> Question {
    let types = [Type::A, Type::AAAA, Type::TXT, Type::SOA, Type::NS, Type(bytes.word())];
    let classes = [Class::IN, Class::CH, Class::NONE, Class::ANY];
    Question { name: name(bytes), record_type: bytes.one_of(&types), class: bytes.one_of(&classes) }
}

fn record(bytes: &mut Bytes<'_>) -> ResourceRecord {
    let Question { name, record_type, class } = question(bytes);
    let data = match record_type {
        Type::NS => self::name(bytes).wire().to_vec(),
        _ => bytes.short().to_vec(),
    };
    ResourceRecord { name, record_type, class, data }
}

/// The bytes of `message`, without compression.
pub fn encoded(message: &Message) -> Vec<u8> {
    let Header { id, is_answer, opcode, is_authoritative, is_truncated, rcode } = message.header;
    let high = u8::from(is_answer) << 7
        | opcode << 3
        | u8::from(is_authoritative) << 2
        | u8::from(is_truncated) << 1;
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([high, rcode.0]);
    let sections = [&message.answers, &message.authority, &message.additional];
    let lengths = sections.map(Vec::len);
    for length in std::iter::once(message.questions.len()).chain(lengths) {
        bytes.extend(short(length));
    }
    for Question { name, record_type, class } in &message.questions {
        bytes.extend(name.wire());
        bytes.extend([record_type.0, class.0].into_iter().flat_map(u16::to_be_bytes));
    }
    sections.into_iter().flatten().for_each(|record| put(&mut bytes, record));
    bytes
}

/// Appends `record` to a message.
pub fn put(bytes: &mut Vec<u8>, record: &ResourceRecord) {
    let ResourceRecord { name, record_type, class, data } = record;
    bytes.extend(name.wire());
    bytes.extend([record_type.0, class.0].into_iter().flat_map(u16::to_be_bytes));
    bytes.extend([0; 4]);
    bytes.extend(short(data.len()));
    bytes.extend(data);
}

/// `length` as two bytes; what a message holds is counted in two.
pub fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or_default().to_be_bytes()
}
