//! The XML of `PowerDNS` on Rails: its answers and the bodies of requests. Pure.
//!
//! The domain that it shows is read in `core::protocol::rails::xml`.

use roxmltree::Document;

use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::protocol::Answer;
use crate::core::protocol::rails::xml::{child, short, value};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::rails::{Grant, RailsEntry};
use crate::core::wire::calendar::rfc822;
use crate::os::clock::parse_rfc3339;

/// The secret of a token that was just made, and its end, if that is intelligible. The secret has to
/// fit into a URL and on the line of a file: the server's have 16 letters and digits.
pub fn minted(answer: &Answer) -> Option<(Secret, Option<Timestamp>)> {
    const MOST: usize = 4096;
    let document = Document::parse(short(answer.text()?)?).ok()?;
    let root = document.root_element();
    if !root.has_tag_name("token") {
        return None;
    }
    let said = |name| match child(root, name) {
        Some(child) => Some(child.text().unwrap_or_default()),
        None => root.attribute(name),
    };
    let secret = said("auth_token").or_else(|| said("auth-token"))?;
    let is_one = (1..=MOST).contains(&secret.len())
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let expires = value(root, "expires").and_then(|text| ruby_time(&text));
    is_one.then(|| (Secret::new(secret), expires))
}

/// The secret of a token that was just made, with or without white space around it.
pub fn brought(answer: &Answer) -> Option<Secret> {
    minted(answer).map(|(secret, _)| secret).or_else(|| minted_in_spaces(answer))
}

/// The secret of a token that was just made with white space around it.
pub fn minted_in_spaces(answer: &Answer) -> Option<Secret> {
    let document = Document::parse(short(answer.text()?)?).ok()?;
    let root = document.root_element();
    let secret = value(root, "auth_token").or_else(|| value(root, "auth-token"))?;
    let is_one = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (root.has_tag_name("token") && is_one).then(|| Secret::new(&secret))
}

