//! The meaning of an answer, by the conditions of an entry. Pure.

use serde_json::Value;

use super::markup;
use super::path::Path;
pub use super::rows::tree_of;
use super::rows::trimmed;
use crate::core::protocol::Answer;

/// A condition on an answer: terms that must all hold, separated by blanks.
///
/// | term | what it means |
/// | --- | --- |
/// | `200`, `4xx` | the status, or its first digit |
/// | `is=TEXT`, `starts=TEXT`, `has=TEXT` | the body as text, without the white space around it, is, begins with or holds TEXT |
/// | `word=TEXT` | TEXT is the first word of a line of the body |
/// | `json` | the body is a tree: JSON or XML ([`tree_of`]) |
/// | `PATH=TEXT` | one of the values at the path has this text: `300` and `"300"` are equal |
/// | `PATH` | something is at the path other than null, false and what is empty |
/// | `!TERM` | the term does not hold |
///
/// A text with blanks is written as `'…'`, and so is an empty one. Comparisons are exact. A path says
/// something about trees alone: without a tree, neither `PATH` nor `!PATH` holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition(Vec<Term>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Term {
    holds_if: bool,
    test: Test,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Test {
    /// A status from the first number to the second.
    Status(u16, u16),
    Text(Part, Box<str>),
    Tree,
    There(Path),
    Value(Path, Box<str>),
}

/// The part of the body that is compared with a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Beginning,
    FirstWord,
    Some,
    Whole,
}

/// What is seen of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The status code.
    pub status: u16,
    /// The body as text, trimmed.
    pub text: &'a str,
    /// The body as a tree, if it is one.
    pub tree: Option<&'a Value>,
}

/// What an answer means, in the order of evaluation: where two of them fit, the earlier one counts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Meaning {
    /// Blocked for abuse.
    Abuse,
    /// This client is blocked.
    Agent,
    /// The account lacks a paid feature.
    Feature,
    /// The clocks are too far apart for a signature or token.
    Skew,
    /// The service asks for a pause.
    Throttled,
    /// The credential itself is wrong: every host that uses it waits for a person.
    Credential,
    /// The credential may not do this, or not from here.
    Forbidden,
    /// The record, or the zone that was looked for, is not there.
    Gone,
    /// The service does not know the host.
    Host,
    /// Something else is being done at this moment.
    Busy,
    /// The service has trouble of its own: the update may have been made.
    Server,
    /// The record had the value already.
    Unchanged,
    /// The service refuses what was asked for.
    Request,
    /// Done.
    Updated,
    /// None of these: the answer says nothing.
    Unintelligible,
}

/// The words for the meanings, in their order.
const WORDS: [&str; 15] = [
    "abuse",
    "agent",
    "feature",
    "skew",
    "throttled",
    "credential",
    "forbidden",
    "gone",
    "host",
    "busy",
    "server",
    "unchanged",
    "request",
    "updated",
    "unintelligible",
];

/// The rules by which an answer to one step has a meaning.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The entry's conditions, sorted by [`Meaning`]; several may have the same one.
    pub answers: &'a [(Meaning, Condition)],
    /// The meaning of an answer in the service's form that no condition fits.
    pub otherwise: Option<Meaning>,
    /// Whether statuses have a meaning by themselves, as in REST (`answers = "rest"`).
    pub rest: bool,
    /// Whether the service answers with web pages, so that refusals count on them (`answers = "pages"`).
    pub pages: bool,
    /// Further conditions of success of this step, as "no records" that is sent as an error.
    pub ok: &'a [Condition],
}

/// The longest text that counts as a line of words, in bytes.
const LONGEST_LINE: usize = 512;

