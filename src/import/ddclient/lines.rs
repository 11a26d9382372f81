//! ddclient's format of configuration: lines of assignments, with or without hosts after them.
//!
//! Works like ddclient's own reader, with its special way of reading passwords; the parent reads the
//! meaning of the settings.

use crate::core::order::SortedMap;

/// The value of a setting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// The name of an environment variable that holds the value (`_env` after the setting's name).
    Variable(String),
}

/// A setting with its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) line: usize,
}

pub(super) type Settings = SortedMap<String, Setting>;

/// A line with its continuations: settings, and the hosts that they are for.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub(super) line: usize,
    pub(super) settings: Settings,
    /// Whether a setting was written with an equals sign.
    pub(super) assigns: bool,
    /// The hosts; if there are none, the settings are for all hosts that follow.
    pub(super) hosts: Vec<String>,
    /// The number of words after the hosts: the login, then the password.
    pub(super) positional: usize,
    /// Whether an assignment names the login.
    pub(super) had_login: bool,
    /// Whether a word without a dot is certainly a host, and not the end of a password before it.
    pub(super) has_plain_label: bool,
    /// Why no part may be shown: a part of a secret may be anywhere in it.
    pub(super) obscure: Option<&'static str>,
    /// The problems, with their lines.
    pub(super) wrong: Vec<(usize, String)>,
}

/// A line with its continuations, as text.
#[derive(Default)]
struct Joined {
    text: String,
    /// The start of each line in the text, and its number.
    starts: Vec<(usize, usize)>,
    /// The passwords; the text has a placeholder for each.
    passwords: SortedMap<String, Password>,
    wrong: Vec<(usize, String)>,
}

/// A password, its line, and whether it is in quotes.
struct Password {
    text: String,
    line: usize,
    is_quoted: bool,
}

/// The reason why a line is not shown.
pub(super) const MAYBE_A_PASSWORD: &str =
    "the line has several words, some of which may belong to a password";

impl Joined {
    fn line(&self, at: usize) -> usize {
        let behind = self.starts.partition_point(|(start, _)| *start <= at);
        self.starts.get(behind.saturating_sub(1)).map_or(1, |(_, line)| *line)
    }
}

/// The statements in `text`.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut joined = Joined::default();
    for (place, line) in text.lines().enumerate() {
        let number = place + 1;
        let start = joined.text.len();
        joined.starts.push((start, number));
        let line = take_password(line, number, &mut joined);
        let line = line.split('#').next().unwrap_or_default();
        let trimmed = line.trim_end();
        match trimmed.strip_suffix('\\') {
            Some(rest) => joined.text.push_str(rest),
            None => {
                joined.text.push_str(line);
                statements.extend(statement(std::mem::take(&mut joined)));
            }
        }
    }
    statements.extend(statement(joined));
    statements
}

/// `line` with a harmless word instead of its password, which ends at the next blank or is in single
/// quotes.
fn take_password(line: &str, number: usize, joined: &mut Joined) -> String {
    const HARMLESS: &str = "x";
    const NAME: &str = "password";
    let before_comment = line.find('#').unwrap_or(line.len());
    // The last one is used, as ddclient's own search does.
    for (at, _) in line[..before_comment].rmatch_indices(NAME) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let behind = line[..at].char_indices().rfind(|(_, c)| !is_name(*c));
        let start = behind.map_or(0, |(place, c)| place + c.len_utf8());
        let begins =
            line[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ',');
        let end = at + NAME.len();
        let Some(value) = line[end..].trim_start().strip_prefix('=') else { continue };
        let value = value.trim_start();
        if !begins || value.is_empty() || value.starts_with('\\') {
            continue;
        }
        let (password, rest) = match value.strip_prefix('\'') {
            Some(quoted) => {
                let Some(close) = closing(quoted) else { continue };
                (&quoted[..close], &quoted[close + 1..])
            }
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        let password = match password.strip_suffix('\\').filter(|_| rest.trim().is_empty()) {
            // The backslash that continues the line.
            Some(before) => before,
            None => password,
        };
        let goes_on = if value.trim_end().ends_with('\\') && !rest.trim_end().ends_with('\\') {
            " \\"
        } else {
            ""
        };
        if password.ends_with(',') {
            let what = "ddclient takes everything up to the next blank for the password, so the comma at its end is a \
                        part of it; remove it from the file with the secret if it should not be";
            joined.wrong.push((number, what.to_owned()));
        }
        let key = &line[start..end];
        let is_quoted = value.starts_with('\'');
        let password = Password { text: password.to_owned(), line: number, is_quoted };
        joined.passwords.insert(key.to_ascii_lowercase(), password);
        return format!("{}{key}={HARMLESS}{rest}{goes_on}", &line[..start]);
    }
    line.to_owned()
}

