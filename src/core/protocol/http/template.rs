//! Templates: texts with places that values fill, as entries have them for URLs, headers and bodies.
//!
//! `{name}` is replaced by a value, `{?name text}` stands only where the name has a value, and
//! `{!name text}` only where it has none. A brace begins a place only before a lower-case letter, `?`
//! or `!`, so that JSON needs no escaping. There are no loops and no arithmetic.

use std::borrow::Cow;

use crate::core::protocol::query_value;
use crate::core::secret::{Guarded, Secret};
use crate::core::text::Text;

/// A parsed template.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    /// A text that stands as it is.
    Fixed(Text),
    /// The value of a name.
    Value(Text),
    /// A part that stands only where the name has a value, or only where it has none.
    If { name: Text, has_value: bool, part: Template },
}

/// The form in which values are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// As it is: headers and plain text.
    Plain,
    /// Percent-encoded for a URL or an HTML form (RFC 3986, section 2.1).
    Percent,
    /// The inside of a JSON string (RFC 8259, section 7).
    Json,
    /// XML character data.
    Xml,
}

/// A value for a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// Text that is written in the template's form.
    Text(Cow<'a, str>),
    /// Text that is in the template's form already.
    Ready(Cow<'a, str>),
    /// A secret, which is written in the template's form and never shown.
    Secret(Cow<'a, Secret>),
    /// What another template was filled to, in this one's form: its secrets stay hidden.
    Filled(Guarded),
}

/// The place without a value that ends the filling of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing(pub Text);

impl Template {
    /// The template in `text`; the error says what is wrong with it.
    pub fn parse(text: &Text) -> Result<Self, String> {
        let mut rest = text.clone();
        let template = pieces(&mut rest, 0)?;
        Ok(template)
    }

    /// The fixed text that it begins with.
    pub fn fixed_start(&self) -> &str {
        match self.0.first() {
            Some(Piece::Fixed(text)) => text,
            Some(Piece::Value(_) | Piece::If { .. }) | None => "",
        }
    }

    /// Whether it begins with a secret, as a URL does that is one.
    pub fn begins_with_secret(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Value(name)) if name.starts_with("secret"))
    }

    /// Calls `visit` with every name, and with whether it needs a value.
    pub fn visit_names(&self, visit: &mut impl FnMut(&str, bool)) {
        self.visit_within(&mut Vec::new(), visit);
    }

    fn visit_within<'t>(&'t self, known: &mut Vec<&'t str>, visit: &mut impl FnMut(&str, bool)) {
        for piece in &self.0 {
            match piece {
                Piece::Fixed(_) => {}
                Piece::Value(name) => visit(name, !known.contains(&&**name)),
                Piece::If { name, has_value, part } => {
                    visit(name, false);
                    if *has_value {
                        known.push(name);
                    }
                    part.visit_within(known, visit);
                    if *has_value {
                        known.pop();
                    }
                }
            }
        }
    }

    /// Whether `name` has a place, or decides about a part.
    pub fn has(&self, name: &str) -> bool {
        let mut found = false;
        self.visit_names(&mut |known, _| found |= known == name);
        found
    }

    /// The text with the values of `value` in `form`; the error is the first place without a value.
    pub fn fill<'v>(
        &self,
        form: Form,
        value: &dyn Fn(&str) -> Option<Value<'v>>,
    ) -> Result<Guarded, Missing> {
        let mut text = Guarded::default();
        self.fill_into(&mut text, form, value)?;
        Ok(text)
    }

    fn fill_into<'v>(
        &self,
        text: &mut Guarded,
        form: Form,
        value: &dyn Fn(&str) -> Option<Value<'v>>,
    ) -> Result<(), Missing> {
        for piece in &self.0 {
            match piece {
                Piece::Fixed(fixed) => text.push(fixed),
                Piece::Value(name) => match value(name).ok_or_else(|| Missing(name.clone()))? {
                    Value::Text(plain) => text.push(&form.write(&plain)),
                    Value::Ready(ready) => text.push(&ready),
                    Value::Secret(secret) => {
                        text.push_secret(&secret, &form.write(secret.expose()));
                    }
                    Value::Filled(filled) => text.append(filled),
                },
                Piece::If { name, has_value, part } => {
                    // An empty value, such as the label of a zone's own name, counts as none.
                    if value(name).is_some_and(|value| !value.is_empty()) == *has_value {
                        part.fill_into(text, form, value)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Value<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) | Self::Ready(text) => text.is_empty(),
            Self::Secret(secret) => secret.expose().is_empty(),
            Self::Filled(filled) => filled.expose().is_empty(),
        }
    }
}

impl Form {
    /// `text` in this form.
    pub fn write(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => Cow::Borrowed(text),
            // An at sign separates nothing in a path or a query, and some servers do not decode it.
            Self::Percent => Cow::Owned(query_value(text).replace("%40", "@")),
            Self::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
            }
            Self::Xml => {
                Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
            }
        }
    }
}

