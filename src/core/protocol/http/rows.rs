//! Answers as trees, and lists of records with bounded memory: one record at a time is offered, and
//! few are kept. Pure.

use std::{fmt, mem};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::markup;
use super::path::{EVERY, Path};

/// The records of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The records that were kept, in the list's order.
    pub kept: Vec<Value>,
    /// The tree without the records; XML keeps them, and so does a place with one object or scalar.
    pub rest: Value,
    /// How many records were offered.
    pub seen: usize,
    /// Whether the place of the list is there; without it, no record does not mean an empty list.
    ///
    /// Null is an empty list. XML has nothing between none and one: there, what the list is in counts.
    pub found: bool,
}

/// The answer is no tree.
pub const NO_TREE: &str = "is neither JSON nor XML";

/// More would be read or kept than memory is set aside for.
pub const TOO_LARGE: &str = "is too large to be read";

/// The most nodes that are kept beside the records: values, and 64 bytes of text for another one.
const MOST_NODES: usize = 20_000;

/// The most nodes of one record.
const MOST_OF_A_ROW: usize = 2_000;

/// The bytes of text that count as a node.
const TEXT: usize = 64;

/// The most records that are kept: of one name and type.
const MOST_KEPT: usize = 200;

/// Reads the list at `at` in `body`, JSON or XML, and offers each record of it to `keep`.
///
/// The records are the elements of the array at this place, or the one object or scalar there; behind
/// a `*`, each element. A record that `keep` refuses is dropped at once. The error says what the
/// answer is: [`NO_TREE`], or [`TOO_LARGE`] when one record has more than 2,000 nodes, the rest has
/// more than 20,000, or more than 200 records are to be kept.
pub fn rows(
    body: &[u8],
    at: &Path,
    keep: &mut dyn FnMut(&Value) -> bool,
) -> Result<Rows, &'static str> {
    read(body, Some(at), keep)
}

/// The tree in `body`: JSON (RFC 8259), or XML as [`markup::xml`] reads it.
///
/// `None` for everything else: web pages, a number, a boolean or a text alone, what is not UTF-8, what
/// is nested too deep (JSON 127 levels, XML 64), XML over 256 KiB, a number that no `f64` holds, and
/// trees of more than 20,000 nodes.
pub fn tree_of(body: &[u8]) -> Option<Value> {
    Some(read(body, None, &mut |_| false).ok()?.rest)
}

/// `text` without the white space and the byte order mark around it.
pub fn trimmed(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim()
}

fn read(
    body: &[u8],
    at: Option<&Path>,
    keep: &mut dyn FnMut(&Value) -> bool,
) -> Result<Rows, &'static str> {
    let text = trimmed(std::str::from_utf8(body).map_err(|_| NO_TREE)?);
    let rows = Rows { kept: Vec::new(), rest: Value::Null, seen: 0, found: false };
    let mut reader = Reader { keep, rows, left: MOST_NODES, fault: NO_TREE };
    let done = if text.starts_with('<') {
        let tree = Some(text).filter(|text| !markup::is_page(text)).and_then(markup::xml);
        reader.xml(tree.ok_or(NO_TREE)?, at)
    } else {
        reader.json(text, at)
    };
    done.map_err(|_| reader.fault)?;
    Ok(reader.rows)
}

/// What is read so far.
struct Reader<'r> {
    keep: &'r mut dyn FnMut(&Value) -> bool,
    rows: Rows,
    /// How many more nodes may be read.
    left: usize,
    /// What is wrong, once something is.
    fault: &'static str,
}

