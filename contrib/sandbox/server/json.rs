//! JSON values whose members keep their order, as Python writes them; `serde_json` reads and writes.
//!
//! Pure. Of a repeated name the last value counts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Number;

/// A value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// In the order in which they were written.
    List(Vec<Value>),
    /// `null`.
    Null,
    /// A whole number or another.
    Number(Number),
    /// In the order in which they were written.
    Object(#[serde(with = "members")] Vec<(String, Value)>),
    /// A text.
    String(String),
}

impl Value {
    /// An object with these members.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A list of texts.
    pub fn texts<T: Into<Self>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Into::into).collect())
    }

    /// The member `name` of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// What Python calls this type, as complaints do.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::List(_) => "list",
            Self::Null => "NoneType",
            Self::Number(number) if number.is_f64() => "float",
            Self::Number(_) => "int",
            Self::Object(_) => "dict",
            Self::String(_) => "str",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl fmt::Display for Value {
    /// Without any blanks, as the server writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The text is no JSON; where, counted in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotJson {
    /// How many bytes were understood.
    pub at: usize,
}

/// Reads the one value that `text` holds.
pub fn parse(text: &str) -> Result<Value, NotJson> {
    serde_json::from_str(text).map_err(|error| {
        let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        // The column is that of what is wrong; at the end nothing is.
        let column = error.column().saturating_sub(usize::from(!error.is_eof()));
        NotJson { at: lines.map(str::len).sum::<usize>() + column }
    })
}

/// Objects as lists of their members: serde's maps have an order of their own.
mod members {
    use std::fmt;

    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde::ser::Serializer;

    use super::Value;

    pub fn serialize<S: Serializer>(
        members: &[(String, Value)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, Value)>, D::Error> {
        deserializer.deserialize_map(Members)
    }

    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).unwrap().to_string(), expected);
    }

    #[test]
    fn what_is_read_is_written_again_without_blanks() {
        check(
            " { \"a\" : [ 1 , -2.5e3 , null ] , \"b\" : { } } ",
            "{\"a\":[1,-2500.0,null],\"b\":{}}",
        );
        check("[true,false,\"x\"]", "[true,false,\"x\"]");
        check(r#""\u00e9\n\"\\\ud83d\ude00\/""#, "\"é\\n\\\"\\\\😀/\"");
        check("\"\\u0001\"", "\"\\u0001\"");
    }

    #[test]
    fn of_a_repeated_name_the_last_value_counts() {
        assert_eq!(parse("{\"a\":1,\"a\":2}").unwrap().get("a"), Some(&Value::from(2)));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{a:1}",
            "\"x",
            "\"\\x\"",
            "\"\\ud800\"",
            "01",
            "1.",
            "--1",
            "+1",
            "nul",
            "1 2",
            "\"\n\"",
            "'x'",
            "NaN",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(100)).is_ok());
        assert!(parse(&nested(200)).is_err());
        assert!(parse(&"[".repeat(60_000)).is_err());
    }
}