/// The errors that an answer states in XML: the texts of its `error` elements.
pub fn error(answer: &Answer) -> Option<String> {
    let document = Document::parse(short(answer.text()?)?).ok()?;
    let errors = document.descendants().filter(|node| node.has_tag_name("error"));
    let texts: Vec<String> = errors.filter_map(|node| node.text()).map(one_line).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// A request for a token with exactly these rights.
///
/// A list of one is written as two equal elements: Rails takes a single one for no list.
pub fn grant(grant: &Grant) -> String {
    let mut body = String::from("<auth_token>");
    element(&mut body, "domain", grant.domain.as_str());
    if let Some(expires) = grant.expires {
        element(&mut body, "expires_at", &rfc822(expires));
    }
    element(&mut body, "policy", grant.policy.word());
    element(&mut body, "allow_new", if grant.allow_new { "true" } else { "false" });
    element(&mut body, "remove", if grant.remove { "true" } else { "false" });
    let texts =
        |entries: &[RailsEntry]| entries.iter().map(RailsEntry::to_string).collect::<Vec<_>>();
    list(&mut body, "record", &texts(&grant.records));
    list(&mut body, "protect_type", &grant.protect_types);
    list(&mut body, "protect", &texts(&grant.protect));
    body.push_str("</auth_token>");
    body
}

/// A request to create a record; its name is without its domain.
pub fn new_record(
    host: &Hostname,
    domain: &str,
    family: Family,
    content: &str,
    ttl: Option<u32>,
) -> String {
    let short = host.as_str().strip_suffix(domain).unwrap_or(host.as_str());
    let mut body = String::from("<record>");
    element(&mut body, "name", short.strip_suffix('.').unwrap_or(short));
    element(&mut body, "type", family.record_type());
    element(&mut body, "content", content);
    if let Some(ttl) = ttl {
        element(&mut body, "ttl", &ttl.to_string());
    }
    body.push_str("</record>");
    body
}

fn list(body: &mut String, name: &str, texts: &[String]) {
    for text in texts {
        element(body, name, text);
    }
    if let [only] = texts {
        element(body, name, only);
    }
}

/// Appends an element, its text escaped (XML 1.0, section 2.4).
fn element(body: &mut String, name: &str, text: &str) {
    body.push_str(&format!("<{name}>"));
    for c in text.chars() {
        match c {
            '&' => body.push_str("&amp;"),
            '<' => body.push_str("&lt;"),
            '>' => body.push_str("&gt;"),
            c if c.is_control() => body.push_str(&format!("&#{};", u32::from(c))),
            c => body.push(c),
        }
    }
    body.push_str(&format!("</{name}>"));
}

/// Reads a moment as Ruby writes it: `2009-02-18 10:31:29 UTC`.
fn ruby_time(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.strip_suffix(" UTC")?.split_once(' ')?;
    parse_rfc3339(&format!("{date}T{clock}Z"))
}

/// A server's words, fit for one line of a message.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::token::rails::RailsPolicy;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    #[test]
    fn a_new_token_is_read_with_its_end() {
        let text = "<token><expires>2009-02-18 10:31:29 UTC</expires>\
                    <auth_token>a1b2c3d4e5f6g7h8</auth_token>\
                    <url>http://inside/token/a1b2c3d4e5f6g7h8</url></token>";
        let end = Some(Timestamp::from_secs(1_234_953_089));
        let (secret, expires) = minted(&answer(text)).unwrap();
        assert_eq!((secret.expose(), expires), ("a1b2c3d4e5f6g7h8", end));
        let other = text.replace("10:31:29 UTC", "sometime");
        assert_eq!(minted(&answer(&other)).unwrap().1, None);
        for wrong in ["", "/../x", "a b"] {
            assert_eq!(minted(&answer(&text.replace("a1b2c3d4e5f6g7h8", wrong))), None);
        }
        assert_eq!(minted(&answer("<error>no</error>")), None);
        let spaced = text.replace("a1b2c3d4e5f6g7h8", " a1b2c3d4e5f6g7h8\n");
        assert_eq!(minted(&answer(&spaced)), None, "no file could hold it as it stands");
        assert_eq!(minted_in_spaces(&answer(&spaced)).unwrap().expose(), "a1b2c3d4e5f6g7h8");
        assert_eq!(minted_in_spaces(&answer(&text.replace("a1b2", "a1 b2"))), None);
    }

    #[test]
    fn complaints_are_one_line() {
        let text =
            "<errors>\n<error>Content is\n bad</error><error>Type &amp; all</error></errors>";
        assert_eq!(error(&answer(text)).unwrap(), "Content is bad; Type & all");
        assert_eq!(error(&answer("<html/>")), None);
        assert_eq!(error(&answer("no")), None);
    }

    #[test]
    fn texts_are_escaped() {
        let mut body = String::new();
        element(&mut body, "a", "<&>\n\"é");
        assert_eq!(body, "<a>&lt;&amp;&gt;&#10;\"é</a>");
    }

    #[test]
    fn a_list_of_one_is_written_twice() {
        let record = |kind: &str| RailsEntry {
            name: "dev1.example.com".to_owned(),
            kind: Some(kind.to_owned()),
        };
        let mut asked = Grant {
            domain: "example.com".parse().unwrap(),
            policy: RailsPolicy::Deny,
            allow_new: false,
            remove: false,
            records: vec![record("A")],
            protect: Vec::new(),
            protect_types: vec!["MX".to_owned()],
            expires: Some(Timestamp::from_secs(1_234_953_089)),
        };
        let only = "<record>dev1.example.com:A</record>";
        let expect = |records: &str| {
            format!(
                "<auth_token><domain>example.com</domain>\
                 <expires_at>Wed, 18 Feb 2009 10:31:29 +0000</expires_at><policy>deny</policy>\
                 <allow_new>false</allow_new><remove>false</remove>{records}\
                 <protect_type>MX</protect_type><protect_type>MX</protect_type></auth_token>"
            )
        };
        assert_eq!(grant(&asked), expect(&format!("{only}{only}")));
        asked.records.push(record("AAAA"));
        assert_eq!(grant(&asked), expect(&format!("{only}<record>dev1.example.com:AAAA</record>")));
    }

    #[test]
    fn a_new_record_has_the_name_without_its_domain() {
        let host: Hostname = "a.b.example.com".parse().unwrap();
        assert_eq!(
            new_record(&host, "example.com", Family::V6, "2001:db8::1", Some(60)),
            "<record><name>a.b</name><type>AAAA</type><content>2001:db8::1</content>\
             <ttl>60</ttl></record>"
        );
    }
}
