//! The texts of entries: conditions, templates and paths, on answers and values of every kind.
#![no_main]

use std::borrow::Cow;

use homing::core::protocol::Answer;
use homing::core::protocol::http::answer::{Condition, Meaning, Rules, Seen, meaning, tree_of};
use homing::core::protocol::http::path::{EVERY, Path, Paths};
use homing::core::protocol::http::rows::{rows, trimmed};
use homing::core::protocol::http::template::{Form, Template, Value};
use homing::core::secret::Secret;
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::Bytes;
use homing_fuzz::example::{MARK, PAGE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    let how = bytes.byte();
    let status = bytes.word() % 600;
    // A line for the text of the entry; the rest is the answer.
    let (text, body) = match bytes.0.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes.0[..at], &bytes.0[at + 1..]),
        None => (bytes.0, &b""[..]),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match how % 3 {
        0 => check_condition(text, status, body),
        1 => check_template(text, body),
        _ => check_path(text, body),
    }
}));

fn check_condition(text: &str, status: u16, body: &[u8]) {
    let Ok(condition) = Condition::parse(text) else { return };
    let tree = tree_of(body);
    let answer = Answer { status, body: body.to_vec(), ..Answer::default() };
    let seen = Seen::of(&answer, tree.as_ref());
    let holds = condition.holds(&seen);
    // Of a condition and its opposite one holds, unless both ask for a path where no tree is.
    if condition.is_of_status() {
        assert_eq!(holds, condition.holds(&Seen { text: "other", tree: None, ..seen }));
    }
    if let (Ok(opposite), false) = (
        Condition::parse(&format!("!{}", text.trim_start())),
        text.contains(char::is_whitespace) || text.starts_with('!'),
    ) {
        assert!(!(holds && opposite.holds(&seen)), "{text:?} and its opposite hold");
        assert!(
            tree.is_none() || holds || opposite.holds(&seen),
            "neither {text:?} nor its opposite"
        );
    }
    // Another term makes it only narrower.
    for more in ["200", "!4xx", "has=a", "json", "a.b=1"] {
        let narrower = Condition::parse(&format!("{text} {more}")).expect("a term was added");
        assert!(holds || !narrower.holds(&seen), "{text:?} with {more}");
    }
    for is_rest in [false, true] {
        check_meaning(&condition, &answer, tree.as_ref(), is_rest);
    }
}

fn check_meaning(
    condition: &Condition,
    answer: &Answer,
    tree: Option<&serde_json::Value>,
    rest: bool,
) {
    let ok = std::slice::from_ref(condition);
    let updated = [(Meaning::Updated, condition.clone())];
    let refused = [(Meaning::Credential, condition.clone())];
    let plain = Rules { answers: &[], otherwise: None, rest, pages: false, ok: &[] };
    // In a text that is not UTF-8 only what cannot be read is lost.
    let body = String::from_utf8_lossy(&answer.body);
    let seen = Seen { status: answer.status, text: trimmed(&body), tree };
    for rules in [
        plain,
        Rules { answers: &updated, ..plain },
        Rules { ok, ..plain },
        Rules { answers: &refused, ..plain },
    ] {
        let found = meaning(answer, tree, &rules);
        let is_told = (!rules.ok.is_empty()
            || rules.answers.first().is_some_and(|(it, _)| it.is_success()))
            && condition.holds(&seen);
        if found.is_success() {
            assert!(!(300..400).contains(&answer.status) && answer.status != 429, "{found:?}");
            let is_of_rest = rest
                && (200..300).contains(&answer.status)
                && (tree.is_some() || seen.text.is_empty());
            assert!(is_told || is_of_rest, "{found:?} without a rule that says so");
        }
        // A page that stands in the way is no success by its status.
        let page = Answer { body: PAGE.as_bytes().to_vec(), ..answer.clone() };
        let on_page = meaning(&page, None, &rules);
        let page_seen = Seen::of(&page, None);
        assert!(
            !on_page.is_success() || (condition.holds(&page_seen) && !condition.is_of_status())
        );
    }
}