impl Reader<'_> {
    fn json(&mut self, text: &str, at: Option<&Path>) -> serde_json::Result<()> {
        let mut json = serde_json::Deserializer::from_slice(text.as_bytes());
        let place = at.map(Path::names);
        let walk = Walk { place, is_one_of_many: false, reader: self };
        let rest = walk.deserialize(&mut json)?.unwrap_or_default();
        json.end()?;
        if matches!(rest, Value::Bool(_) | Value::Number(_) | Value::String(_)) {
            // A bare word or number is some service's text, not a tree.
            return Err(Error::custom(NO_TREE));
        }
        self.rows.rest = rest;
        Ok(())
    }

    fn xml(&mut self, tree: Value, at: Option<&Path>) -> serde_json::Result<()> {
        if let Some(at) = at {
            self.rows.found = !at.parent().find(&tree).is_empty();
            for value in at.find(&tree) {
                match value {
                    Value::Array(list) => list.iter().try_for_each(|row| self.offer(row))?,
                    row => self.offer(row)?,
                }
            }
        }
        self.rows.rest = tree;
        Ok(())
    }

    /// Offers a record.
    fn offer<E: Error>(&mut self, row: &Value) -> Result<(), E> {
        self.rows.seen += 1;
        if (self.keep)(row) {
            if self.rows.kept.len() == MOST_KEPT {
                return Err(self.too_large());
            }
            self.rows.kept.push(row.clone());
        }
        Ok(())
    }

    /// Takes note of a node with a text of this length.
    fn spend<E: Error>(&mut self, length: usize) -> Result<(), E> {
        self.left = self.left.checked_sub(1 + length / TEXT).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    fn too_large<E: Error>(&mut self) -> E {
        self.fault = TOO_LARGE;
        E::custom(TOO_LARGE)
    }
}

/// The reading of one value; it returns `None` for a record that the rest is without.
struct Walk<'w, 'r> {
    /// The names from here to the records; `None` beside the way, and in a record.
    place: Option<&'w [Box<str>]>,
    /// Whether the way has led through an array or a `*`.
    is_one_of_many: bool,
    reader: &'w mut Reader<'r>,
}

impl<'w, 'r> Walk<'w, 'r> {
    /// The reading of a value in this one.
    fn inner(&mut self, place: Option<&'w [Box<str>]>, is_one_of_many: bool) -> Walk<'_, 'r> {
        Walk { place, is_one_of_many, reader: self.reader }
    }

    /// Whether this value is the list, or the record.
    fn is_there(&mut self) -> bool {
        let is_there = self.place.is_some_and(<[_]>::is_empty);
        self.reader.rows.found |= is_there;
        is_there
    }

