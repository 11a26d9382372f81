//! What `PowerDNS` on Rails says in XML, and what is said to it. Pure.
//!
//! Rails writes a model's attributes as elements (`<name>…</name>`), and the class of a record in an
//! attribute of its element; either is read.

use roxmltree::{Document, Node};

use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::protocol::Answer;
use crate::core::protocol::rails::{Domain, Record};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::rails::{Entry, Grant, Policy};
use crate::core::wire::calendar::rfc822;
use crate::os::clock::parse_rfc3339;

/// The longest text that is read as one document, in bytes: its tree is many times as large.
const LONGEST: usize = 96 * 1024;

/// The longest name (RFC 1035, section 3.1).
const LONGEST_NAME: usize = 255;

/// The domain that `answer` shows, with its records of `hosts` alone; `None` when it is none, or one
/// that does not tell its records.
///
/// A domain may have any number of records: each is read by itself, and what nobody asks for is not
/// kept.
pub fn domain(answer: &Answer, hosts: &[&Hostname]) -> Option<Domain> {
    let text = answer.text()?;
    // A domain that does not show its records is not one without any.
    let begin = text.find("<records")?;
    let (tag, rest) = text[begin..].split_once('>')?;
    let (mut rest, after) =
        if tag.ends_with('/') { ("", rest) } else { rest.rsplit_once("</records>")? };
    let around = short(&format!("{}<records/>{after}", &text[..begin]))?.to_owned();
    let document = Document::parse(&around).ok()?;
    let root = document.root_element();
    if !root.has_tag_name("domain") {
        return None;
    }
    child(root, "records")?;
    let (id, named) = (value(root, "id")?.parse().ok()?, name(&value(root, "name")?));
    if named.len() > LONGEST_NAME {
        return None;
    }
    let mut records = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(Domain { id, name: named, records });
        }
        let tag_end = rest.find('>')? + 1;
        let end = if rest[..tag_end].ends_with("/>") {
            tag_end
        } else {
            rest.find("</record>")? + "</record>".len()
        };
        let one;
        (one, rest) = rest.split_at(end);
        let document = Document::parse(short(one)?).ok()?;
        let root = document.root_element();
        let record = record(root).filter(|_| root.has_tag_name("record"))?;
        if hosts.iter().any(|host| host.as_str() == record.name) {
            records.push(record);
        }
    }
}

/// `text`, unless it is too long to be read as one document.
fn short(text: &str) -> Option<&str> {
    (text.len() <= LONGEST).then_some(text)
}

fn record(node: Node<'_, '_>) -> Option<Record> {
    Some(Record {
        id: value(node, "id")?.parse().ok()?,
        name: name(&value(node, "name")?),
        kind: value(node, "type")?.to_ascii_uppercase(),
        content: value(node, "content").unwrap_or_default(),
        ttl: value(node, "ttl").and_then(|ttl| ttl.parse().ok()),
    })
}

/// The secret of a token that was just made, and when it ends, if that is intelligible. A secret has
/// to fit into a URL, and on the line of a file: theirs have 16 letters and digits.
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

/// The secret of a token that was just made, however it stands there.
pub fn brought(answer: &Answer) -> Option<Secret> {
    minted(answer).map(|(secret, _)| secret).or_else(|| minted_in_spaces(answer))
}

/// The secret in an answer that would show a token, were it not for the white space around it.
pub fn minted_in_spaces(answer: &Answer) -> Option<Secret> {
    let document = Document::parse(short(answer.text()?)?).ok()?;
    let root = document.root_element();
    let secret = value(root, "auth_token").or_else(|| value(root, "auth-token"))?;
    let is_one = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (root.has_tag_name("token") && is_one).then(|| Secret::new(&secret))
}