/// What `answer` means, whose body is `tree` (or, for a list, the tree without its records).
///
/// The first row that fits counts. Refusals come before successes, so that an answer with both is a
/// refusal.
///
/// | row | answer | meaning |
/// | --- | --- | --- |
/// | 1 | 429 | throttled |
/// | 2 | a web page that is no tree ([`markup::is_page`]) | `unchanged` or `updated` with a 200, where a condition with a text of the body holds; with `pages`, any condition with such a text; else server with a 5xx, or unintelligible |
/// | | the step's `ok` holds | updated |
/// | 3 | a condition of the entry holds | its meaning; one of statuses alone holds only if the body is a tree, empty, or a line of words |
/// | 4 | 5xx | server |
/// | 5 | a tree with 2xx, 400 or 422, if there is an `otherwise` | that |
/// | 6 | `rest`: 2xx with a tree or nothing, if no condition is for `updated` | updated |
/// | 7 | `rest`: 401, 403, 404 with a tree, nothing or a line of words | credential, forbidden, gone |
/// | | `rest`: 400, 409, 412, 422 with a tree | request |
/// | 8 | every other | unintelligible |
///
/// A redirect (3xx) is never a success. Source: the services' recorded answers; the media type is not
/// looked at, because several send JSON as `text/html`.
pub fn meaning(answer: &Answer, tree: Option<&Value>, rules: &Rules<'_>) -> Meaning {
    let body = String::from_utf8_lossy(&answer.body);
    let seen = Seen { status: answer.status, text: trimmed(&body), tree };
    let Seen { status, text, .. } = seen;
    if status == 429 {
        return Meaning::Throttled;
    }
    if tree.is_none() && markup::is_page(text) {
        return page(&seen, rules);
    }
    let is_redirect = (300..400).contains(&status);
    if !is_redirect && rules.ok.iter().any(|condition| condition.holds(&seen)) {
        return Meaning::Updated;
    }
    let is_plain = tree.is_some() || text.is_empty() || is_line(text);
    let fits = |(meaning, condition): &&(Meaning, Condition)| {
        let counts = !(is_redirect && meaning.is_success())
            && (is_plain || meaning.is_success() || !condition.is_of_status());
        counts && condition.holds(&seen)
    };
    if let Some((meaning, _)) = rules.answers.iter().find(fits) {
        return *meaning;
    }
    let rest = |meaning, fits| if rules.rest && fits { meaning } else { Meaning::Unintelligible };
    match (status, rules.otherwise) {
        (500..=599, _) => Meaning::Server,
        (200..=299 | 400 | 422, Some(otherwise)) if tree.is_some() => otherwise,
        (200..=299, _) => {
            let has_updated = rules.answers.iter().any(|(meaning, _)| *meaning == Meaning::Updated);
            rest(Meaning::Updated, !has_updated && (tree.is_some() || text.is_empty()))
        }
        (401, _) => rest(Meaning::Credential, is_plain),
        (403, _) => rest(Meaning::Forbidden, is_plain),
        (404, _) => rest(Meaning::Gone, is_plain),
        (400 | 409 | 412 | 422, _) => rest(Meaning::Request, tree.is_some()),
        _ => Meaning::Unintelligible,
    }
}

/// What a web page means: the row 2 of [`meaning`].
fn page(seen: &Seen<'_>, rules: &Rules<'_>) -> Meaning {
    let fits = |(meaning, condition): &&(Meaning, Condition)| {
        let counts = if rules.pages { true } else { meaning.is_success() && seen.status == 200 };
        counts && condition.has_text() && condition.holds(seen)
    };
    match (seen.status, rules.answers.iter().find(fits)) {
        (300..=399, _) => Meaning::Unintelligible,
        (_, Some((meaning, _))) => *meaning,
        (500..=599, None) => Meaning::Server,
        _ => Meaning::Unintelligible,
    }
}

/// Whether `text` is one line of words, and not of some format that could not be read.
fn is_line(text: &str) -> bool {
    text.len() <= LONGEST_LINE && !text.contains(['\n', '\r']) && !text.starts_with(['<', '{', '['])
}

impl<'a> Seen<'a> {
    /// What conditions look at in `answer`, whose body is `tree`; nothing where it is not UTF-8.
    pub fn of(answer: &'a Answer, tree: Option<&'a Value>) -> Self {
        let text = std::str::from_utf8(&answer.body).map(trimmed).unwrap_or_default();
        Self { status: answer.status, text, tree }
    }
}

impl Condition {
    /// Reads `text`; the error says which term is wrong, and how.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (term, after) = Term::parse(rest)?;
            terms.push(term);
            rest = after.trim_start();
        }
        if terms.is_empty() {
            return Err("there is no term".to_owned());
        }
        Ok(Self(terms))
    }

    /// Reads a condition on a record (`where`), of which only paths say something.
    pub fn of_rows(text: &str) -> Result<Self, String> {
        let condition = Self::parse(text)?;
        let is_of_rows = |term: &Term| matches!(term.test, Test::There(_) | Test::Value(..));
        if condition.0.iter().all(is_of_rows) {
            return Ok(condition);
        }
        Err(["`", text, "` is not PATH or PATH=VALUE, with or without ! before it"].concat())
    }

    /// Whether every term holds.
    pub fn holds(&self, seen: &Seen<'_>) -> bool {
        self.0.iter().all(|term| term.holds(seen))
    }

    /// Whether the condition holds for a record; see [`Condition::of_rows`].
    pub fn holds_on_row(&self, row: &Value) -> bool {
        self.holds(&Seen { status: 0, text: "", tree: Some(row) })
    }

    /// Whether the condition looks at nothing but the status.
    pub fn is_of_status(&self) -> bool {
        self.0.iter().all(|term| matches!(term.test, Test::Status(..)))
    }

    /// Whether the condition wants a text to be in the body.
    fn has_text(&self) -> bool {
        self.0.iter().any(|term| term.holds_if && matches!(term.test, Test::Text(..)))
    }
}