/// The index of the single quote that ends a password: the first before a blank, a comma or the end.
fn closing(text: &str) -> Option<usize> {
    let ends =
        |at: &usize| text[at + 1..].chars().next().is_none_or(|c| c.is_whitespace() || c == ',');
    text.match_indices('\'').map(|(at, _)| at).find(ends)
}

fn statement(mut joined: Joined) -> Option<Statement> {
    let text = std::mem::take(&mut joined.text);
    let start = text.len() - text.trim_start().len();
    if text.trim().is_empty() && joined.wrong.is_empty() {
        return None;
    }
    let mut statement = Statement { line: joined.line(start), ..Statement::default() };
    let mut at = start;
    while let Some(assignment) = assignment(&text, at) {
        let line = joined.line(assignment.start);
        at = assignment.end;
        if assignment.is_open {
            statement.obscure = Some("a quote is opened there and not closed");
            statement.line = line;
            continue;
        }
        let (name, value) = match assignment.name.strip_suffix("_env") {
            Some(name) => (name.to_owned(), Value::Variable(assignment.value)),
            None => (assignment.name, Value::Text(assignment.value)),
        };
        let setting = match joined.passwords.get(&name) {
            Some(password) => {
                Setting { value: Value::Text(password.text.clone()), line: password.line }
            }
            None => Setting { value, line },
        };
        statement.settings.insert(name, setting);
    }
    statement.assigns = !statement.settings.is_empty();
    let words = text[at..].trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    let place = at + (text[at..].len() - words.len());
    let words = rest(words);
    // A blank or a quote ends a password early, and its rest looks like hosts and logins.
    let has_password = statement.settings.contains_key("password");
    let (count, first) = (words.len(), words.first().map(String::as_str).unwrap_or_default());
    let is_host = |host: &str| host.contains('.') && crate::import::is_name(host);
    // If the first word is no host, or there are more than three words, any of them may be a secret.
    let is_odd = count > 3 || count > 1 && !first.split(',').all(is_host);
    if has_password && count > 1 || is_odd || words.iter().any(|word| is_piece(word)) {
        statement.obscure.get_or_insert(MAYBE_A_PASSWORD);
    }
    statement.positional = count.saturating_sub(1);
    statement.had_login = statement.settings.contains_key("login");
    let host_line = joined.line(place);
    let mut credentials =
        ["login", "password"].iter().filter_map(|name| statement.settings.get(*name));
    let is_closed = joined.passwords.values().any(|it| it.line == host_line && it.is_quoted);
    statement.has_plain_label =
        count == 1 && (is_closed || credentials.all(|setting| setting.line != host_line));
    let mut words = words.iter();
    let hosts = words.next().map(String::as_str).unwrap_or_default();
    let listed = match statement.settings.remove("host").map(|setting| setting.value) {
        Some(Value::Text(more)) => format!("{hosts},{more}"),
        Some(Value::Variable(_)) | None => hosts.to_owned(),
    };
    statement.hosts =
        listed.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
    if !statement.hosts.is_empty() && !hosts.is_empty() {
        statement.line = joined.line(place);
    }
    // The old form: host, login, password.
    for name in ["login", "password"] {
        let Some(word) = words.next() else { break };
        let setting = Setting { value: Value::Text(word.clone()), line: statement.line };
        statement.settings.insert(name.to_owned(), setting);
    }
    statement.wrong.append(&mut joined.wrong);
    Some(statement)
}

