//! Bodies: what is read of a request by a real parser, and what Rails writes. Pure.

use roxmltree::Document;

use super::world::{Domain, Record};

/// The elements of a request's root, in order, with their texts; `None` when it is no XML with that
/// root.
pub fn fields(body: &[u8], root: &str) -> Option<Vec<(String, String)>> {
    let document = Document::parse(std::str::from_utf8(body).ok()?).ok()?;
    let element = document.root_element();
    if !element.has_tag_name(root) {
        return None;
    }
    let children = element.children().filter(roxmltree::Node::is_element);
    let field = |node: roxmltree::Node<'_, '_>| {
        (node.tag_name().name().to_owned(), node.text().unwrap_or_default().to_owned())
    };
    Some(children.map(field).collect())
}

/// A domain with its records, as Rails writes a model.
pub fn domain(domain: &Domain) -> String {
    let records: String = domain.records.iter().map(record).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<domain>\n  <id type=\"integer\">{}</id>\n  \
         <name>{}</name>\n  <ttl type=\"integer\">86400</ttl>\n  <type>NATIVE</type>\n  \
         <records type=\"array\">\n{records}  </records>\n</domain>\n",
        domain.id,
        escaped(&domain.name),
    )
}

/// One record of a domain, or alone.
pub fn record(record: &Record) -> String {
    let Record { id, name, kind, content, ttl } = record;
    let (name, content) = (escaped(name), escaped(content));
    format!(
        "    <record type=\"{kind}\">\n      <content>{content}</content>\n      \
         <id type=\"integer\">{id}</id>\n      <name>{name}</name>\n      \
         <prio type=\"integer\" nil=\"true\"></prio>\n      <ttl type=\"integer\">{ttl}</ttl>\n      \
         <type>{kind}</type>\n    </record>\n"
    )
}

/// A complaint.
pub fn error(text: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>{}</error>\n", escaped(text))
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
