//! Settings as trees: the values of an entry's keys, whether built in or written by a user.
//!
//! A built-in value is one text that build.rs made; a user's value comes from the configuration. Both
//! become an [`Entry`](super::entry::Entry) in the same way.

use crate::core::phrases::expand;
use crate::core::text::Text;

/// The value of a key: a text (numbers and flags are texts, too), a list, or a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tree {
    /// A text.
    Text(Text),
    /// Several values.
    List(Vec<Tree>),
    /// Names with values, in the order in which they are written.
    Table(Vec<(Text, Tree)>),
}

/// The character in front of the parts of a list, and in front of those of a table.
pub const LIST: char = '\u{1}';
/// See [`LIST`].
pub const TABLE: char = '\u{2}';

impl Tree {
    /// The value in `text`, a part of a built-in entry: as it is, or parts behind [`LIST`] or [`TABLE`].
    pub fn decode(text: &'static str) -> Self {
        match text.chars().next() {
            Some(LIST) => Self::List(parts(&text[1..]).map(Self::decode).collect()),
            Some(TABLE) => {
                let mut table = Vec::new();
                let mut parts = parts(&text[1..]);
                while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                    table.push((expand(name), Self::decode(value)));
                }
                Self::Table(table)
            }
            _ => Self::Text(expand(text)),
        }
    }

    /// Appends a text that is equal only for equal values.
    pub fn write_form(&self, form: &mut String) {
        let (open, close) = match self {
            Self::Text(text) => return form.extend(["\u{3}", text]),
            Self::List(_) => (LIST, '\u{4}'),
            Self::Table(_) => (TABLE, '\u{4}'),
        };
        form.push(open);
        match self {
            Self::Text(_) => {}
            Self::List(list) => list.iter().for_each(|value| value.write_form(form)),
            Self::Table(table) => table.iter().for_each(|(name, value)| {
                form.push_str(name);
                value.write_form(form);
            }),
        }
        form.push(close);
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Table(_) => None,
        }
    }

    /// The texts of a list, or the one text; `None` where a value is no text.
    pub fn texts(&self) -> Option<Vec<&Text>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::List(list) => list.iter().map(Self::text).collect(),
            Self::Table(_) => None,
        }
    }

    /// The names and values of a table.
    pub fn table(&self) -> Option<&[(Text, Self)]> {
        match self {
            Self::Table(table) => Some(table),
            Self::Text(_) | Self::List(_) => None,
        }
    }
}

/// The parts of `rest`: each has its length in bytes in front, as two characters of seven bits.
pub fn parts(mut rest: &'static str) -> impl Iterator<Item = &'static str> {
    std::iter::from_fn(move || {
        let &[high, low, ..] = rest.as_bytes() else { return None };
        let length = usize::from(high) << 7 | usize::from(low);
        let (part, after) = rest.get(2..)?.split_at_checked(length)?;
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn texts_lists_and_tables_are_decoded() {
        let text = |text| Tree::Text(Cow::Borrowed(text));
        assert_eq!(Tree::decode("a b"), text("a b"));
        assert_eq!(Tree::decode("\u{1}\0\u{1}a\0\0"), Tree::List(vec![text("a"), text("")]));
        let table = Tree::decode("\u{2}\0\u{3}get\0\u{2}/x");
        assert_eq!(table.table().unwrap(), [(Cow::Borrowed("get"), text("/x"))]);
        assert_eq!((table.text(), table.texts()), (None, None));
        assert_eq!(Tree::decode("\u{1}\0\u{1}a").texts().unwrap(), ["a"]);
    }
}