    fn scalar<E: Error>(self, value: Value, length: usize) -> Result<Option<Value>, E> {
        self.reader.spend(length)?;
        if self.place.is_some_and(<[_]>::is_empty) {
            // The texts of an error are no list: one scalar among several says nothing of a place.
            self.reader.rows.found |= value.is_null() || !self.is_one_of_many;
            if !value.is_null() {
                self.reader.offer(&value)?;
            }
        }
        Ok(Some(value))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.scalar(Value::Null, 0)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.scalar(value.into(), 0)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.scalar(value.into(), 0)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.scalar(value.into(), 0)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.scalar(value.into(), 0)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        self.scalar(value.into(), value.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.reader.spend(0)?;
        if self.is_there() {
            loop {
                let left = mem::replace(&mut self.reader.left, MOST_OF_A_ROW);
                let row = seq.next_element_seed(self.inner(None, true))?;
                self.reader.left = left;
                match row.flatten() {
                    Some(row) => self.reader.offer(&row)?,
                    None => return Ok(Some(Value::Array(Vec::new()))),
                }
            }
        }
        let place = match self.place {
            Some([name, names @ ..]) if &**name == EVERY => {
                self.reader.rows.found = true;
                Some(names)
            }
            place => place,
        };
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(self.inner(place, true))? {
            list.extend(value);
        }
        Ok(Some(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Self::Value, A::Error> {
        let is_there = self.is_there();
        let is_dropped = is_there && self.is_one_of_many;
        let left = self.reader.left;
        if is_dropped {
            self.reader.left = MOST_OF_A_ROW;
        }
        self.reader.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let (place, is_one_of_many) = match self.place {
                Some([name, names @ ..]) if &**name == EVERY => (Some(names), true),
                Some([name, names @ ..]) if **name == *key => (Some(names), self.is_one_of_many),
                _ => (None, false),
            };
            if let Some(value) = entries.next_value_seed(self.inner(place, is_one_of_many))? {
                self.reader.spend(key.len())?;
                map.insert(key, value);
            }
        }
        let value = Value::Object(map);
        if is_there {
            self.reader.offer(&value)?;
        }
        if is_dropped {
            self.reader.left = left;
            return Ok(None);
        }
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(at: &str, body: &str, mut keep: impl FnMut(&Value) -> bool) -> Rows {
        rows(body.as_bytes(), &Path::parse(at).unwrap(), &mut keep).unwrap()
    }

    /// Checks the records at `at` and what is left without them.
    #[track_caller]
    fn check(at: &str, body: &Value, kept: &Value, rest: &Value) {
        let rows = read(at, &body.to_string(), |_| true);
        assert_eq!((&Value::Array(rows.kept.clone()), &rows.rest), (kept, rest), "{at} of {body}");
        assert_eq!((rows.seen, rows.found), (rows.kept.len(), true));
    }

    #[test]
    fn records_are_the_elements_of_an_array() {
        let body = json!({ "result": [{ "id": 1 }, { "id": 2 }], "success": true,
            "result_info": { "page": 1, "result": [] } });
        let rest = json!({ "result": [], "success": true,
            "result_info": { "page": 1, "result": [] } });
        check("result", &body, &json!([{ "id": 1 }, { "id": 2 }]), &rest);
        check("", &json!([{ "id": 1 }]), &json!([{ "id": 1 }]), &json!([]));
        let deep = json!({ "a": { "b": { "c": [1, "x"] }, "d": 1 }, "c": [2] });
        let rest = json!({ "a": { "b": { "c": [] }, "d": 1 }, "c": [2] });
        check("a.b.c", &deep, &json!([1, "x"]), &rest);
    }

    #[test]
    fn records_are_also_bare_names_and_one_object() {
        check("", &json!([5_158_372_081_u64, 2]), &json!([5_158_372_081_u64, 2]), &json!([]));
        let zones = json!({ "zones": ["example.com", "example.org"] });
        check("zones", &zones, &json!(["example.com", "example.org"]), &json!({ "zones": [] }));
        let one = json!({ "zone": { "id": 7, "tags": [1] } });
        check("zone", &one, &json!([{ "id": 7, "tags": [1] }]), &one);
        // A refusal, too, is an object at the root: conditions see it.
        let refusal = json!({ "code": 401, "message": "x" });
        check("", &refusal, &json!([refusal]), &refusal);
        check("zone", &json!({ "zone": "x" }), &json!(["x"]), &json!({ "zone": "x" }));
    }

    #[test]
    fn a_star_and_an_array_on_the_way_lead_to_many() {
        let cloudns = json!({ "12": { "id": "12", "host": "dev1" }, "13": { "id": "13" } });
        check("*", &cloudns, &json!([{ "id": "12", "host": "dev1" }, { "id": "13" }]), &json!({}));
        let refusal = json!({ "status": "Failed", "statusDescription": "Missing domain-name" });
        let rows = read("*", &refusal.to_string(), |_| true);
        assert_eq!((rows.seen, rows.found, rows.rest), (2, false, refusal));
        let sets = json!({ "sets": [{ "rows": [1, 2], "x": 3 }, { "rows": { "y": 4 } }] });
        let rest = json!({ "sets": [{ "rows": [], "x": 3 }, {}] });
        check("sets.rows", &sets, &json!([1, 2, { "y": 4 }]), &rest);
        check("sets.*.rows", &sets, &json!([1, 2, { "y": 4 }]), &rest);
        check("*", &json!([[1], { "a": 2 }, 3]), &json!([1, { "a": 2 }, 3]), &json!([[], 3]));
    }

    #[test]
    fn a_list_that_is_not_there_is_not_an_empty_one() {
        for (at, body, found) in [
            ("records", "{}", false),
            ("records", "null", false),
            ("records", "[]", false),
            ("a.records", r#"{"a":[{"b":1}],"records":[1]}"#, false),
            ("records", r#"{"records":[]}"#, true),
            ("records", r#"{"records":null}"#, true),
            ("", "[]", true),
            ("", "null", true),
            ("l.row", "<l/>", true),
            ("l.rows.row", "<l><rows/></l>", true),
            ("l.rows.row", "<l><other/></l>", false),
        ] {
            let rows = read(at, body, |_| true);
            assert_eq!((rows.found, rows.seen), (found, 0), "{at} of {body}");
            assert_eq!(Some(rows.rest), tree_of(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn xml_has_records_too() {
        let body = "<R><Sets><Set><Name>a</Name></Set><Set><Name>b</Name></Set></Sets><T>1</T></R>";
        let rows = read("R.Sets.Set", body, |row| row["Name"] == "b");
        assert_eq!((rows.kept, rows.seen), (vec![json!({ "Name": "b" })], 2));
        assert_eq!(rows.rest["R"]["T"], "1");
        let one = read("R.Set.Name", "<R><Set><Name>a</Name></Set></R>", |_| true);
        assert_eq!(one.kept, [json!("a")]);
    }

    #[test]
    fn a_tree_is_json_or_xml_and_nothing_else() {
        for (body, tree) in [
            ("null", json!(null)),
            (" {} \r\n", json!({})),
            ("\u{feff}[1,-2,3.5,\"\\u00e9\",true,null]", json!([1, -2, 3.5, "é", true, null])),
            (r#"{"a":1,"a":2}"#, json!({ "a": 2 })),
            ("<a>1</a>", json!({ "a": "1" })),
        ] {
            assert_eq!(tree_of(body.as_bytes()), Some(tree), "{body}");
        }
        let depth = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(tree_of(depth(127).as_bytes()).is_some());
        for body in [
            "",
            " ",
            "good",
            "911",
            "-1",
            "true",
            "\"OK\"",
            "{",
            "{}x",
            "{} {}",
            "[1,]",
            "{'a':1}",
            "[1e999]",
            "[-1e999]",
            "NaN",
            "[NaN]",
            "\0",
            "<html><body/></html>",
            "<a>",
            "[\"\\ud800\"]",
            &depth(128),
            &depth(10_000),
            &"[".repeat(10_000),
            &"{\"a\":".repeat(10_000),
            &"<a>".repeat(10_000),
            "<!DOCTYPE a><a/>",
        ] {
            assert_eq!(tree_of(body.as_bytes()), None, "{body:.40}");
        }
        for body in [&b"[\"\xff\"]"[..], b"<a>\xe9</a>", b"\xff\xfe{\0}\0", b"\x1f\x8b\x08"] {
            assert_eq!(tree_of(body), None, "{body:?}");
        }
        // No number that does not fit is another one by wrapping round.
        let large = tree_of(b"[18446744073709551616,-9223372036854775809]").unwrap();
        assert_eq!(large, json!([18_446_744_073_709_551_616.0, -9_223_372_036_854_775_809.0]));
    }

    /// A list of that many records, each with some 40 nodes, as Cloudflare's.
    fn list(count: usize) -> String {
        let mut body = String::from(r#"{"success":true,"result":["#);
        for at in 0..count {
            let comma = if at == 0 { "" } else { "," };
            body.push_str(&format!(
                r#"{comma}{{"id":"{at:032}","name":"dev{at}.example.com","type":"A","ttl":1,"content":
                "192.0.2.1","proxied":false,"meta":{{"a":[1,2,3],"b":null}},"tags":["x","y"],
                "comment":"{}"}}"#,
                "c".repeat(200)
            ));
        }
        body.push_str(r#"],"result_info":{"page":1,"count":2}}"#);
        body
    }

    #[test]
    fn a_list_of_4_mib_is_never_a_whole_tree() {
        let body = list(10_000);
        assert!((4 << 20..5 << 20).contains(&body.len()), "{}", body.len());
        let rows = read("result", &body, |row| row["name"] == "dev9999.example.com");
        assert_eq!((rows.seen, rows.kept.len()), (10_000, 1));
        assert_eq!(rows.kept[0]["meta"]["a"], json!([1, 2, 3]));
        let rest =
            json!({ "success": true, "result": [], "result_info": { "page": 1, "count": 2 } });
        assert_eq!(rows.rest, rest);
        // Read as a tree, or with the records anywhere else, it is refused before it is one.
        assert_eq!(tree_of(body.as_bytes()), None);
        for at in ["other", "", "result.name", "result.tags", "*.nothing"] {
            let at = Path::parse(at).unwrap();
            assert_eq!(super::rows(body.as_bytes(), &at, &mut |_| false), Err(TOO_LARGE));
        }
        // Objects by name, as ClouDNS lists them.
        let named: Vec<String> = (0..30_000).map(|at| format!(r#""{at}":{{"id":{at}}}"#)).collect();
        let rows = read("*", &format!("{{{}}}", named.join(",")), |row| row["id"] == 29_999);
        assert_eq!((rows.seen, rows.kept.len(), rows.rest), (30_000, 1, json!({})));
    }

    #[test]
    fn too_much_is_refused() {
        let check = |at: &str, body: &str, keeps: bool, expect: Result<usize, &'static str>| {
            let rows = rows(body.as_bytes(), &Path::parse(at).unwrap(), &mut |_| keeps);
            assert_eq!(rows.map(|rows| rows.kept.len()), expect, "{at} of {body:.60}");
        };
        let ones = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        check("", &ones(MOST_KEPT), true, Ok(MOST_KEPT));
        check("", &ones(MOST_KEPT + 1), true, Err(TOO_LARGE));
        check("", &ones(100_000), false, Ok(0));
        check("", &format!("[{}]", ones(MOST_OF_A_ROW - 1)), true, Ok(1));
        check("", &format!("[{}]", ones(MOST_OF_A_ROW)), true, Err(TOO_LARGE));
        check("*", &format!(r#"{{"a":{{"b":{}}}}}"#, ones(MOST_OF_A_ROW)), true, Err(TOO_LARGE));
        check("x", &ones(MOST_NODES - 1), true, Ok(0));
        check("x", &ones(MOST_NODES), true, Err(TOO_LARGE));
        let text = |length: usize| format!("[\"{}\"]", "x".repeat(length));
        check("", &text(TEXT * (MOST_OF_A_ROW - 1)), true, Ok(1));
        check("", &text(TEXT * MOST_OF_A_ROW), true, Err(TOO_LARGE));
        check("x", &text(4 << 20), true, Err(TOO_LARGE));
        let key = format!(r#"{{"{}":1}}"#, "k".repeat(4 << 20));
        check("x", &key, true, Err(TOO_LARGE));
        let elements = "<i/>".repeat(MOST_KEPT + 1);
        check("l.i", &format!("<l>{elements}</l>"), true, Err(TOO_LARGE));
        check("l.i", &format!("<l>{elements}</l>"), false, Ok(0));
    }

    #[test]
    fn a_list_that_is_torn_is_no_list() {
        let body = list(3);
        for end in [body.len() - 1, body.len() / 2, 1, 0] {
            let at = Path::parse("result").unwrap();
            assert_eq!(rows(&body.as_bytes()[..end], &at, &mut |_| true), Err(NO_TREE));
        }
        for body in ["good", "7", "{}{}", "<html>", "<l><i/>"] {
            assert_eq!(rows(body.as_bytes(), &Path::default(), &mut |_| true), Err(NO_TREE));
        }
    }
}