/// How many parts may lie in one another: reading and filling them takes the stack for each.
const DEEPEST: usize = 16;

/// Reads pieces up to the end of the text, or of the part that it is in, which lies in `depth` parts.
fn pieces(rest: &mut Text, depth: usize) -> Result<Template, String> {
    let is_part = depth > 0;
    let mut found = Vec::new();
    // The braces of JSON that are open: the first one that closes nothing ends the part.
    let mut open = 0_usize;
    let mut from = 0;
    loop {
        let Some(at) = rest[from..].find(['{', '}']).map(|at| from + at) else {
            if is_part {
                return Err("has a brace that nothing closes".to_owned());
            }
            push_fixed(&mut found, take(rest, rest.len()));
            return Ok(Template(found));
        };
        let next = rest.as_bytes().get(at + 1).copied().unwrap_or_default();
        match (rest.as_bytes()[at], next) {
            (b'}', _) if is_part && open == 0 => {
                push_fixed(&mut found, take(rest, at));
                take(rest, 1);
                return Ok(Template(found));
            }
            (b'}', _) => {
                open = open.saturating_sub(1);
                from = at + 1;
            }
            (_, b'a'..=b'z' | b'?' | b'!') => {
                push_fixed(&mut found, take(rest, at));
                take(rest, 1);
                found.push(piece(rest, depth)?);
                from = 0;
            }
            _ => {
                open += 1;
                from = at + 1;
            }
        }
    }
}

