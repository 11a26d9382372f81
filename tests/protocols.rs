//! A protocol is known by its manners: this reads the sources and fails when anybody outside of the
//! protocols' own rooms asks which protocol it is, so that a new one can be added without them.

use std::fs;
use std::path::Path;

use homing::core::protocol::manners::Protocol;

use crate::support::sources::files;

/// Where protocols are spoken, and what their tokens can be.
const OWN_ROOMS: [&str; 2] = ["core/protocol", "core/token"];

#[test]
fn nobody_asks_which_protocol_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in files(&root) {
        let is_own = OWN_ROOMS.iter().any(|room| path.starts_with(root.join(room)));
        // Tests may name what they like.
        if is_own || path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
        for (index, line) in lines.enumerate().filter(|(_, line)| asks(line)) {
            found.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
        }
    }
    let count = found.len();
    let found = found.join("\n");
    assert!(count == 0, "{count} lines ask which protocol it is, not for a fact:\n{found}");
}

/// Whether a line compares with one protocol, or matches it; to give one to a new entry is no question.
fn asks(line: &str) -> bool {
    const QUESTIONS: [&str; 5] = ["=>", "==", "!=", "matches!", "let Some("];
    let code = line.split("//").next().unwrap_or_default();
    let is_one = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(char::is_uppercase)
            && letters.next().is_some_and(char::is_lowercase)
    };
    let names_one = code.match_indices("Protocol::").any(|(at, word)| {
        let is_given = code[..at].ends_with("protocol: ")
            && !QUESTIONS.iter().any(|question| code.contains(question));
        is_one(&code[at + word.len()..]) && !is_given
    });
    names_one || code.contains("protocol.word() ==") || code.contains("manners().word ==")
}

#[test]
fn a_question_is_told_from_a_value() {
    for question in [
        "if provider.protocol == Protocol::Desec {",
        "        Protocol::Dyndns2 | Protocol::HostsFile => None,",
        "            | Protocol::Rails",
        "matches!(provider.protocol, Protocol::Desec)",
        "Provider { protocol: Protocol::Desec, .. } => 1,",
        "if protocol.word() == \"desec\" {",
    ] {
        assert!(asks(question), "{question}");
    }
    for value in [
        "Service::Own(Own { name, protocol: Protocol::Rfc2136, settings })",
        "Protocol::ALL.into_iter().find(|protocol| protocol.is_here())",
        "let found = Protocol::named(text);",
        "// as Protocol::Desec does",
    ] {
        assert!(!asks(value), "{value}");
    }
}

#[test]
fn the_list_of_protocols_is_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/protocol/manners.rs");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("pub enum Protocol {").unwrap();
    let (variants, _) = rest.split_once('}').unwrap();
    let variants = variants.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    let variants: Vec<_> = variants.filter_map(|line| line.strip_suffix(',')).collect();
    assert_eq!(Protocol::ALL.map(|protocol| format!("{protocol:?}")).to_vec(), variants);
    assert!(Protocol::ALL.is_sorted_by_key(|protocol| protocol.word()));
    for protocol in Protocol::ALL {
        assert_eq!(Protocol::named(protocol.word()), Some(protocol));
    }
}
