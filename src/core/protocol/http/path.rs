//! Paths: the places of an answer's tree that an entry names. Pure.

use serde_json::Value;

/// A place in a tree: names separated by dots, as in `error.code`; no name is the root.
///
/// A name is a key of an object. In front of an array it means every element that has the key, so
/// `records.value` are the values of all records. The name `*` is every element of an object or an
/// array. Keys with a dot cannot be named.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Path(Vec<Box<str>>);

/// Several paths: what they find together, in their order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paths(Vec<Path>);

/// The name that every element has.
pub const EVERY: &str = "*";

impl Path {
    /// Reads `text`; the error says what is wrong with it, as in "`a..b` has an empty name".
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what| Err(["`", text, "` ", what].concat());
        if text.is_empty() {
            return Ok(Self::default());
        }
        for name in text.split('.') {
            // Signs that nobody's keys hold, and other languages of paths and conditions do.
            let is_foreign = |c: char| c.is_whitespace() || "'\"=!<>()[]{}|&,;".contains(c);
            if name.is_empty() {
                return wrong("has an empty name");
            }
            if name.contains(is_foreign) {
                return wrong("has a character that no name has; names are separated by dots");
            }
            if name.contains(EVERY) && name != EVERY {
                return wrong("has a * that is not a name of its own");
            }
        }
        Ok(Self(text.split('.').map(Box::from).collect()))
    }

    /// The names, from the root on.
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }

    /// The path without its last name; the root's is the root.
    pub fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    /// The values at this place, in the tree's order. An array at the end is one value.
    pub fn find<'v>(&self, tree: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![tree];
        for name in &self.0 {
            let mut next = Vec::new();
            found.into_iter().for_each(|value| step(value, name, &mut next));
            found = next;
        }
        found
    }

    /// The texts at this place: strings as they are, numbers and booleans as JSON writes them.
    ///
    /// An array at the end counts as its elements. Null and objects have no text.
    pub fn texts(&self, tree: &Value) -> Vec<String> {
        let mut texts = Vec::new();
        self.find(tree).into_iter().for_each(|value| add_texts(value, &mut texts));
        texts
    }

    /// The first of the texts at this place.
    pub fn text(&self, tree: &Value) -> Option<String> {
        self.texts(tree).into_iter().next()
    }
}

impl Paths {
    /// Reads paths that are separated by blanks; no path is the root.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut paths = text.split_whitespace().map(Path::parse).collect::<Result<Vec<_>, _>>()?;
        if paths.is_empty() {
            paths.push(Path::default());
        }
        Ok(Self(paths))
    }

    /// The texts at these places, as [`Path::texts`] reads them.
    pub fn texts(&self, tree: &Value) -> Vec<String> {
        self.0.iter().flat_map(|path| path.texts(tree)).collect()
    }

    /// The first of the texts at these places.
    pub fn text(&self, tree: &Value) -> Option<String> {
        self.0.iter().find_map(|path| path.text(tree))
    }

    /// Whether one of these ways ends in an empty array: then there is nothing, and the place is known.
    pub fn lead_to_nothing(&self, tree: &Value) -> bool {
        let is_empty = |value: &&Value| value.as_array().is_some_and(Vec::is_empty);
        self.0.iter().any(|path| {
            (0..=path.0.len())
                .any(|length| Path(path.0[..length].to_vec()).find(tree).iter().any(is_empty))
        })
    }
}

/// Adds what `value` has under `name`.
fn step<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) if name == EVERY => found.extend(map.values()),
        Value::Object(map) => found.extend(map.get(name)),
        Value::Array(list) if name == EVERY => found.extend(list),
        // No deeper than the tree, whose depth is bounded.
        Value::Array(list) => list.iter().for_each(|element| step(element, name, found)),
        _ => {}
    }
}

