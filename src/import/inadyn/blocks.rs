//! inadyn's format of configuration: settings, and blocks of settings (libConfuse's syntax, as
//! inadyn.conf(5) shows it).
//!
//! Reads only the syntax. A quote without an end on its line ends with the line, so that nothing of the
//! next lines, and no secret, becomes part of another value. Called by the parent.

use std::iter::Peekable;
use std::str::CharIndices;

/// A block, or the settings outside of all blocks.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Block {
    /// The kind, `provider` or `custom`; empty outside of blocks.
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) line: usize,
    pub(super) settings: Vec<Setting>,
}

/// A setting with its values.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) values: Vec<Value>,
    pub(super) line: usize,
}

/// A value, or the environment variable in `${…}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// The name of an environment variable that holds the value.
    Variable(String),
    /// A value whose quote was not closed.
    Open,
}

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The settings outside of all blocks.
    pub(super) globals: Block,
    pub(super) blocks: Vec<Block>,
    /// The problems, with their lines.
    pub(super) wrong: Vec<(usize, &'static str)>,
}

impl Block {
    /// The setting `name`; the last one is used.
    pub(super) fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().rfind(|setting| setting.name == name)
    }

    /// The text of a setting, if it has one that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.setting(name)?.values.last()? {
            Value::Text(text) if !text.is_empty() => Some(text),
            Value::Text(_) | Value::Variable(_) | Value::Open => None,
        }
    }
}

#[derive(Debug)]
enum Token {
    Close,
    Comma,
    Equals,
    Open,
    Parenthesis,
    Word(Value),
}

/// Reads `text`; parts with problems are skipped and reported.
pub(super) fn parse_blocks(text: &str) -> File {
    let mut tokens = tokens(text).into_iter().peekable();
    let mut file = File::default();
    let mut current: Option<Block> = None;
    while let Some((token, line)) = tokens.next() {
        let Token::Word(Value::Text(word)) = token else {
            match (token, current.take()) {
                (Token::Close, Some(block)) => file.blocks.push(block),
                (_, open) => {
                    current = open;
                    file.wrong.push((line, "expected: name = value"));
                }
            }
            continue;
        };
        match tokens.peek() {
            Some((Token::Equals, _)) => {
                tokens.next();
                let values = values(&mut tokens, line, &mut file.wrong);
                let setting = Setting { name: word.to_ascii_lowercase(), values, line };
                current.as_mut().unwrap_or(&mut file.globals).settings.push(setting);
            }
            Some((Token::Parenthesis, _)) => {
                // include("FILE")
                while tokens.next_if(|(_, at)| *at == line).is_some() {}
                let setting = Setting { name: word.to_ascii_lowercase(), values: Vec::new(), line };
                current.as_mut().unwrap_or(&mut file.globals).settings.push(setting);
            }
            Some((Token::Word(_) | Token::Open, _)) if matches!(&*word, "provider" | "custom") => {
                let mut block = Block { kind: word, line, ..Block::default() };
                if let Some((Token::Word(Value::Text(title)), _)) =
                    tokens.next_if(|(token, _)| matches!(token, Token::Word(_)))
                {
                    block.title = title;
                }
                if tokens.next_if(|(token, _)| matches!(token, Token::Open)).is_none() {
                    file.wrong.push((line, "the block has no opening brace"));
                }
                if let Some(open) = current.replace(block) {
                    file.wrong.push((line, "the block before it has no closing brace"));
                    file.blocks.push(open);
                }
            }
            _ => {
                while tokens
                    .next_if(|(token, at)| *at == line && !matches!(token, Token::Close))
                    .is_some()
                {}
                file.wrong.push((line, "expected: name = value"));
            }
        }
    }
    if let Some(open) = current {
        file.wrong.push((open.line, "the block has no closing brace"));
        file.blocks.push(open);
    }
    file
}

/// The values after an equals sign: one, or several in braces.
fn values(
    tokens: &mut Peekable<std::vec::IntoIter<(Token, usize)>>,
    line: usize,
    wrong: &mut Vec<(usize, &'static str)>,
) -> Vec<Value> {
    let mut values = Vec::new();
    let is_list = tokens.next_if(|(token, _)| matches!(token, Token::Open)).is_some();
    loop {
        // The value of a single setting is on the same line, or it is missing.
        match tokens.next_if(|(token, at)| match token {
            Token::Word(_) => is_list || *at == line,
            Token::Comma | Token::Close => is_list,
            Token::Equals | Token::Open | Token::Parenthesis => false,
        }) {
            Some((Token::Word(value), at)) => {
                if value == Value::Open {
                    wrong.push((at, "a quote is opened and not closed on the line"));
                }
                values.push(value);
                if !is_list {
                    return values;
                }
            }
            Some((Token::Close, _)) => return values,
            Some(_) => {}
            None => {
                let what =
                    if is_list { "the list has no closing brace" } else { "the value is missing" };
                wrong.push((line, what));
                return values;
            }
        }
    }
}

/// The words and signs of `text`, with their lines.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut tokens: Vec<(Token, usize)> = Vec::new();
    let mut in_comment = false;
    for (place, line) in text.lines().enumerate() {
        let number = place + 1;
        let mut rest = line.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            if in_comment {
                in_comment = !(c == '*' && rest.next_if(|(_, next)| *next == '/').is_some());
                continue;
            }
            let next = line[at..].chars().nth(1);
            let is_value = matches!(tokens.last(), Some((Token::Equals, at)) if *at == number);
            let token = match c {
                _ if c.is_whitespace() => continue,
                '#' => break,
                '/' if next == Some('/') => break,
                '/' if next == Some('*') => {
                    rest.next();
                    in_comment = true;
                    continue;
                }
                '{' => Token::Open,
                '}' => Token::Close,
                '=' => Token::Equals,
                '+' if next == Some('=') => continue,
                ',' => Token::Comma,
                '(' | ')' => Token::Parenthesis,
                '"' | '\'' => Token::Word(quoted(&mut rest, c)),
                _ => Token::Word(bare(line, at, &mut rest, is_value)),
            };
            tokens.push((token, number));
        }
    }
    tokens
}

