//! The language of manual pages, as far as ours need it: man(7) macros around escaped text.
//!
//! Knows nothing of Homing. Every text that reaches a page goes through here.

use std::fmt::Write as _;

/// A page under way.
pub struct Page(String);

impl Page {
    /// The head of the page `name(section)`, with its day, the program and version at its foot.
    pub fn new(name: &str, section: u8, day: &str, source: &str, manual: &str) -> Self {
        let name = escaped(name);
        let (source, manual) = (escaped(source), escaped(manual));
        // No hyphens at the ends of lines: a command that is broken by one cannot be pasted.
        Self(format!(
            ".TH \"{name}\" \"{section}\" \"{day}\" \"{source}\" \"{manual}\"\n.nh\n.ad l\n"
        ))
    }

    /// A heading.
    pub fn section(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SH {}", escaped(title));
    }

    /// A heading below a heading.
    pub fn subsection(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SS {}", escaped(title));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, words: &str) {
        self.begin();
        let _ = writeln!(self.0, "{}", text(words));
    }

    /// A new paragraph, which a heading has begun already.
    fn begin(&mut self) {
        let last = self.0.lines().next_back().unwrap_or_default();
        if !last.starts_with(".S") {
            self.0 += ".PP\n";
        }
    }

    /// The line below `NAME`, which must hold nothing but text.
    pub fn name(&mut self, name: &str, purpose: &str) {
        self.section("NAME");
        let _ = writeln!(self.0, "{} \\- {}", escaped(name), escaped(purpose));
    }

    /// Terms, each on a line of its own, and below them, indented, what they mean in paragraphs.
    ///
    /// Terms are marked up already.
    pub fn item(&mut self, terms: &[String], paragraphs: &[String]) {
        for (place, term) in terms.iter().enumerate() {
            let _ = writeln!(self.0, "{}\n{term}", if place == 0 { ".TP" } else { ".TQ" });
        }
        for (place, words) in paragraphs.iter().enumerate() {
            let _ = writeln!(self.0, "{}{}", if place == 0 { "" } else { ".IP\n" }, text(words));
        }
    }

    /// A line that begins a new one, marked up already; its words are kept together as they fit.
    pub fn usage(&mut self, line: &str, is_first: bool) {
        let _ = writeln!(self.0, "{}{line}", if is_first { "" } else { ".br\n" });
    }

    /// Lines as they are typed.
    pub fn verbatim(&mut self, lines: &[String]) {
        let lines: Vec<_> = lines.iter().map(|line| own_line(&escaped(line))).collect();
        self.begin();
        // groff's .EE brings hyphens back.
        let _ = writeln!(self.0, ".RS 4\n.EX\n{}\n.EE\n.RE\n.nh", lines.join("\n"));
    }

    /// The page.
    pub fn done(self) -> String {
        self.0
    }
}

/// `words` in bold.
pub fn bold(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("\\fB{}\\fR", escaped(words)) }
}

/// `words` in italics: what is to be replaced by the reader.
pub fn italic(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("\\fI{}\\fR", escaped(words)) }
}

/// Running text: what stands between backquotes, and long options, in bold.
pub fn text(words: &str) -> String {
    let mut marked = String::new();
    for (place, part) in words.split('`').enumerate() {
        if place % 2 == 1 {
            marked += &bold(part);
            continue;
        }
        for (place, word) in part.split(' ').enumerate() {
            marked += if place == 0 { "" } else { " " };
            let is_option = |c: char| c.is_ascii_lowercase() || c == '-';
            let end = word.find(|c| !is_option(c)).unwrap_or(word.len());
            let (option, rest) = word.split_at(end);
            if option.starts_with("--") {
                marked = marked + &bold(option) + &escaped(rest);
            } else {
                marked += &escaped(word);
            }
        }
    }
    own_line(&marked)
}

/// `words` as themselves: groff would take a hyphen for a dash and a quote for a pair of quotes,
/// which nobody could paste.
pub fn escaped(words: &str) -> String {
    let mut text = String::new();
    for c in words.chars() {
        match c {
            '\\' => text += "\\e",
            '-' => text += "\\-",
            '\'' => text += "\\(aq",
            '`' => text += "\\(ga",
            '^' => text += "\\(ha",
            '~' => text += "\\(ti",
            '"' => text += "\\(dq",
            c if c.is_ascii() => text.push(c),
            c => {
                let _ = write!(text, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    text
}

/// Escaped text that may stand at the beginning of a line, where a dot would begin a macro.
fn own_line(text: &str) -> String {
    let dot = if text.starts_with('.') { "\\&" } else { "" };
    format!("{dot}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_roff_would_read_is_escaped() {
        assert_eq!(
            escaped(r#"a-b 'c' "d" \ ~ ^ ü"#),
            concat!(r"a\-b \(aqc\(aq \(dqd\(dq \e \(ti \(ha ", r"\[u00FC]")
        );
        assert_eq!(text(".TH is no macro"), r"\&.TH is no macro");
        assert_eq!(text("'tis"), r"\(aqtis");
    }

    #[test]
    fn options_and_commands_stand_out() {
        assert_eq!(text("with --dry-run, or"), r"with \fB\-\-dry\-run\fR, or");
        assert_eq!(text("see `homing check`."), r"see \fBhoming check\fR.");
        assert_eq!(text("a - b"), r"a \- b");
    }

    #[test]
    fn terms_of_one_meaning_stand_below_each_other() {
        let mut page = Page::new("x", 1, "2026-11-22", "X 1", "Y");
        page.item(&[bold("a"), bold("b")], &["one".into(), "two".into()]);
        let expect = ".TP\n\\fBa\\fR\n.TQ\n\\fBb\\fR\none\n.IP\ntwo\n";
        assert!(page.done().ends_with(expect));
    }
}
