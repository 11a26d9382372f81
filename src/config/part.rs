//! Parts of a configuration: what the machine of a few hosts needs of a file that has many.
//!
//! Copies settings as they are written, and checks nothing. Called by `homing token`, which hands
//! credentials out.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::core::order;

/// The settings of a block that name the file of its secret.
const FILES: [&str; 4] = ["key-file", "password-file", "secret-file", "token-file"];

/// The settings of a block that name a section: the setting, and the kind of the section.
const NAMING: [(&str, &str); 3] =
    [("ipv4", "source"), ("ipv6", "source"), ("provider", "provider")];

/// The text of a configuration, split.
#[derive(Debug)]
pub struct Parts {
    /// The blocks of hosts, in the order of the text.
    blocks: Vec<Block>,
    /// The text of each named section, by its kind and name.
    sections: Vec<((String, String), String)>,
}

/// A block of hosts.
#[derive(Debug)]
struct Block {
    names: Vec<String>,
    /// Its settings as they are written, without that of the secret's file.
    text: String,
    /// The setting that names the secret's file.
    file_key: Option<String>,
    /// The kinds and names of the sections that it needs.
    needs: Vec<(String, String)>,
}

impl Parts {
    /// Splits `text`, which is a configuration without problems.
    pub fn of(text: &str) -> Self {
        let (document, _) = DeTable::parse_recoverable(text);
        let top = document.get_ref();
        let hosts = top.get("host").map(Spanned::get_ref);
        let hosts = hosts.and_then(DeValue::as_array).into_iter().flat_map(|hosts| hosts.iter());
        let blocks = hosts.filter_map(|host| Block::of(text, host.get_ref().as_table()?));
        let blocks = blocks.collect();
        let mut sections = Vec::new();
        for kind in ["provider", "source"] {
            let all = top.get(kind).and_then(|all| all.get_ref().as_table());
            for (name, section) in all.into_iter().flat_map(|all| all.iter()) {
                let Some(table) = section.get_ref().as_table() else { continue };
                let header = format!("[{kind}.{}]\n", &text[name.span()]);
                let whole = header + &lines(text, table, &[]);
                sections.push(((kind.to_owned(), name.get_ref().to_string()), whole));
            }
        }
        Self { blocks, sections }
    }

    /// The configuration for the hosts called `names` alone, whose secret is in `file`.
    pub fn configuration(&self, names: &[&str], file: &str) -> String {
        let mut sections = Vec::new();
        let mut hosts = String::new();
        let is_meant = |block: &&Block| block.names.iter().any(|name| names.contains(&&**name));
        for block in self.blocks.iter().filter(is_meant) {
            for needed in &block.needs {
                let section = self.sections.iter().find(|(called, _)| called == needed);
                let is_new = |(_, section): &&(_, String)| !sections.contains(&section);
                sections.extend(section.filter(is_new).map(|(_, section)| section));
            }
            hosts.push_str("\n[[host]]\n");
            hosts.push_str(&block.text);
            if let Some(key) = &block.file_key {
                hosts.push_str(&format!("{key} = \"{file}\"\n"));
            }
        }
        let sections = sections.into_iter().map(|section| ["\n", section].concat());
        sections.chain([hosts]).collect()
    }
}

impl Block {
    fn of(text: &str, table: &DeTable<'_>) -> Option<Self> {
        let names = texts(table.get("name")?.get_ref());
        // Names count whatever their case and with or without the dot at their end.
        let plain = |name: &String| name.trim_end_matches('.').to_ascii_lowercase();
        let names = names.iter().map(plain).collect();
        let needs = NAMING.iter().flat_map(|(key, kind)| {
            let values = table.get(*key).map(|value| texts(value.get_ref())).unwrap_or_default();
            values.into_iter().map(|name| ((*kind).to_owned(), name))
        });
        let file_key = FILES.iter().find(|key| table.contains_key(**key));
        Some(Self {
            names,
            text: lines(text, table, &FILES),
            file_key: file_key.map(|key| (*key).to_owned()),
            needs: needs.collect(),
        })
    }
}