impl Term {
    /// Reads the term at the beginning of `terms`, and returns what follows.
    fn parse(terms: &str) -> Result<(Self, &str), String> {
        let (holds_if, terms) = terms.strip_prefix('!').map_or((true, terms), |rest| (false, rest));
        let end = terms.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(terms.len());
        let (name, after) = terms.split_at(end);
        let wrong = |what: &str| Err(["`", name, "` ", what].concat());
        let (test, rest) = if let Some(after) = after.strip_prefix('=') {
            let (value, rest) = match after.strip_prefix('\'') {
                Some(quoted) => match quoted.split_once('\'') {
                    Some((value, rest)) if !rest.starts_with(|c: char| !c.is_whitespace()) => {
                        (value, rest)
                    }
                    Some(_) => return wrong("has more behind the closing '"),
                    None => return wrong("has no closing '"),
                },
                None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
            };
            if value.is_empty() && !after.starts_with('\'') {
                return wrong("has no value; an empty one is written as ''");
            }
            let part = match name {
                "has" => Some(Part::Some),
                "is" => Some(Part::Whole),
                "starts" => Some(Part::Beginning),
                "word" => Some(Part::FirstWord),
                _ => None,
            };
            let test = match part {
                Some(Part::Whole) => Test::Text(Part::Whole, value.into()),
                Some(_) if value.is_empty() => return wrong("holds for every answer"),
                Some(part) => Test::Text(part, value.into()),
                None => Test::Value(path(name)?, value.into()),
            };
            (test, rest)
        } else if name == "json" {
            (Test::Tree, after)
        } else if name.starts_with(|c: char| c.is_ascii_digit()) {
            let Some((first, last)) = status(name) else {
                return wrong("is not a status; write one like 200 or 4xx");
            };
            (Test::Status(first, last), after)
        } else {
            (Test::There(path(name)?), after)
        };
        Ok((Self { holds_if, test }, rest))
    }

    fn holds(&self, seen: &Seen<'_>) -> bool {
        let holds = match (&self.test, seen.tree) {
            (Test::Status(first, last), _) => (*first..=*last).contains(&seen.status),
            (Test::Text(part, text), _) => part.fits(seen.text, text),
            (Test::Tree, tree) => tree.is_some(),
            // Otherwise any nonsense would be an answer without an error.
            (Test::There(_) | Test::Value(..), None) => return false,
            (Test::There(path), Some(tree)) => path.find(tree).into_iter().any(is_something),
            (Test::Value(path, text), Some(tree)) => {
                path.texts(tree).iter().any(|found| **found == **text)
            }
        };
        holds == self.holds_if
    }
}

impl Part {
    fn fits(self, body: &str, text: &str) -> bool {
        match self {
            Self::Beginning => body.starts_with(text),
            Self::FirstWord => {
                body.lines().any(|line| line.split_whitespace().next() == Some(text))
            }
            Self::Some => body.contains(text),
            Self::Whole => body == text,
        }
    }
}

/// The path of a term, which has at least one name.
fn path(text: &str) -> Result<Path, String> {
    if text.is_empty() {
        return Err("there is a term without a name".to_owned());
    }
    Path::parse(text)
}

/// The first and the last status that `text` means, as 200 or 4xx.
fn status(text: &str) -> Option<(u16, u16)> {
    let (first, last) = match text.strip_suffix("xx") {
        Some(class) if text.len() == 3 => {
            let first = 100 * class.parse::<u16>().ok()?;
            (first, first + 99)
        }
        _ => (text.parse().ok()?, text.parse().ok()?),
    };
    (100..600).contains(&first).then_some((first, last))
}

/// Whether `value` is neither null nor false nor empty.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Bool(is_true) => *is_true,
        Value::Null => false,
        Value::Number(_) => true,
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
    }
}

impl Meaning {
    /// Those that an entry may name, in the order of evaluation.
    pub const ORDER: [Self; 14] = [
        Self::Abuse,
        Self::Agent,
        Self::Feature,
        Self::Skew,
        Self::Throttled,
        Self::Credential,
        Self::Forbidden,
        Self::Gone,
        Self::Host,
        Self::Busy,
        Self::Server,
        Self::Unchanged,
        Self::Request,
        Self::Updated,
    ];

    /// The meaning that an entry calls `word`.
    pub fn named(word: &str) -> Option<Self> {
        Self::ORDER.into_iter().find(|meaning| meaning.word() == word)
    }

