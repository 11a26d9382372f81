//! Markup: XML as a tree like JSON's, and which texts are web pages. Pure.

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

/// The longest XML that is read, in bytes: its tree is many times as large.
const LONGEST: usize = 256 * 1024;

/// The most nodes of an XML text: elements and the texts between them.
const MOST_NODES: u32 = 20_000;

/// The most declarations of namespaces, and the most attributes of one element.
const MOST_NAMESPACES: usize = 64;
/// See [`MOST_NAMESPACES`].
const MOST_ATTRIBUTES: usize = 256;

/// How deep elements may be nested.
const DEEPEST: usize = 64;

/// Whether `text`, trimmed, is a web page: whether it begins as HTML does, after comments and
/// declarations of XML.
///
/// The media type says nothing: `DNSPod`, Name.com and Dinahosting send JSON as `text/html`.
pub fn is_page(text: &str) -> bool {
    let mut rest = text;
    for (begin, end) in [("<!--", "-->"), ("<?", "?>"), ("<!--", "-->")] {
        while let Some((_, after)) = rest.strip_prefix(begin).and_then(|rest| rest.split_once(end))
        {
            rest = after.trim_start();
        }
    }
    ["<!doctype html", "<html", "<head"].iter().any(|begin| {
        let head = rest.get(..begin.len());
        let next = rest.as_bytes().get(begin.len());
        // Not `<headers>`, which is an element of somebody's XML.
        head.is_some_and(|head| head.eq_ignore_ascii_case(begin))
            && next.is_none_or(|next| !next.is_ascii_alphanumeric())
    })
}

/// The tree of the XML in `text`: an object with the root element's name as its key.
///
/// An element with others in it is an object; one that is repeated is an array; any other is its
/// text, trimmed. Names are local ones; attributes, and texts beside elements, are left out. `None`
/// for what is not well-formed, is too long or too deep, has too many attributes, or declares a
/// document type.
pub fn xml(text: &str) -> Option<Value> {
    // The parser compares an attribute with the others of its element, and copies the namespaces of
    // an element into those within: with many, 64 KiB would keep it busy for half a minute.
    let is_slow = text.matches("xmlns").count() > MOST_NAMESPACES
        || text.split('<').any(|tag| tag.matches('=').count() > MOST_ATTRIBUTES);
    if text.len() > LONGEST || is_slow {
        return None;
    }
    // The encoding that it declares does not matter: the text is Unicode already.
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    element(document.root(), DEEPEST)
}

/// The value of `node`, which may hold elements nested `depth` deep.
fn element(node: Node<'_, '_>, depth: usize) -> Option<Value> {
    let mut map = Map::new();
    for child in node.children().filter(Node::is_element) {
        let value = element(child, depth.checked_sub(1)?)?;
        let name = child.tag_name().name();
        match map.get_mut(name) {
            // No element is an array by itself.
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                map.insert(name.to_owned(), value);
            }
        }
    }
    if map.is_empty() {
        let text: String =
            node.children().filter(Node::is_text).filter_map(|child| child.text()).collect();
        return Some(Value::String(text.trim().to_owned()));
    }
    Some(Value::Object(map))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_known_by_its_beginning() {
        for page in [
            "<!DOCTYPE html>\n<html>",
            "<!doctype HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">",
            "<html lang=\"de\">",
            "<HTML>x",
            "<head><title>DDNSS</title></head>",
            "<html",
            "<!-- proxy -->\n<?xml version=\"1.0\"?>\n<!-- x --><!DOCTYPE html>",
        ] {
            assert!(is_page(page), "{page}");
        }
        for other in [
            "",
            "<",
            "<!--",
            "<?xml",
            "<!--<html>",
            "{\"html\":\"<html>\"}",
            "<headers><a/></headers>",
            "<html5/>",
            "<?xml version=\"1.0\"?><interface-response/>",
            "good <html>",
            "ä<html>",
            "<ä<html>",
        ] {
            assert!(!is_page(other), "{other}");
        }
    }

    #[test]
    fn xml_becomes_a_tree() {
        let route53 = "<?xml version=\"1.0\"?>\n\
            <ListHostedZonesByNameResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
            <HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name>\
            <Config><PrivateZone>false</PrivateZone></Config></HostedZone>\
            <HostedZone><Id>/hostedzone/Z2</Id></HostedZone></HostedZones>\
            <MaxItems>10</MaxItems><Empty/></ListHostedZonesByNameResponse>";
        let tree = json!({ "ListHostedZonesByNameResponse": {
            "HostedZones": { "HostedZone": [
                { "Id": "/hostedzone/Z1", "Name": "example.com.", "Config": { "PrivateZone": "false" } },
                { "Id": "/hostedzone/Z2" },
            ]},
            "MaxItems": "10", "Empty": "",
        }});
        assert_eq!(xml(route53), Some(tree));
        let mixed = "<a:x xmlns:a='u' id='1'> one <![CDATA[<two>]]><!-- no --> &amp; three </a:x>";
        assert_eq!(xml(mixed), Some(json!({ "x": "one <two> & three" })));
        let thrice = xml("<l><i>1</i> and <i>2</i><j/><i><k>3</k></i></l>");
        assert_eq!(thrice, Some(json!({ "l": { "i": ["1", "2", { "k": "3" }], "j": "" } })));
    }

    #[test]
    fn a_document_that_could_harm_is_none() {
        let nested = |depth: usize| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
        assert!(xml(&nested(DEEPEST)).is_some());
        assert_eq!(xml(&nested(DEEPEST + 1)), None);
        assert_eq!(xml(&nested(10_000)), None);
        assert_eq!(xml("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), None);
        assert_eq!(xml(&["<a>", &"<b/>".repeat(30_000), "</a>"].concat()), None);
        assert_eq!(xml(&["<a>", &"b".repeat(LONGEST), "</a>"].concat()), None);
        let element = |attribute: &str, count: usize, inner: &str| {
            let each: Vec<_> = (0..count).map(|at| format!(" {attribute}{at}='u{at}'")).collect();
            ["<l", &each.concat(), ">", &inner.repeat(2_000), "</l>"].concat()
        };
        assert!(xml(&element("a", MOST_ATTRIBUTES, "<i/>")).is_some());
        assert_eq!(xml(&element("a", MOST_ATTRIBUTES + 1, "<i/>")), None);
        assert!(xml(&element("xmlns:a", MOST_NAMESPACES, "<a0:i/>")).is_some());
        assert_eq!(xml(&element("xmlns:a", MOST_NAMESPACES + 1, "<i/>")), None);
        assert_eq!(xml(&element("xmlns:a", 3, "<a0:i xmlns:z='1'/>")), None);
        for torn in ["<a>", "<a></b>", "<a/><b/>", "<", "<a>&unknown;</a>", "a", ""] {
            assert_eq!(xml(torn), None, "{torn}");
        }
    }
}