/// What an answer complains about in XML: the texts of its `error` elements.
pub fn error(answer: &Answer) -> Option<String> {
    let document = Document::parse(short(answer.text()?)?).ok()?;
    let errors = document.descendants().filter(|node| node.has_tag_name("error"));
    let texts: Vec<String> = errors.filter_map(|node| node.text()).map(one_line).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// A request for a token with exactly these rights.
///
/// A list of one is written as two equal elements: Rails hands a single one on as no list at all,
/// and stumbles over it.
pub fn grant(grant: &Grant) -> String {
    let mut body = String::from("<auth_token>");
    element(&mut body, "domain", grant.domain.as_str());
    if let Some(expires) = grant.expires {
        element(&mut body, "expires_at", &rfc822(expires));
    }
    let policy = match grant.policy {
        Policy::Allow => "allow",
        Policy::Deny => "deny",
    };
    element(&mut body, "policy", policy);
    element(&mut body, "allow_new", if grant.allow_new { "true" } else { "false" });
    element(&mut body, "remove", if grant.remove { "true" } else { "false" });
    let texts = |entries: &[Entry]| entries.iter().map(Entry::to_string).collect::<Vec<_>>();
    list(&mut body, "record", &texts(&grant.records));
    list(&mut body, "protect_type", &grant.protect_types);
    list(&mut body, "protect", &texts(&grant.protect));
    body.push_str("</auth_token>");
    body
}

/// A record that is to be made; its name is without its domain.
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

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The text of a child, or else of an attribute, of that name.
fn value(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = match child(node, name) {
        Some(child) => child.text(),
        None => node.attribute(name),
    };
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A name as it is compared.
fn name(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
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

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    #[test]
    fn a_domain_is_read_with_its_records() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <domain>
              <id type="integer">7</id><name>Example.com</name><ttl type="integer">86400</ttl>
              <type>NATIVE</type>
              <records type="array">
                <record type="A">
                  <content>192.0.2.1</content><id type="integer">12</id>
                  <name>dev1.example.com</name><prio nil="true"/><ttl type="integer">60</ttl>
                </record>
                <record><id>13</id><name>example.com.</name><type>txt</type><content/></record>
              </records>
            </domain>"#;
        let record = |id, name: &str, kind: &str, content: &str, ttl| Record {
            id,
            name: name.to_owned(),
            kind: kind.to_owned(),
            content: content.to_owned(),
            ttl,
        };
        let hosts = ["dev1.example.com", "example.com"].map(|host| host.parse().unwrap());
        let hosts: Vec<&Hostname> = hosts.iter().collect();
        let records = vec![
            record(12, "dev1.example.com", "A", "192.0.2.1", Some(60)),
            record(13, "example.com", "TXT", "", None),
        ];
        assert_eq!(
            domain(&answer(text), &hosts),
            Some(Domain { id: 7, name: "example.com".to_owned(), records })
        );
        let one = domain(&answer(text), &hosts[..1]).unwrap();
        assert_eq!(one.records.len(), 1, "what nobody asks for is not kept");
    }

    #[test]
    fn what_is_no_whole_domain_is_none() {
        for text in [
            "",
            "{}",
            "<html><body>expired</body></html>",
            "<domain><id>1</id><name>a.example</name></domain>",
            "<domain><id>x</id><name>a.example</name><records/></domain>",
            "<domain><id>1</id><name>a.example</name><records><record/></records></domain>",
            "<!DOCTYPE d [<!ENTITY a \"b\">]><domain><id>1</id><name>&a;</name><records/></domain>",
        ] {
            assert_eq!(domain(&answer(text), &[]), None, "{text}");
        }
        let empty = "<domain><id>1</id><name>a.example</name><records type=\"array\"/></domain>";
        assert_eq!(domain(&answer(empty), &[]).unwrap().records, []);
        let deep = "<a>".repeat(100_000);
        for text in [
            format!("<domain><id>1</id><name>a.example</name><records>{deep}</records></domain>"),
            format!("<domain>{deep}<id>1</id><name>a.example</name><records/></domain>"),
            format!("{deep}<records></records>"),
        ] {
            assert_eq!(domain(&answer(&text), &[]), None);
        }
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
        let record =
            |kind: &str| Entry { name: "dev1.example.com".to_owned(), kind: Some(kind.to_owned()) };
        let mut asked = Grant {
            domain: "example.com".parse().unwrap(),
            policy: Policy::Deny,
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
