//! JSON (RFC 8259), read and written: as much as the REST API needs.
//!
//! Pure. Depth is bounded; numbers keep their text; of a repeated name the last value counts.

use std::fmt;

/// How deep lists and objects may lie in one another.
const DEPTH: usize = 32;

/// A value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// In the order in which they were written.
    List(Vec<Value>),
    /// `null`.
    Null,
    /// As written.
    Number(String),
    /// In the order in which they were written.
    Object(Vec<(String, Value)>),
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
            Self::Number(text) if text.contains(['.', 'e', 'E']) => "float",
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
        Self::Number(value.to_string())
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
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Null => f.write_str("null"),
            Self::Number(text) => f.write_str(text),
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", quoted(name))?;
                }
                f.write_str("}")
            }
            Self::String(text) => f.write_str(&quoted(text)),
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The text is no JSON; where, counted in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotJson {
    /// How many bytes were understood.
    pub at: usize,
}

/// Reads the one value that `text` holds.
pub fn parse(text: &str) -> Result<Value, NotJson> {
    let mut reader = Reader { at: 0, text };
    let value = reader.value(DEPTH)?;
    reader.skip_blanks();
    if reader.at == text.len() { Ok(value) } else { Err(reader.lost()) }
}

struct Reader<'a> {
    at: usize,
    text: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, NotJson> {
        let deeper = depth.checked_sub(1).ok_or(self.lost())?;
        self.skip_blanks();
        match self.peek() {
            Some('{') => {
                self.at += 1;
                let mut members = Vec::new();
                while self.more(members.is_empty(), '}')? {
                    self.skip_blanks();
                    let name = self.string()?;
                    self.skip_blanks();
                    self.expect(":")?;
                    members.push((name, self.value(deeper)?));
                }
                Ok(Value::Object(members))
            }
            Some('[') => {
                self.at += 1;
                let mut items = Vec::new();
                while self.more(items.is_empty(), ']')? {
                    items.push(self.value(deeper)?);
                }
                Ok(Value::List(items))
            }
            Some('"') => self.string().map(Value::String),
            Some('t') => self.expect("true").map(|()| Value::Bool(true)),
            Some('f') => self.expect("false").map(|()| Value::Bool(false)),
            Some('n') => self.expect("null").map(|()| Value::Null),
            _ => self.number(),
        }
    }

    /// Whether another item follows, its comma already read; otherwise the end is read.
    fn more(&mut self, first: bool, end: char) -> Result<bool, NotJson> {
        self.skip_blanks();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(false);
        }
        if first { Ok(true) } else { self.expect(",").map(|()| true) }
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.expect("\"")?;
        let mut string = String::new();
        loop {
            let character = self.next()?;
            match character {
                '"' => return Ok(string),
                '\\' => string.push(self.escaped()?),
                control if control < ' ' => return Err(self.lost()),
                other => string.push(other),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, NotJson> {
        Ok(match self.next()? {
            same @ ('"' | '\\' | '/') => same,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.four_digits()?;
                let code = if (0xD800..0xDC00).contains(&first) {
                    self.expect("\\u")?;
                    let second = self.four_digits()?.checked_sub(0xDC00).ok_or(self.lost())?;
                    0x1_0000 + ((first - 0xD800) << 10) + (second & 0x3FF)
                } else {
                    first
                };
                char::from_u32(code).ok_or(self.lost())?
            }
            _ => return Err(self.lost()),
        })
    }

    fn four_digits(&mut self) -> Result<u32, NotJson> {
        (0..4).try_fold(0, |code, _| {
            let digit = self.next()?.to_digit(16).ok_or(self.lost())?;
            Ok(code * 16 + digit)
        })
    }

    fn number(&mut self) -> Result<Value, NotJson> {
        let rest = &self.text[self.at..];
        let fits = |c: char| c.is_ascii_digit() || ['-', '+', '.', 'e', 'E'].contains(&c);
        let text = &rest[..rest.find(|c| !fits(c)).unwrap_or(rest.len())];
        let whole = text.strip_prefix('-').unwrap_or(text);
        let starts = whole.starts_with(|c: char| c.is_ascii_digit());
        let padded =
            whole.len() > 1 && whole.starts_with('0') && !whole[1..].starts_with(['.', 'e', 'E']);
        if !starts || padded || text.ends_with('.') || text.parse::<f64>().is_err() {
            return Err(self.lost());
        }
        self.at += text.len();
        Ok(Value::Number(text.to_owned()))
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn expect(&mut self, wanted: &str) -> Result<(), NotJson> {
        let found = self.text[self.at..].starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        if found { Ok(()) } else { Err(self.lost()) }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Result<char, NotJson> {
        let character = self.peek().ok_or(self.lost())?;
        self.at += character.len_utf8();
        Ok(character)
    }

    fn lost(&self) -> NotJson {
        NotJson { at: self.at }
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
            "{\"a\":[1,-2.5e3,null],\"b\":{}}",
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
        assert!(parse(&nested(DEPTH)).is_ok());
        assert!(parse(&nested(DEPTH + 1)).is_err());
        assert!(parse(&"[".repeat(60_000)).is_err());
    }
}
