//! A domain as `PowerDNS` on Rails shows it in XML. Pure.
//!
//! Rails writes a model's attributes as elements (`<name>…</name>`), and the class of a record in
//! an attribute of its element; both forms are read.

use roxmltree::{Document, Node};

use super::{Domain, Record};
use crate::core::name::Hostname;
use crate::core::protocol::Answer;

/// The longest text that is read as one document, in bytes: its tree is many times as large.
const LONGEST: usize = 96 * 1024;

/// The longest name (RFC 1035, section 3.1).
const LONGEST_NAME: usize = 255;

/// The domain in `answer`, with only the records of `hosts`; `None` when there is no domain, or
/// one without a list of records.
///
/// A domain may have any number of records: each is read by itself, and records of other names
/// are not kept.
pub fn domain(answer: &Answer, hosts: &[&Hostname]) -> Option<Domain> {
    let text = answer.text()?;
    // A missing list of records does not mean that the domain has none.
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
pub fn short(text: &str) -> Option<&str> {
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

/// The child of that name.
pub fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The text of a child, or else of an attribute, of that name.
pub fn value(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = match child(node, name) {
        Some(child) => child.text(),
        None => node.attribute(name),
    };
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A name in the form for comparisons: lower case, no final dot.
fn name(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
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
}