/// The text that `value` is, or the texts in it.
fn texts(value: &DeValue<'_>) -> Vec<String> {
    match value {
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Array(all) => all.iter().flat_map(|one| texts(one.get_ref())).collect(),
        _ => Vec::new(),
    }
}

/// The settings of `table`, each on a line of its own, without those of `left_out`.
fn lines(text: &str, table: &DeTable<'_>, left_out: &[&str]) -> String {
    settings(text, table, left_out).into_iter().map(|setting| setting + "\n").collect()
}

/// The settings of `table` in the order of the text, without those of `left_out`.
fn settings(text: &str, table: &DeTable<'_>, left_out: &[&str]) -> Vec<String> {
    let mut all: Vec<_> = table.iter().collect();
    order::sort_by_key(&mut all, |(key, _)| key.span().start);
    all.retain(|(key, _)| !left_out.contains(&&**key.get_ref()));
    let setting = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        [&text[key.span()], " = ", &written(text, value)].concat()
    };
    all.into_iter().map(setting).collect()
}

/// `value` as it is written, or, where a table is spread over several settings, in one piece.
fn written(text: &str, value: &Spanned<DeValue<'_>>) -> String {
    let as_it_is = &text[value.span()];
    match value.get_ref() {
        DeValue::Table(table) if !as_it_is.starts_with('{') => {
            format!("{{ {} }}", settings(text, table, &[]).join(", "))
        }
        _ => as_it_is.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    const WHOLE: &str = r#"
[daemon]
state-dir = "/srv/state"

[source."wan.4"]
web = [
  "https://a.example/", # the first
  "https://b.example/",
]

[source.unused]
interface = "eth7"

[provider.records]
protocol = "http"
api-url = "https://api.example/v1"
options = ["note"]
headers = ["X-Key: {secret}"]
set = { put = "/{host}", text = '{address}' }
answer.updated = "200"
[provider.records.ttl]
default = 300

[[host]]
name = ["a.example.com", "B.example.com."]
provider = "records"
token-file = "/srv/tokens/a"
ipv4 = "wan.4"
ipv6 = "off"
options.note = "x # y"

[[host]]
name = "c.example.com"
provider = "desec"
token-file = "c"
on-change = ["/usr/bin/logger", "it's \"new\""]
"#;

    fn part(names: &[&str]) -> String {
        Parts::of(WHOLE).configuration(names, "token")
    }

    #[test]
    fn a_part_has_the_settings_of_its_hosts_as_they_are_written() {
        assert_eq!(
            part(&["c.example.com"]),
            "\n[[host]]\nname = \"c.example.com\"\nprovider = \"desec\"\n\
             on-change = [\"/usr/bin/logger\", \"it's \\\"new\\\"\"]\ntoken-file = \"token\"\n"
        );
        let first = part(&["b.example.com"]);
        assert!(first.contains("  \"https://a.example/\", # the first\n"), "{first}");
        assert!(first.contains("ttl = { default = 300 }\n"), "{first}");
        assert!(first.contains("options = { note = \"x # y\" }\n"), "{first}");
        assert!(!first.contains("state-dir") && !first.contains("eth7"), "{first}");
        assert_eq!(part(&["other.example.com"]), "");
    }

    #[test]
    fn a_part_means_what_the_whole_means() {
        let read = |text: &str| parse(Path::new("/etc/homing/config.toml"), text, true).unwrap();
        let whole = read(WHOLE);
        let both = read(&part(&["a.example.com", "c.example.com"]));
        assert_eq!(both.providers, whole.providers);
        assert_eq!(both.sources, whole.sources[..1]);
        let hosts = |config: &crate::config::Config| -> Vec<_> {
            config.hosts.iter().map(|host| host.host.clone()).collect()
        };
        assert_eq!(hosts(&both), hosts(&whole));
        let places = both.hosts.iter().map(|host| host.secret.as_ref().and_then(|it| it.file()));
        assert!(places.flatten().all(|path| path == Path::new("/etc/homing/token")));
    }
}