/// Reads one place, whose opening brace is read already; see [`pieces`] about `depth`.
fn piece(rest: &mut Text, depth: usize) -> Result<Piece, String> {
    let has_value = match rest.as_bytes().first() {
        Some(b'?') => Some(true),
        Some(b'!') => Some(false),
        _ => None,
    };
    if has_value.is_some() {
        take(rest, 1);
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
    if end == 0 {
        return Err("has a place without a name".to_owned());
    }
    let name = take(rest, end);
    match (has_value, rest.as_bytes().first()) {
        (None, Some(b'}')) => {
            take(rest, 1);
            Ok(Piece::Value(name))
        }
        (Some(_), Some(b' ')) if depth == DEEPEST => {
            Err(format!("has more than {DEEPEST} conditions in one another"))
        }
        (Some(has_value), Some(b' ')) => {
            take(rest, 1);
            Ok(Piece::If { name, has_value, part: pieces(rest, depth + 1)? })
        }
        (None, _) => Err(format!("has a place {{{name} that nothing closes")),
        (Some(_), _) => Err(format!("needs a blank and a text after the condition on {name}")),
    }
}

fn push_fixed(found: &mut Vec<Piece>, text: Text) {
    if !text.is_empty() {
        found.push(Piece::Fixed(text));
    }
}

/// Takes the first `length` bytes off `rest`, without a copy where the text is built in.
fn take(rest: &mut Text, length: usize) -> Text {
    match rest {
        Cow::Borrowed(text) => {
            let (taken, after) = text.split_at(length);
            *text = after;
            Cow::Borrowed(taken)
        }
        Cow::Owned(text) => {
            let after = text.split_off(length);
            Cow::Owned(std::mem::replace(text, after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static str) -> Template {
        Template::parse(&Cow::Borrowed(text)).unwrap()
    }

    fn filled(text: &'static str, form: Form) -> Result<String, Missing> {
        let value = |name: &str| match name {
            "host" => Some(Value::Text("a b.\"<é".into())),
            "item" => Some(Value::Ready("{\"x\"}".into())),
            "secret" => Some(Value::Secret(Cow::Owned(Secret::new("s&3")))),
            _ => None,
        };
        let whole = parse(text).fill(form, &value)?;
        assert!(!whole.to_string().contains("s&3") && !whole.to_string().contains("s%263"));
        let owned = Template::parse(&Cow::Owned(text.to_owned())).unwrap();
        assert_eq!(owned.fill(form, &value).unwrap(), whole);
        Ok(whole.expose().to_owned())
    }

    #[test]
    fn values_are_written_in_the_form_of_the_text() {
        for (form, expect) in [
            (Form::Plain, "a b.\"<é s&3"),
            (Form::Percent, "a%20b.%22%3C%C3%A9 s%263"),
            (Form::Json, "a b.\\\"<é s&3"),
            (Form::Xml, "a b.\"&lt;é s&amp;3"),
        ] {
            assert_eq!(filled("{host} {secret}", form).unwrap(), expect);
        }
        assert_eq!(filled("[{item}]", Form::Json).unwrap(), "[{\"x\"}]");
    }

    #[test]
    fn braces_of_json_stand_and_conditions_choose_parts() {
        let json = "{\"a\":{\"b\":[]},\"c\":{}{?host ,\"d\":{\"e\":\"{secret}\"}}{!host ,0}{?no ,1}{!no ,2}}";
        assert_eq!(
            filled(json, Form::Json).unwrap(),
            "{\"a\":{\"b\":[]},\"c\":{},\"d\":{\"e\":\"s&3\"},2}"
        );
        assert_eq!(filled("{no}", Form::Plain), Err(Missing("no".into())));
        assert_eq!(filled("{?no {no}}x", Form::Plain).unwrap(), "x");
    }

    #[test]
    fn names_are_listed_with_what_they_need() {
        let mut names = Vec::new();
        parse("{a}{?b {b}{c}}{!d {d}}").visit_names(&mut |name, needed| {
            names.push((name.to_owned(), needed));
        });
        let expect =
            [("a", true), ("b", false), ("b", false), ("c", true), ("d", false), ("d", true)];
        assert_eq!(names, expect.map(|(name, needed)| (name.to_owned(), needed)));
        assert!(parse("{?b x}").has("b") && !parse("b").has("b"));
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_reason() {
        for (text, expect) in [
            ("{host", "has a place {host that nothing closes"),
            ("{host x}", "has a place {host that nothing closes"),
            ("{?host}", "needs a blank and a text after the condition on host"),
            ("{?host x", "has a brace that nothing closes"),
            ("{? x}", "has a place without a name"),
        ] {
            assert_eq!(Template::parse(&Cow::Borrowed(text)), Err(expect.to_owned()), "{text}");
        }
    }

    #[test]
    fn conditions_lie_in_one_another_to_a_depth() {
        let nested = |depth: usize| {
            let text = ["{?a ".repeat(depth), "}".repeat(depth)].concat();
            Template::parse(&Cow::Owned(text)).map(|template| template.has("a"))
        };
        assert_eq!(nested(DEEPEST), Ok(true));
        let expect = Err("has more than 16 conditions in one another".to_owned());
        assert_eq!(nested(DEEPEST + 1), expect);
        // As many as a configuration has room for.
        assert_eq!(nested(250_000), expect);
    }
}