/// Whether a word after the assignments looks like the name of a password, or like an assignment.
fn is_piece(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let names_one = word.match_indices("passw").any(|(at, _)| {
        let rest = word[at..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        rest.is_empty() && at == 0 || rest.starts_with([':', '=', '"', '\''])
    });
    names_one || word.starts_with('=')
}

/// The words after the assignments; words are joined at commas, even with blanks around them.
fn rest(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut binds = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if binds || word.starts_with(',') => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        binds = word.ends_with(',');
    }
    words
}

/// An assignment in a text.
struct Assignment {
    name: String,
    value: String,
    start: usize,
    end: usize,
    /// Whether a quote is still open at the end.
    is_open: bool,
}

/// The assignment at `at`, after blanks and commas.
fn assignment(text: &str, at: usize) -> Option<Assignment> {
    let rest = text[at..].trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    let start = text.len() - rest.len();
    let name_end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))?;
    let begins = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    if !begins || !rest[name_end..].starts_with('=') {
        return None;
    }
    let mut value = String::new();
    let (mut quote, mut is_escaped) = (None, false);
    let mut end = text.len();
    for (place, c) in rest[name_end + 1..].char_indices() {
        if is_escaped {
            value.push(c);
            is_escaped = false;
        } else if c == '\\' {
            is_escaped = true;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '\'' | '"') {
            quote = Some(c);
        } else if quote.is_none() && (c.is_whitespace() || c == ',') {
            end = start + name_end + 1 + place;
            break;
        } else if c.is_whitespace() {
            // ddclient joins several blanks into one.
            if !value.ends_with(' ') {
                value.push(' ');
            }
        } else {
            value.push(c);
        }
    }
    let name = rest[..name_end].to_ascii_lowercase();
    Some(Assignment { name, value, start, end, is_open: quote.is_some() || is_escaped })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each statement as `hosts: name=value …`.
    #[track_caller]
    fn says(text: &str, expect: &[&str]) {
        let shown = |statement: &Statement| {
            let settings = statement.settings.iter().map(|(name, setting)| match &setting.value {
                Value::Text(text) => format!("{name}={text}"),
                Value::Variable(text) => format!("{name}=${text}"),
            });
            format!("{}: {}", statement.hosts.join("+"), settings.collect::<Vec<_>>().join(" "))
        };
        let said: Vec<_> = statements(text).iter().map(shown).collect();
        assert_eq!(said, expect, "{text}");
    }

    #[test]
    fn assignments_are_separated_by_commas_and_blanks() {
        says("a=1", &[": a=1"]);
        says("a=1,b=2", &[": a=1 b=2"]);
        says("a=1 ,  b=2", &[": a=1 b=2"]);
        says(",a=1,,b=2,", &[": a=1 b=2"]);
        says("a=", &[": a="]);
        says("A=x", &[": a=x"]);
        says("a=1 b = 2", &["b: a=1 login== password=2"]);
    }

    #[test]
    fn quotes_and_backslashes_keep_what_separates() {
        says("a='\", '", &[": a=\", "]);
        says("a=1\"2\"'3'4", &[": a=1234"]);
        says("a=\\,b", &[": a=,b"]);
        says("a='x   y' h.example", &["h.example: a=x y"]);
    }

    #[test]
    fn hosts_stand_behind_the_assignments_of_theirs() {
        says("a=1 h.example", &["h.example: a=1"]);
        says("a=1, h.example,i.example", &["h.example+i.example: a=1"]);
        says("a=1 h.example , i.example", &["h.example+i.example: a=1"]);
        says("h.example me hunter2", &["h.example: login=me password=hunter2"]);
        says("host=h.example a=1 i.example", &["i.example+h.example: a=1"]);
        says("a=1\nh.example", &[": a=1", "h.example: "]);
    }

    #[test]
    fn lines_go_on_behind_a_backslash_even_with_a_comment() {
        says("a=1, \\\n  b=2 \\\nh.example\nc=3", &["h.example: a=1 b=2", ": c=3"]);
        says("a=1, \\ # why\nh.example", &["h.example: a=1"]);
        says("a=1, \\   \nh.example", &["h.example: a=1"]);
        // A comment alone ends it.
        says("a=1, \\\n# why\nh.example", &[": a=1", "h.example: "]);
        says("a=1 \\", &[": a=1"]);
    }

    #[test]
    fn passwords_hold_what_means_something_elsewhere() {
        says("password='a, #b' h.example", &["h.example: password=a, #b"]);
        says("password='it's' h.example", &["h.example: password=it's"]);
        says("password=a#b\\c h.example", &["h.example: password=a#b\\c"]);
        says("password = x h.example", &["h.example: password=x"]);
        says("login=a, password='b', \\ # c\nh.example", &["h.example: login=a password=b"]);
        says("login=a,password=b h.example", &["h.example: login=a password=b"]);
        says("fw-login=a, fw-password=b # c", &[": fw-login=a fw-password=b"]);
        says("# password=x", &[]);
        says("password=abc\\\nh.example", &["h.example: password=abc"]);
        says("password=abc \\\nh.example", &["h.example: password=abc"]);
    }

    #[test]
    fn a_comma_behind_a_password_is_a_part_of_it_and_told() {
        let statements = statements("login=a, password=b, \\\nh.example");
        let password = Value::Text("b,".to_owned());
        assert_eq!(statements[0].settings["password"].value, password);
        assert_eq!(statements[0].wrong[0].0, 1);
    }

    #[test]
    fn an_environment_variable_stands_for_a_value() {
        says("password_env=PW h.example", &["h.example: password=$PW"]);
        says("a_env='X'", &[": a=$X"]);
    }

    #[test]
    fn every_setting_knows_its_line() {
        let statements = statements("\n\na=1, \\\nb=2, \\\npassword=c \\\n h.example\nd=4");
        let lines: Vec<_> = statements[0].settings.values().map(|setting| setting.line).collect();
        assert_eq!((lines, statements[0].line), (vec![3, 4, 5], 6));
        assert_eq!(statements[1].line, 7);
    }

    #[test]
    fn an_open_quote_is_told_and_its_setting_left_out() {
        let statements = statements("cmd='a b h.example\nc=1");
        assert!(statements[0].settings.is_empty());
        assert!(statements[0].obscure.is_some_and(|why| why.contains("quote")));
        assert_eq!(statements[1].settings["c"].line, 2);
    }

    #[test]
    fn any_character_may_stand_before_a_password() {
        for before in ["\u{a0}", "é", "\u{fffd}", "\u{1f600}"] {
            let statements = statements(&format!("login=me{before}password=hunter2 h.example"));
            assert_eq!(statements[0].hosts, ["h.example"], "{before}");
        }
        says(
            "login=me,\u{a0}password=hunter2 h.example",
            &["h.example: login=me password=hunter2"],
        );
    }

    #[test]
    fn several_words_behind_a_password_may_be_pieces_of_it() {
        for (text, expect) in [
            ("password=\"one two three\" h.example", true),
            ("password=one two h.example", true),
            ("password=\\\n one h.example", true),
            ("password one h.example", true),
            ("login=a password = one = two", true),
            ("password=one h.example", false),
            ("password=one a.example , b.example", false),
            ("password='one two' h.example", false),
            ("h.example me hunter2", false),
        ] {
            assert_eq!(statements(text)[0].obscure.is_some(), expect, "{text}");
        }
    }
}