fn check_template(text: &str, body: &[u8]) {
    let Ok(template) = Template::parse(&Cow::Owned(text.to_owned())) else { return };
    let mut names: Vec<(String, bool)> = Vec::new();
    template.visit_names(&mut |name, needed| names.push((name.to_owned(), needed)));
    let value = String::from_utf8_lossy(body).into_owned() + "{host}{?zone x}\"<&/?#@\u{1}\n";
    let secret = Secret::new(&format!("{MARK}/{{login}}\"<&"));
    for form in [Form::Plain, Form::Percent, Form::Json, Form::Xml] {
        let all = |name: &str| {
            Some(if name.starts_with("secret") {
                Value::Secret(Cow::Borrowed(&secret))
            } else {
                Value::Text(Cow::Borrowed(&value))
            })
        };
        let filled = template.fill(form, &all).expect("every place has a value");
        if !text.contains(MARK) && !value.contains(MARK) {
            assert!(!filled.to_string().contains(MARK) && !format!("{filled:?}").contains(MARK));
        }
        // Without values the first place that needs one is told.
        let none = template.fill(form, &|_| None);
        let is_needed = |name: &str| names.iter().any(|(known, needed)| known == name && *needed);
        match none {
            Err(missing) => assert!(is_needed(&missing.0), "{missing:?} is not needed"),
            Ok(filled) => assert!(filled.secrets().next().is_none()),
        }
        if !text.contains("{?") && !text.contains("{!") {
            let is_any = names.iter().any(|(_, needed)| *needed);
            assert_eq!(template.fill(form, &|_| None).is_err(), is_any);
            // What is not filled is not left standing.
            let filled = template.fill(form, &|_| Some(Value::Ready(Cow::Borrowed("\u{2022}"))));
            let filled = filled.expect("every place has a value");
            let mut braces =
                filled.expose().match_indices('{').map(|(at, _)| &filled.expose()[at + 1..]);
            assert!(!braces.any(|rest| {
                rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '?' || c == '!')
            }));
        }
        check_form(form, &value);
    }
    names.iter().for_each(|(name, _)| assert!(template.has(name)));
}

fn check_form(form: Form, value: &str) {
    let written = form.write(value);
    match form {
        Form::Plain => assert_eq!(written, value),
        Form::Percent => {
            let is_safe = |c: char| c.is_ascii_alphanumeric() || "-._~:,%@".contains(c);
            assert!(written.chars().all(is_safe), "{written}");
        }
        Form::Json => {
            let read: String =
                serde_json::from_str(&format!("\"{written}\"")).expect("it is a string");
            assert_eq!(read, value);
        }
        Form::Xml => {
            assert!(!written.contains(['<', '>']));
            let read = written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            assert_eq!(read, value);
        }
    }
}

fn check_path(text: &str, body: &[u8]) {
    let (Ok(path), Ok(paths)) = (Path::parse(text), Paths::parse(text)) else { return };
    let joined: Vec<&str> = path.names().iter().map(|name| &**name).collect();
    assert_eq!(joined.join("."), text);
    let Some(tree) = tree_of(body) else { return };
    let texts = path.texts(&tree);
    assert_eq!(path.text(&tree), texts.first().cloned());
    assert_eq!(paths.texts(&tree), texts);
    assert_eq!(paths.text(&tree), path.text(&tree));
    // Through objects alone, a path is one way.
    let mut place = Some(&tree);
    let mut is_one_way = !joined.contains(&EVERY);
    for name in &joined {
        is_one_way &= place.is_none_or(|place| !place.is_array());
        place = place.and_then(|place| place.get(name));
    }
    if is_one_way {
        assert_eq!(path.find(&tree), place.into_iter().collect::<Vec<_>>());
    }
    let mut offered = 0;
    if let Ok(rows) = rows(body, &path, &mut |_| {
        offered += 1;
        offered <= 150
    }) {
        assert_eq!((rows.seen, rows.kept.len()), (offered, offered.min(150)));
    }
}
