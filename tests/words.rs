//! The words for people: no message of the program, no page and no example uses a word that readers
//! stumble over. A message has a subject, and says what is wrong and what to do.

use std::fs;
use std::path::Path;

use crate::support::home;
use crate::support::sources::{files, texts};

/// What no text for people says, each with what it says instead.
const RIDDLES: [(&str, &str); 36] = [
    ("a person acts", "you fix it"),
    ("a person must", "you must"),
    ("are no address", "are not an address"),
    ("came about", "could connect"),
    ("does not serve", "does not work"),
    ("goes by", "uses"),
    ("half made", "incomplete"),
    ("in its place", "instead"),
    ("in place of", "instead of"),
    ("is no algorithm", "is not an algorithm"),
    ("is no client", "is not a client"),
    ("is no host of", "has no host"),
    ("is no number", "is not a number"),
    ("is no server", "is not a server"),
    ("judges no", "does not check"),
    ("lapse", "expire"),
    ("lapsed", "expired"),
    ("lapses", "expires"),
    ("left aside", "skipped"),
    ("means nothing", "has no effect"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mends", "fixes"),
    ("narrowly", "one by one"),
    ("not proven", "not checked"),
    ("several lines", "several Internet connections"),
    ("stand", "is"),
    ("stands", "is"),
    ("stood", "was"),
    ("tell", "show, report or return"),
    ("tells", "shows, reports or returns"),
    ("told", "said, reported or returned"),
    ("unintelligible answer", "unexpected answer"),
    ("went dead", "timed out"),
    ("what stands", "what is"),
    ("which is no", "which is not a"),
];

/// The phrase of `text` that is a riddle, with what to say instead.
fn riddle(text: &str) -> Option<(&'static str, &'static str)> {
    let is_part = |c: char| c.is_alphanumeric() || "-_.{}".contains(c);
    let mut words = String::from(" ");
    for word in text.replace("\\n", " ").split(|c| !is_part(c)).filter(|word| !word.is_empty()) {
        words.push_str(&word.trim_end_matches('.').to_lowercase());
        words.push(' ');
    }
    RIDDLES.into_iter().find(|(phrase, _)| words.contains(&format!(" {phrase} ")))
}

#[test]
fn a_riddle_is_found_and_names_are_none() {
    assert_eq!(riddle("host[1]: it Stands on line 2").map(|(word, _)| word), Some("stands"));
    assert_eq!(riddle("no address was told.\nnext").map(|(word, _)| word), Some("told"));
    assert_eq!(riddle("run /usr/local/bin/tell-me, homing.told and {told}"), None);
    assert_eq!(riddle("standing understands"), None);
}

/// Texts with their places that hold a riddle, as lines of a complaint.
fn complaints<'a>(path: &Path, texts: impl Iterator<Item = (usize, &'a str)>) -> Vec<String> {
    let complaint = |(line, text): (usize, &str)| {
        let (word, better) = riddle(text)?;
        Some(format!("{}:{line}: not {word:?} but {better:?}: {text}", path.display()))
    };
    texts.filter_map(complaint).collect()
}

#[test]
fn no_message_of_the_program_is_a_riddle() {
    let mut found = Vec::new();
    let (mut paths, mut count) = (files(&home::project().join("src")), 0);
    paths.retain(|path| !path.ends_with("tests.rs"));
    for path in paths {
        let texts = texts(&path);
        // A word alone is a name: a field of the log, a word of a protocol.
        let texts = texts.iter().filter(|(_, text)| text.contains(' '));
        let texts: Vec<_> = texts.map(|(line, text)| (*line, text.as_str())).collect();
        count += texts.len();
        found.extend(complaints(&path, texts.into_iter()));
    }
    assert!(count > 1000, "the texts are not where this test looks: {count}");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn neither_a_page_nor_the_example_is_a_riddle() {
    let mut found = Vec::new();
    let example = home::project().join("config.example.toml");
    for path in home::pages().into_iter().chain([example]) {
        let text = fs::read_to_string(&path).expect("it can be read");
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        found.extend(complaints(&path, lines));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
