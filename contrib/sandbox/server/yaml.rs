//! Error lists in the form of deSEC's dynDNS answers, which are YAML although they say text/plain.
//!
//! Pure. Only as much of YAML as those lists need: no text here has line ends or control
//! characters in it. Folding: deSEC, recorded August 2026.

/// One entry of the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// A complaint about the request as a whole.
    Request(String),
    /// The complaints about one record set; none is written as `{}`.
    RecordSet(Vec<String>),
}

/// The body of a 400 answer.
pub fn list(problems: &[Problem]) -> String {
    problems.iter().map(entry).collect()
}

fn entry(problem: &Problem) -> String {
    match problem {
        Problem::Request(text) => scalar("- ", text),
        Problem::RecordSet(texts) if texts.is_empty() => "- {}\n".to_owned(),
        Problem::RecordSet(texts) => {
            let lines: String = texts.iter().map(|text| scalar("  - ", text)).collect();
            format!("- non_field_errors:\n{lines}")
        }
    }
}

/// `text` after `lead`, quoted where YAML would misread it, broken at the first space beyond the
/// 80th column and continued under its own beginning.
fn scalar(lead: &str, text: &str) -> String {
    const WIDTH: usize = 80;
    let quoted = text.is_empty() || text.contains(": ") || text.contains(" #");
    let text = if quoted { format!("'{}'", text.replace('\'', "''")) } else { text.to_owned() };
    let mut lines = lead.to_owned();
    let mut column = lead.len();
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 && column > WIDTH {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', lead.len()));
            column = lead.len();
        } else if index > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += word.chars().count();
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_sentence_is_broken_after_the_80th_column() {
        let sentence = "IP parameter \"myipv4\" cannot have addresses and \"preserve\" or an empty \
                        value at the same time.";
        let expected = "- IP parameter \"myipv4\" cannot have addresses and \"preserve\" or an empty \
                        value at\n  the same time.\n";
        assert_eq!(list(&[Problem::Request(sentence.to_owned())]), expected);
    }

    #[test]
    fn a_sentence_with_a_colon_is_quoted_and_its_quotes_are_doubled() {
        let expected = "- 'bad: ''1/33'' it is'\n";
        assert_eq!(list(&[Problem::Request("bad: '1/33' it is".to_owned())]), expected);
    }

    #[test]
    fn a_record_set_without_complaints_keeps_its_place() {
        let problems = [
            Problem::RecordSet(vec!["IP address 203.0.113.200 not allowed.".to_owned()]),
            Problem::RecordSet(Vec::new()),
        ];
        let expected = "- non_field_errors:\n  - IP address 203.0.113.200 not allowed.\n- {}\n";
        assert_eq!(list(&problems), expected);
    }
}
