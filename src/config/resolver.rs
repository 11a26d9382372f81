//! The resolvers in a source's `dns`: a built-in one by its name, or a table.

use std::fmt;

use super::problems::Notes;
use super::table::{Section, SectionKind, Setting};
use super::value;
use crate::core::address::{Family, PerFamily};
use crate::core::wire::dns::{Class, Type};
use crate::core::wire::whoami::{self, Resolver};

const EXAMPLE: &str = "{ server = \"192.0.2.53\", name = \"whoami.example.net\" }";

/// Reads one resolver.
pub(super) fn read_resolver(item: &Setting<'_>, notes: &mut Notes) -> Option<Resolver> {
    if item.value.is_table() {
        return table(&mut item.section(EXAMPLE, notes)?, notes);
    }
    let hint = format!("another is written as {EXAMPLE}");
    let unknown = |text: &str| value::not_built_in("resolver", text, whoami::titles(), &hint);
    item.parsed(notes, |text| Resolver::built_in(text).ok_or_else(|| unknown(text)))
}

fn table(section: &mut Section<'_>, notes: &mut Notes) -> Option<Resolver> {
    section.check_keys(SectionKind::Resolver, notes);
    let server = needed(section, "server", notes, |text| value::server(text, whoami::PORT));
    let name = needed(section, "name", notes, value::hostname);
    let class_and_type = class_and_type(section, notes);
    let (server, name, (class, record_type)) = (server?, name?, class_and_type?);
    let at = |family| Some(server.clone()).filter(|server| server.may_be_reached_over(family));
    let servers = PerFamily::from_fn(at);
    let resolver = Resolver { title: server.to_string(), servers, name, class, record_type };
    if !Family::BOTH.into_iter().any(|family| resolver.can_tell(family)) {
        let what = "can never answer: each family needs a server of that family; change the \
            server or the type";
        notes.add(section.at, &*section.name, what);
        return None;
    }
    Some(resolver)
}

/// The value of the setting `key`, read by `parse`; notes if it is missing.
fn needed<T, E: fmt::Display>(
    section: &Section<'_>,
    key: &str,
    notes: &mut Notes,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let Some(setting) = section.get(key) else {
        section.lacks(&[key], format!("needs {key}; write it like {EXAMPLE}"), notes);
        return None;
    };
    setting.parsed(notes, parse)
}

/// The class and the type to ask for; without a type, it depends on the family.
fn class_and_type(section: &Section<'_>, notes: &mut Notes) -> Option<(Class, Option<Type>)> {
    let class = match section.get("class") {
        Some(setting) => setting.parsed(notes, class),
        None => Some(Class::IN),
    };
    let record_type = match section.get("type") {
        Some(setting) => setting.parsed(notes, record_type).map(Some),
        None => Some((class == Some(Class::CH)).then_some(Type::TXT)),
    };
    let (class, record_type) = (class?, record_type?);
    // Chaosnet's own A records do not hold addresses of the Internet.
    if class == Class::CH && record_type != Some(Type::TXT) {
        let what = "has class CH, where the type must be TXT; write type = \"TXT\"";
        notes.add(section.at, &*section.name, what);
        return None;
    }
    Some((class, record_type))
}

fn class(text: &str) -> Result<Class, &'static str> {
    match text {
        "IN" => Ok(Class::IN),
        "CH" => Ok(Class::CH),
        _ => Err("is not a class; write \"IN\" or \"CH\""),
    }
}

fn record_type(text: &str) -> Result<Type, &'static str> {
    match text {
        "A" => Ok(Type::A),
        "AAAA" => Ok(Type::AAAA),
        "TXT" => Ok(Type::TXT),
        _ => Err("is not a type with addresses; write \"A\", \"AAAA\" or \"TXT\""),
    }
}