fn add_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|element| add_texts(element, texts)),
        Value::Bool(_) | Value::Number(_) => texts.push(value.to_string()),
        Value::Null | Value::Object(_) => {}
        Value::String(text) => texts.push(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, tree: &Value, texts: &[&str]) {
        assert_eq!(Path::parse(path).unwrap().texts(tree), texts, "{path}");
    }

    #[test]
    fn names_lead_through_objects_and_arrays() {
        let tree = json!({
            "error": { "code": 9109 },
            "records": [{ "value": "192.0.2.1" }, { "ttl": 60 }, { "value": "192.0.2.2" }],
            "pages": [[{ "id": 1 }], [{ "id": 2 }]],
        });
        check("error.code", &tree, &["9109"]);
        check("records.value", &tree, &["192.0.2.1", "192.0.2.2"]);
        check("pages.id", &tree, &["1", "2"]);
        check("records.nothing", &tree, &[]);
        check("error.code.deeper", &tree, &[]);
        assert_eq!(Path::parse("records").unwrap().find(&tree), [&tree["records"]]);
        assert_eq!(Path::parse("").unwrap().find(&tree), [&tree]);
    }

    #[test]
    fn a_star_is_every_element() {
        let azure = json!({ "properties": {
            "TTL": 60, "ARecords": [{ "ipv4Address": "192.0.2.1" }], "fqdn": "dev1.example.com.",
        }});
        let paths = Paths::parse("properties.*.ipv4Address  properties.*.ipv6Address").unwrap();
        assert_eq!(paths.texts(&azure), ["192.0.2.1"]);
        check("*.TTL", &azure, &["60"]);
        check("*", &json!(["a", ["b"], { "c": "d" }, null]), &["a", "b"]);
        check("*.*", &json!([{ "c": "d" }, ["e"], "f"]), &["d", "e"]);
    }

    #[test]
    fn scalars_have_a_text_and_others_none() {
        let tree = json!({ "s": " a ", "t": true, "n": -1, "big": u64::MAX, "f": 1.5, "no": null,
            "o": { "x": 1 }, "list": ["a", 1, [false], null, {}], "empty": "" });
        for (path, texts) in [
            ("s", vec![" a "]),
            ("t", vec!["true"]),
            ("n", vec!["-1"]),
            ("big", vec!["18446744073709551615"]),
            ("f", vec!["1.5"]),
            ("no", vec![]),
            ("o", vec![]),
            ("list", vec!["a", "1", "false"]),
            ("empty", vec![""]),
        ] {
            check(path, &tree, &texts);
        }
        assert_eq!(Path::parse("list").unwrap().text(&tree).as_deref(), Some("a"));
        assert_eq!(Paths::parse("none n s").unwrap().text(&tree).as_deref(), Some("-1"));
        assert_eq!(Paths::parse("").unwrap().texts(&json!([7, "x"])), ["7", "x"]);
    }

    #[test]
    fn an_unreadable_path_is_refused_with_the_reason() {
        for (text, reason) in [
            ("a..b", "`a..b` has an empty name"),
            (".a", "`.a` has an empty name"),
            ("a.", "`a.` has an empty name"),
            ("a b", "`a b` has a character that no name has; names are separated by dots"),
            ("a[0]", "`a[0]` has a character that no name has; names are separated by dots"),
            ("a.b*", "`a.b*` has a * that is not a name of its own"),
        ] {
            assert_eq!(Path::parse(text).unwrap_err(), reason);
        }
        assert_eq!(Paths::parse("a b..c").unwrap_err(), "`b..c` has an empty name");
        assert!(Path::parse("@graph.x-y_z.$ref:é").is_ok());
    }

    #[test]
    fn the_parent_of_a_path_lacks_its_last_name() {
        assert_eq!(Path::parse("a.b").unwrap().parent(), Path::parse("a").unwrap());
        assert_eq!(Path::parse("").unwrap().parent(), Path::default());
        assert_eq!(Path::parse("a.*").unwrap().names(), [Box::from("a"), Box::from("*")]);
    }
}