/// The text up to the closing `quote`; [`Value::Open`] if there is none.
fn quoted(rest: &mut Peekable<CharIndices<'_>>, quote: char) -> Value {
    let mut text = String::new();
    while let Some((_, c)) = rest.next() {
        if c == quote {
            return expanded(text, quote == '"');
        }
        match c {
            // In single quotes, a backslash escapes only a quote or a backslash.
            '\\' => match (rest.next(), quote) {
                (Some((_, escaped @ ('\'' | '\\'))), '\'') => text.push(escaped),
                (Some((_, 'n')), '"') => text.push('\n'),
                (Some((_, 't')), '"') => text.push('\t'),
                (Some((_, other)), '\'') => text.extend(['\\', other]),
                (Some((_, escaped)), _) => text.push(escaped),
                (None, _) => {}
            },
            c => text.push(c),
        }
    }
    Value::Open
}

/// A word without quotes that starts at `at`. A value may contain an equals sign.
fn bare(line: &str, at: usize, rest: &mut Peekable<CharIndices<'_>>, is_value: bool) -> Value {
    let mut text = String::new();
    let mut characters = line[at..].char_indices();
    let mut end = line.len();
    let mut depth = false;
    while let Some((place, c)) = characters.next() {
        let ends = c.is_whitespace() || "#{}(),\"'".contains(c) || c == '=' && !is_value;
        // ${NAME} stays whole.
        depth = depth && c != '}' || text.ends_with('$') && c == '{';
        if ends && !depth && !(c == '}' && text.starts_with("${")) {
            end = at + place;
            break;
        }
        match c {
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            c => text.push(c),
        }
    }
    while rest.next_if(|(place, _)| *place < end).is_some() {}
    expanded(text, true)
}

/// `${NAME}` as a variable, else the text.
fn expanded(text: String, expands: bool) -> Value {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|_| expands);
    match inner {
        // ${NAME:-default}
        Some(inner) => Value::Variable(inner.split(':').next().unwrap_or_default().to_owned()),
        None => Value::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(setting: &Setting) -> Vec<&str> {
        let text = |value: &'_ Value| match value {
            Value::Text(text) => Some(text.clone().leak() as &str),
            Value::Variable(_) | Value::Open => None,
        };
        setting.values.iter().filter_map(text).collect()
    }

    #[track_caller]
    fn value(line: &str, expect: &Value) {
        let file = parse_blocks(line);
        assert_eq!(file.globals.settings[0].values, std::slice::from_ref(expect), "{line}");
    }

    #[test]
    fn values_stand_with_and_without_quotes() {
        let text = |text: &str| Value::Text(text.to_owned());
        value("a = b", &text("b"));
        value("a=b#c", &text("b"));
        value("a = \"b #c\" # d", &text("b #c"));
        value("a = 'b \"c\" \\'d\\''", &text("b \"c\" 'd'"));
        value("a = b\\#c", &text("b#c"));
        value("a = /x?y=z", &text("/x?y=z"));
        value("a = https://x/y", &text("https://x/y"));
        value("a = \"\"", &text(""));
        value("a = ${PW}", &Value::Variable("PW".to_owned()));
        value("a = \"${PW:-none}\"", &Value::Variable("PW".to_owned()));
        value("a = '${PW}'", &text("${PW}"));
    }

    #[test]
    fn blocks_have_titles_and_settings() {
        let file = parse_blocks(
            "period = 300 // why\n/* no\nprovider x {} */\nprovider a@b.example:1 {\n  hostname = { \"a.example\",\n\
             b.example }\n  include(\"/x\")\n}\ncustom \"c d\"\n{ ssl = true }\n",
        );
        assert!(file.wrong.is_empty(), "{:?}", file.wrong);
        assert_eq!(texts(file.globals.setting("period").unwrap()), ["300"]);
        let [first, second] = &file.blocks[..] else { panic!("{:?}", file.blocks) };
        assert_eq!((&*first.kind, &*first.title, first.line), ("provider", "a@b.example:1", 4));
        assert_eq!(texts(first.setting("hostname").unwrap()), ["a.example", "b.example"]);
        assert!(first.setting("include").is_some());
        assert_eq!((&*second.kind, &*second.title), ("custom", "c d"));
        assert_eq!(second.text("ssl"), Some("true"));
    }

    #[test]
    fn an_open_quote_ends_with_its_line() {
        let file = parse_blocks("provider x {\nhostname = \"a.example\npassword = s3cret\n}");
        assert_eq!(file.blocks[0].setting("hostname").unwrap().values, [Value::Open]);
        assert_eq!(file.blocks[0].text("password"), Some("s3cret"));
        assert_eq!(file.wrong.len(), 1);
    }

    #[test]
    fn what_is_missing_is_told() {
        for (text, count) in [
            ("provider x {", 1),
            ("provider x\na = b\n}", 1),
            ("a = { b", 1),
            ("a =\nb = c", 1),
            ("}", 1),
            ("provider x {\nprovider y {\n}", 1),
            ("a b c", 1),
        ] {
            assert_eq!(
                parse_blocks(text).wrong.len(),
                count,
                "{text}: {:?}",
                parse_blocks(text).wrong
            );
        }
    }
}