    /// Its name in an entry.
    pub fn word(self) -> &'static str {
        WORDS[self as usize]
    }

    /// Whether the service holds what was asked for.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Unchanged | Self::Updated)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::protocol::http::rows::{NO_TREE, TOO_LARGE, rows};

    fn condition(text: &str) -> Condition {
        Condition::parse(text).unwrap()
    }

    /// Whether `text` holds for an answer with this status and body.
    #[track_caller]
    fn check(text: &str, status: u16, body: &str, holds: bool) {
        let tree = tree_of(body.as_bytes());
        let seen = Seen { status, text: trimmed(body), tree: tree.as_ref() };
        assert_eq!(condition(text).holds(&seen), holds, "{text} of {status} {body}");
    }

    #[test]
    fn each_term_means_what_it_says() {
        for (text, status, body, holds) in [
            ("200", 200, "", true),
            ("200", 201, "", false),
            ("4xx", 400, "", true),
            ("4xx", 499, "", true),
            ("4xx", 500, "", false),
            ("!4xx", 500, "", true),
            ("is=OK", 200, "\u{feff} OK\r\n", true),
            ("is=OK", 200, "OK\nOK", false),
            ("is=ok", 200, "OK", false),
            ("is=''", 200, " \n", true),
            ("is=''", 200, "x", false),
            ("starts='Updated '", 200, "Updated demo.example.com", true),
            ("starts=demo", 200, "Updated demo", false),
            ("has='Passwords do not match'", 200, "<E>Passwords do not match</E>", true),
            ("has=<ErrCount>0</ErrCount>", 200, "<ErrCount>0</ErrCount>", true),
            ("has=Done=true", 200, "x;Done=true", true),
            ("has='code=\"700\"'", 200, "<RESULT code=\"700\">", true),
            ("word=good", 200, "good 192.0.2.1", true),
            ("word=good", 200, "OK\n  good", true),
            ("word=good", 200, "goodness", false),
            ("word=good", 200, "not good", false),
            ("!word=good", 200, "not good", true),
            ("json", 200, "null", true),
            ("json", 200, "{}", true),
            ("json", 200, "[]", true),
            ("json", 200, "<a/>", true),
            ("json", 200, "", false),
            ("json", 200, "good", false),
            ("json", 200, "911", false),
            ("!json", 200, "good", true),
            ("code=300", 200, "{\"code\":300}", true),
            ("code=300", 200, "{\"code\":\"300\"}", true),
            ("code=300", 200, "{\"code\":3000}", false),
            ("code=300", 200, "<r><code>300</code></r>", false),
            ("r.code=300", 200, "<r><code>300</code></r>", true),
            ("success=true", 200, "{\"success\":true}", true),
            ("errors.code=9109", 403, "{\"errors\":[{\"code\":1},{\"code\":9109}]}", true),
            ("status.code=-1", 200, "{\"status\":{\"code\":\"-1\"}}", true),
            ("msg='no such zone'", 200, "{\"msg\":\"no such zone\"}", true),
            ("msg=''", 200, "{\"msg\":\"\"}", true),
            ("msg=''", 200, "{}", false),
            ("!msg=''", 200, "{}", true),
            ("!msg=''", 200, "no tree", false),
            ("error", 200, "{\"error\":{\"code\":0}}", true),
            ("error.code", 200, "{\"error\":{\"code\":0}}", true),
            ("error", 200, "{\"error\":null}", false),
            ("error", 200, "{\"error\":false}", false),
            ("error", 200, "{\"error\":\"\"}", false),
            ("error", 200, "{\"error\":[]}", false),
            ("error", 200, "{\"error\":{}}", false),
            ("error", 200, "{}", false),
            ("!error", 200, "{}", true),
            ("!error", 200, "error", false),
            ("Response !Response.Error", 200, "{\"Response\":{\"RequestId\":\"1\"}}", true),
            ("Response !Response.Error", 200, "{\"Response\":{\"Error\":{\"Code\":1}}}", false),
            (" 2xx  result=success ", 201, "{\"result\":\"success\"}", true),
            ("2xx result=success", 400, "{\"result\":\"success\"}", false),
        ] {
            check(text, status, body, holds);
        }
    }

    #[test]
    fn an_unreadable_condition_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "there is no term"),
            ("  ", "there is no term"),
            ("!", "there is a term without a name"),
            ("200 =x", "there is a term without a name"),
            ("20", "`20` is not a status; write one like 200 or 4xx"),
            ("999", "`999` is not a status; write one like 200 or 4xx"),
            ("99999999", "`99999999` is not a status; write one like 200 or 4xx"),
            ("6xx", "`6xx` is not a status; write one like 200 or 4xx"),
            ("655xx", "`655xx` is not a status; write one like 200 or 4xx"),
            ("200,201", "`200,201` is not a status; write one like 200 or 4xx"),
            ("has=", "`has` has no value; an empty one is written as ''"),
            ("a.b= c", "`a.b` has no value; an empty one is written as ''"),
            ("has=''", "`has` holds for every answer"),
            ("starts=''", "`starts` holds for every answer"),
            ("has='no such", "`has` has no closing '"),
            ("has='a'b", "`has` has more behind the closing '"),
            (
                "has('x')",
                "`has('x')` has a character that no name has; names are separated by dots",
            ),
            (
                "status!=200",
                "`status!` has a character that no name has; names are separated by \
                dots",
            ),
            ("a..b=c", "`a..b` has an empty name"),
            ("!!a", "`!a` has a character that no name has; names are separated by dots"),
        ] {
            assert_eq!(Condition::parse(text).unwrap_err(), reason, "{text}");
        }
    }

    #[test]
    fn a_condition_on_a_record_is_one_of_paths() {
        let public = Condition::of_rows("Config.PrivateZone=false").unwrap();
        assert!(public.holds_on_row(&json!({ "Config": { "PrivateZone": "false" } })));
        assert!(!public.holds_on_row(&json!({ "Config": { "PrivateZone": true } })));
        assert!(!public.holds_on_row(&json!({})));
        let any = Condition::of_rows("!editable=0 !disabled").unwrap();
        assert!(any.holds_on_row(&json!({ "value": "192.0.2.1" })));
        assert!(!any.holds_on_row(&json!({ "editable": "0" })));
        assert!(!any.holds_on_row(&json!({ "disabled": true })));
        for other in ["200 a=b", "has=x", "json", "!word=x"] {
            assert!(Condition::of_rows(other).unwrap_err().contains("PATH=VALUE"), "{other}");
        }
    }

    #[test]
    fn every_meaning_has_a_word_and_the_order_is_that_of_evaluation() {
        assert!(Meaning::ORDER.is_sorted());
        for meaning in Meaning::ORDER {
            assert_eq!(Meaning::named(meaning.word()), Some(meaning));
            assert_eq!(format!("{meaning:?}").to_lowercase(), meaning.word());
        }
        assert_eq!(Meaning::Unintelligible.word(), "unintelligible");
        assert_eq!(Meaning::named("unintelligible"), None);
        assert_eq!(Meaning::named("Abuse"), None);
        assert!(Meaning::ORDER.into_iter().all(|meaning| meaning < Meaning::Unintelligible));
    }

    /// An entry's rules, with its conditions in any order.
    struct Entry {
        answers: Vec<(Meaning, Condition)>,
        otherwise: Option<Meaning>,
        rest: bool,
        ok: Vec<Condition>,
    }

    fn entry(answers: &[(&str, &[&str])]) -> Entry {
        let mut pairs = Vec::new();
        for (word, conditions) in answers {
            let meaning = Meaning::named(word).unwrap();
            pairs.extend(conditions.iter().map(|text| (meaning, condition(text))));
        }
        pairs.sort_by_key(|(meaning, _)| *meaning);
        Entry { answers: pairs, otherwise: None, rest: false, ok: Vec::new() }
    }

    impl Entry {
        fn rest(self) -> Self {
            Self { rest: true, ..self }
        }

        fn otherwise(self, meaning: Meaning) -> Self {
            Self { otherwise: Some(meaning), ..self }
        }

        fn ok(self, text: &str) -> Self {
            Self { ok: vec![condition(text)], ..self }
        }

        fn meaning(&self, status: u16, body: &[u8]) -> Meaning {
            let content_type = Some("text/html".to_owned());
            let answer = Answer { status, content_type, body: body.to_vec(), ..Answer::default() };
            let (otherwise, rest) = (self.otherwise, self.rest);
            let rules =
                Rules { answers: &self.answers, otherwise, rest, pages: false, ok: &self.ok };
            meaning(&answer, tree_of(body).as_ref(), &rules)
        }

        #[track_caller]
        fn check(&self, status: u16, body: &str, expect: Meaning) {
            assert_eq!(self.meaning(status, body.as_bytes()), expect, "{status} {body}");
        }
    }

    const PAGE: &str = "<!DOCTYPE html>\n<html><body>Login required: good badauth</body></html>";

    #[test]
    fn a_429_is_throttled_whatever_else_it_says() {
        let entry = entry(&[("updated", &["has=good"]), ("abuse", &["429"])]).rest().ok("429");
        for body in ["", "good", "{}", PAGE] {
            entry.check(429, body, Meaning::Throttled);
        }
    }

    #[test]
    fn a_page_is_never_a_refusal_and_a_success_only_by_words() {
        let entry = entry(&[
            ("credential", &["has=badauth", "401"]),
            ("updated", &["200", "!json", "200 has=Updated"]),
            ("unchanged", &["200 has='No change'"]),
        ])
        .rest()
        .ok("200");
        entry.check(200, PAGE, Meaning::Unintelligible);
        entry.check(401, PAGE, Meaning::Unintelligible);
        entry.check(404, PAGE, Meaning::Unintelligible);
        entry.check(302, "<html>Updated", Meaning::Unintelligible);
        entry.check(503, PAGE, Meaning::Server);
        // DDNSS, as a peer's fixtures have it.
        let page = |text: &str| ["<head><title>x</title></head><body>", text, "</body>"].concat();
        entry.check(200, &page("Updated 1 hostname."), Meaning::Updated);
        entry.check(200, &page("No change. Updated 0."), Meaning::Unchanged);
        entry.check(201, &page("Updated 1 hostname."), Meaning::Unintelligible);
    }

    #[test]
    fn what_is_no_error_here_comes_before_every_condition() {
        let dnspod =
            entry(&[("updated", &["200 status.code=1"]), ("host", &["200 status.code=6"])])
                .otherwise(Meaning::Request);
        let none = r#"{"status":{"code":"10","message":"No records"},"domain":{"id":1}}"#;
        dnspod.check(200, none, Meaning::Request);
        let dnspod = dnspod.ok("200 status.code=10");
        dnspod.check(200, none, Meaning::Updated);
        dnspod.check(200, r#"{"status":{"code":"6"}}"#, Meaning::Host);
        entry(&[]).ok("3xx").check(302, "", Meaning::Unintelligible);
    }

    #[test]
    fn conditions_are_looked_at_in_their_order() {
        let all: Vec<_> =
            Meaning::ORDER.iter().map(|meaning| (meaning.word(), &["has=x"] as &[_])).collect();
        for from in 0..all.len() {
            entry(&all[from..]).check(200, "x", Meaning::ORDER[from]);
        }
        // A word of success beside one of refusal.
        let entry = entry(&[("updated", &["word=good"]), ("credential", &["word=badauth"])]);
        entry.check(200, "good\nbadauth", Meaning::Credential);
        entry.check(500, "badauth", Meaning::Credential);
    }

    #[test]
    fn a_refusal_by_status_alone_needs_an_answer_in_some_form() {
        let entry = entry(&[("credential", &["401"]), ("host", &["404"]), ("updated", &["200"])]);
        for body in ["", " \n", "Unauthorized", "{\"error\":1}", "<e><c>1</c></e>", "null"] {
            entry.check(401, body, Meaning::Credential);
        }
        let long = "x".repeat(LONGEST_LINE + 1);
        for body in ["Sorry,\nthis is not here", "{\"error\":", "<p>x", "[1", &long] {
            entry.check(404, body, Meaning::Unintelligible);
            entry.check(200, body, Meaning::Updated);
        }
        let entry = self::entry(&[("credential", &["401 has=token"])]);
        entry.check(401, "invalid\ntoken", Meaning::Credential);
        entry.check(401, "who?", Meaning::Unintelligible);
    }

    #[test]
    fn a_5xx_is_the_servers_unless_the_entry_knows_it() {
        let njalla = entry(&[("request", &["500 status=500"]), ("updated", &["200 status=200"])]);
        njalla.check(500, r#"{"status":500,"message":"x"}"#, Meaning::Request);
        njalla.check(500, "Internal Server Error", Meaning::Server);
        njalla.check(502, "", Meaning::Server);
        entry(&[]).rest().otherwise(Meaning::Request).check(500, "{}", Meaning::Server);
    }

    #[test]
    fn otherwise_is_for_trees_alone() {
        let entry = entry(&[("updated", &["200 code=0"])]).otherwise(Meaning::Request);
        for status in [200, 201, 400, 422] {
            entry.check(status, r#"{"code":7}"#, Meaning::Request);
            entry.check(status, "nonsense", Meaning::Unintelligible);
            entry.check(status, "", Meaning::Unintelligible);
        }
        for status in [301, 401, 403, 404, 409] {
            entry.check(status, r#"{"code":7}"#, Meaning::Unintelligible);
        }
        entry.check(200, r#"{"code":0}"#, Meaning::Updated);
    }

    #[test]
    fn in_rest_a_status_has_a_meaning() {
        let rest = entry(&[]).rest();
        for body in ["", "null", "{}", "[]", r#"{"id":1}"#, "<a/>"] {
            rest.check(200, body, Meaning::Updated);
            rest.check(204, body, Meaning::Updated);
            entry(&[]).check(200, body, Meaning::Unintelligible);
        }
        for body in ["OK", "1", "true", "\"ok\"", "{\"id\":1", "{} x", "<a>", "\0"] {
            rest.check(200, body, Meaning::Unintelligible);
        }
        for (status, with_tree, without) in [
            (400, Meaning::Request, Meaning::Unintelligible),
            (401, Meaning::Credential, Meaning::Credential),
            (402, Meaning::Unintelligible, Meaning::Unintelligible),
            (403, Meaning::Forbidden, Meaning::Forbidden),
            (404, Meaning::Gone, Meaning::Gone),
            (405, Meaning::Unintelligible, Meaning::Unintelligible),
            (409, Meaning::Request, Meaning::Unintelligible),
            (412, Meaning::Request, Meaning::Unintelligible),
            (422, Meaning::Request, Meaning::Unintelligible),
            (302, Meaning::Unintelligible, Meaning::Unintelligible),
            (100, Meaning::Unintelligible, Meaning::Unintelligible),
            (0, Meaning::Unintelligible, Meaning::Unintelligible),
        ] {
            rest.check(status, r#"{"message":"x"}"#, with_tree);
            rest.check(status, "", without);
            rest.check(status, "some words", without);
            rest.check(status, "some\nlines", Meaning::Unintelligible);
            entry(&[]).check(status, r#"{"message":"x"}"#, Meaning::Unintelligible);
        }
        // A condition for `updated` replaces the rule of the status.
        let strict = entry(&[("updated", &["200 success=true"])]).rest();
        strict.check(200, "{}", Meaning::Unintelligible);
        strict.check(204, "", Meaning::Unintelligible);
        strict.check(404, "{}", Meaning::Gone);
    }

    #[test]
    fn a_redirect_is_never_a_success() {
        let entry = entry(&[("updated", &["word=good", "302"]), ("host", &["word=nohost"])])
            .rest()
            .ok("302");
        entry.check(302, "good", Meaning::Unintelligible);
        entry.check(304, "", Meaning::Unintelligible);
        entry.check(302, "nohost", Meaning::Host);
    }

    #[test]
    fn the_services_own_answers_mean_what_they_say() {
        let duckdns = entry(&[
            ("unchanged", &["200 word=OK word=NOCHANGE"]),
            ("updated", &["200 word=OK word=UPDATED"]),
            ("host", &["200 is=KO"]),
        ]);
        duckdns.check(200, "OK\n192.0.2.1\n\nUPDATED", Meaning::Updated);
        duckdns.check(200, "OK\n192.0.2.1\n\nNOCHANGE", Meaning::Unchanged);
        duckdns.check(200, "KO", Meaning::Host);
        duckdns.check(200, "OK", Meaning::Unintelligible);

        let namecheap = entry(&[
            ("updated", &["200 has=<ErrCount>0</ErrCount>"]),
            ("credential", &["200 has='Passwords do not match'"]),
            ("request", &["200 has=<ErrCount>1"]),
        ]);
        let body = |errors: &str| {
            ["<?xml version=\"1.0\" encoding=\"utf-16\"?><interface-response>", errors].concat()
        };
        let done = body("<ErrCount>0</ErrCount><Done>true</Done></interface-response>");
        namecheap.check(200, &done, Meaning::Updated);
        assert_eq!(tree_of(done.as_bytes()).unwrap()["interface-response"]["Done"], "true");
        let wrong = "<ErrCount>1</ErrCount><errors><Err1>Passwords do not match</Err1></errors>";
        namecheap.check(200, &body(wrong), Meaning::Credential);
        namecheap.check(200, &body("<ErrCount>1</ErrCount>"), Meaning::Request);
        namecheap.check(200, &body(""), Meaning::Unintelligible);

        let cloudflare = entry(&[
            ("updated", &["200 success=true"]),
            ("credential", &["401 success=false", "errors.code=9109 has='Invalid access token'"]),
            ("forbidden", &["403 success=false"]),
            ("gone", &["404 errors.code=81044"]),
            ("unchanged", &["400 errors.code=81058"]),
            ("request", &["400 success=false"]),
        ])
        .rest();
        let refusal = |code: &str, message: &str| {
            let head = r#"{"result":null,"success":false,"errors":[{"code":"#;
            [head, code, r#","message":""#, message, r#""}],"messages":[]}"#].concat()
        };
        cloudflare.check(
            200,
            r#"{"result":{"id":"1"},"success":true,"errors":[]}"#,
            Meaning::Updated,
        );
        cloudflare.check(403, &refusal("9109", "Invalid access token"), Meaning::Credential);
        let place = "Cannot use the access token from location: 192.0.2.1";
        cloudflare.check(403, &refusal("9109", place), Meaning::Forbidden);
        cloudflare.check(400, &refusal("81058", "identical record"), Meaning::Unchanged);
        cloudflare.check(400, &refusal("81053", "CNAME"), Meaning::Request);
        cloudflare.check(404, &refusal("81044", "no record"), Meaning::Gone);
        cloudflare.check(200, "null", Meaning::Unintelligible);

        let route53 = entry(&[
            ("credential", &["403 ErrorResponse.Error.Code=SignatureDoesNotMatch"]),
            ("skew", &["403 has='Signature expired'"]),
            ("forbidden", &["403 ErrorResponse.Error.Code=AccessDenied"]),
        ])
        .rest();
        let refusal = |code: &str, message: &str| {
            let head = "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/\
                        doc/2013-04-01/\"><Error><Type>Sender</Type><Code>";
            [head, code, "</Code><Message>", message, "</Message></Error></ErrorResponse>"].concat()
        };
        let wrong = "SignatureDoesNotMatch";
        route53.check(403, &refusal(wrong, "does not match"), Meaning::Credential);
        route53.check(403, &refusal(wrong, "Signature expired: x"), Meaning::Skew);
        route53.check(403, &refusal("AccessDenied", "x"), Meaning::Forbidden);
        route53.check(400, &refusal("InvalidChangeBatch", "x"), Meaning::Request);
        let done = "<ChangeResourceRecordSetsResponse><ChangeInfo><Status>PENDING</Status>\
                    </ChangeInfo></ChangeResourceRecordSetsResponse>";
        route53.check(200, done, Meaning::Updated);

        // Every test sends `text/html`, as DNSPod does with JSON and Vultr with nothing.
        let dnspod =
            entry(&[("updated", &["200 status.code=1"]), ("credential", &["200 status.code=-1"])])
                .otherwise(Meaning::Request);
        dnspod.check(200, r#"{"status":{"code":"1"},"record":{"id":"7"}}"#, Meaning::Updated);
        dnspod.check(200, r#"{"status":{"code":"-1"}}"#, Meaning::Credential);
        dnspod.check(200, r#"{"status":{"code":"31"}}"#, Meaning::Request);
        entry(&[]).rest().check(204, "", Meaning::Updated);

        let ovh = entry(&[("credential", &["403 errorCode=INVALID_KEY"])]).rest();
        ovh.check(200, "null", Meaning::Updated);
        ovh.check(403, r#"{"errorCode":"INVALID_KEY","message":"x"}"#, Meaning::Credential);
        ovh.check(403, r#"{"message":"This call has not been granted"}"#, Meaning::Forbidden);

        let volcengine =
            entry(&[("updated", &["200 !ResponseMetadata.Error"])]).otherwise(Meaning::Request);
        volcengine.check(200, r#"{"ResponseMetadata":{"RequestId":"1"}}"#, Meaning::Updated);
        volcengine.check(200, r#"{"ResponseMetadata":{"Error":{"CodeN":1}}}"#, Meaning::Request);
        volcengine.check(200, "Bad Gateway", Meaning::Unintelligible);
    }

    #[test]
    fn a_body_in_another_encoding_is_still_looked_at() {
        let goip = entry(&[("credential", &["200 has='Zugriff verweigert'"])]);
        assert_eq!(goip.meaning(200, b"Zugriff verweigert f\xfcr x"), Meaning::Credential);
        assert_eq!(goip.meaning(200, b"\xff\xfe"), Meaning::Unintelligible);
    }

    #[test]
    fn no_bytes_are_too_strange() {
        // A small generator with a fixed beginning (Knuth's MMIX).
        let mut state = 14_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let parts: Vec<&[u8]> = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"", "'", "1e999", "-", "1", "null", "true",
            "<", "</a>", "<a>", "<a/>", "<!--", "-->", "<?", "?>", "<html>", "=", "!", "!a", "200",
            "4xx", "has=", "word=", "json", " ", "\n", ".", "*", "a", "é", "\u{feff}", "&#0;",
            "&x;", "\\u12",
        ]
        .iter()
        .map(|part| part.as_bytes())
        .collect();
        let (mut trees, mut conditions) = (0, 0);
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..next() % 12 {
                match next() {
                    rare @ 250.. => bytes.push(rare),
                    often => bytes.extend(parts[usize::from(often) % parts.len()]),
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let tree = tree_of(&bytes);
            trees += usize::from(tree.is_some());
            let answer = Answer { status: 200, body: bytes.clone(), ..Answer::default() };
            let mut answers = Vec::new();
            if let Ok(condition) = Condition::parse(&text) {
                conditions += 1;
                answers.push((Meaning::Host, condition));
            }
            let rules =
                Rules { answers: &answers, otherwise: None, rest: true, pages: false, ok: &[] };
            meaning(&answer, tree.as_ref(), &rules);
            let at = Path::parse(&text).unwrap_or_default();
            match rows(&bytes, &at, &mut |row| row.is_string()) {
                Ok(rows) => assert!(rows.kept.len() <= rows.seen && tree.is_some()),
                Err(fault) => assert!(tree.is_none() && (fault == NO_TREE || fault == TOO_LARGE)),
            }
        }
        assert!(trees > 50 && conditions > 300, "{trees} trees, {conditions} conditions");
    }
}
