//! DNS messages in words, for the log: what is asked for, what is changed, what is answered.
//!
//! Pure, and for people only: nothing reads these texts.

use std::net::IpAddr;

use super::dns::{Class, Message, ResourceRecord, Type};
use crate::core::feature::Feature;

/// The opcode of an update (RFC 2136, section 2.2).
const UPDATE: u8 = 5;

/// What a message asks for, such as `A dev1.example.com` or `UPDATE example.com`, and the records that
/// it adds and deletes or that answer it; `None` for what is no DNS message.
pub fn in_words(message: &[u8]) -> Option<(String, String)> {
    let message = Message::parse(message).ok()?;
    let question = message.questions.first();
    let name = question.map(|question| question.name.to_string()).unwrap_or_default();
    let is_update = message.header.opcode == UPDATE;
    let asks = match question {
        _ if is_update => "UPDATE".to_owned(),
        Some(question) => word_of(question.record_type),
        None => String::new(),
    };
    if !Feature::NameServers.is_here() {
        // Such a build asks resolvers alone; what they answer is shown by its source.
        return Some(([&asks, " ", &name].concat(), String::new()));
    }
    // The authority section of an update holds the changes (section 2.5).
    let records = if is_update { &message.authority } else { &message.answers };
    let records: Vec<String> =
        records.iter().map(|record| record_in_words(record, is_update)).collect();
    Some(([&asks, " ", &name].concat(), records.join("; ")))
}

/// The name of the response code of a message, such as `NOERROR`.
pub fn status(message: &[u8]) -> Option<String> {
    Some(Message::parse(message).ok()?.header.rcode.name())
}

fn record_in_words(record: &ResourceRecord, is_change: bool) -> String {
    let verb = match record.class {
        _ if !is_change => "",
        Class::IN => "add ",
        _ => "delete ",
    };
    let address = match *record.data {
        [a, b, c, d] => Some(IpAddr::from([a, b, c, d])),
        _ => <[u8; 16]>::try_from(&*record.data).ok().map(IpAddr::from),
    };
    let address = address.filter(|_| matches!(record.record_type, Type::A | Type::AAAA));
    let value = address.map(|address| format!(" {address}")).unwrap_or_default();
    [verb, &record.name.to_string(), " ", &word_of(record.record_type), &value].concat()
}

fn word_of(record_type: Type) -> String {
    let word = match record_type {
        Type::A => "A",
        Type::NS => "NS",
        Type::CNAME => "CNAME",
        Type::SOA => "SOA",
        Type::TXT => "TXT",
        Type::AAAA => "AAAA",
        Type::ANY => "ANY",
        Type(other) => return format!("TYPE{other}"),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::plan::{Update, Wish};
    use crate::core::protocol::rfc2136;
    use crate::core::wire::dns::{Question, query};

    #[test]
    fn messages_are_told_by_what_they_ask_and_change() {
        let host = "dev1.example.com".parse().unwrap();
        let question = Question { record_type: Type::AAAA, ..rfc2136::beginning(&host) };
        let asked = query(7, &question);
        assert_eq!(in_words(&asked), Some(("AAAA dev1.example.com".into(), String::new())));
        assert_eq!(status(&asked).as_deref(), Some("NOERROR"));
        assert_eq!((in_words(b"no message"), status(b"")), (None, None));

        let set = Wish::Set("198.51.100.7".parse::<IpAddr>().unwrap().into());
        let update = Update { host, wishes: PerFamily { v4: set, v6: Wish::Remove } };
        let zone = "example.com".parse().unwrap();
        let message = rfc2136::message(0, &zone, &[update], &PerFamily::default(), 60);
        let changes = "delete dev1.example.com A; add dev1.example.com A 198.51.100.7; \
                       delete dev1.example.com AAAA";
        let changes = if Feature::NameServers.is_here() { changes } else { "" };
        assert_eq!(in_words(&message), Some(("UPDATE example.com".into(), changes.to_owned())));
    }
}
