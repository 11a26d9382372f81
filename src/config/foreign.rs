//! Recognises files of other programs that are given as the configuration, by their form.
//!
//! Called only where a file is no valid configuration. Repeats nothing of the file.

use std::path::Path;

use super::problems::shown_path;
use super::secret::for_shell;

/// Says what the file at `path` seems to be instead of Homing's configuration, and what to do.
///
/// `None` where `text` has a section of Homing's own.
pub(super) fn hint(path: &Path, text: &str) -> Option<String> {
    let lines =
        || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_ours = |line: &str| {
        let name = line.trim_start_matches('[').trim_start();
        line.starts_with('[') && OURS.iter().any(|ours| name.starts_with(ours))
    };
    if lines().any(is_ours) {
        return None;
    }
    let file = shown_path(path);
    let another = |form: &str| {
        format!(
            "{file}: this looks like {form}, and Homing's configuration is TOML: write it as in config.example.toml, or \
             run `homing import` with the file of another client"
        )
    };
    if let Some((client, _)) = CLIENTS.iter().find(|(_, knows)| lines().any(knows)) {
        let word = for_shell(path);
        return Some(format!(
            "{file}: this looks like {client}'s file: `homing import {client} {word}` prints it as Homing's"
        ));
    }
    if lines().any(|line| line.starts_with("config homing") || line.starts_with("config host")) {
        return Some(format!(
            "{file}: this looks like OpenWrt's settings, which `/etc/init.d/homing check` reads; Homing's own configuration is TOML"
        ));
    }
    let first = lines().find(|line| !line.starts_with("//"))?;
    if first.starts_with('{') || first.starts_with('[') && first.ends_with(['[', '{', ',']) {
        return Some(another("JSON"));
    }
    if lines().any(|line| line.contains('=')) {
        let is_header = |line: &str| line.starts_with('[') && line.ends_with(']');
        let is_ini = first.starts_with(';') || lines().any(is_header);
        return is_ini.then(|| another("an INI file"));
    }
    let is_key = |line: &str| {
        let line = line.trim_start_matches("- ");
        let (key, rest) = line.split_once(':').unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
        !key.is_empty() && key.chars().all(fits) && (rest.is_empty() || rest.starts_with(' '))
    };
    lines().any(is_key).then(|| another("YAML"))
}

/// The beginnings of Homing's own sections.
const OURS: [&str; 5] = ["host]", "daemon]", "provider.", "report]", "source."];

/// Whether a line is of a client's configuration.
type Knows = fn(&str) -> bool;

/// The clients, each with a test for its lines.
const CLIENTS: [(&str, Knows); 3] = [
    ("ddns-scripts", |line| {
        let mut words = line.split_whitespace();
        words.next() == Some("config") && matches!(words.next(), Some("ddns" | "service"))
    }),
    ("inadyn", |line| {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let is_block = matches!(first, "custom" | "provider")
            && !second.is_empty()
            && line.ends_with(['{', '}']);
        // Version 1.
        let is_option = matches!(first.trim_start_matches('-'), "dyndns_system" | "system")
            && second.contains('@');
        is_block || is_option
    }),
    ("ddclient", |line| {
        line.split([' ', ',', '\t']).any(|word| {
            let (name, value) = word.split_once('=').unwrap_or_default();
            NAMES.contains(&name) && value.starts_with(|c: char| c.is_ascii_alphanumeric())
        })
    }),
];

/// Settings that only ddclient writes in this way.
const NAMES: [&str; 12] = [
    "daemon", "login", "password", "protocol", "server", "ssl", "syslog", "use", "usev4", "usev6",
    "web", "webv4",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let told = hint(Path::new("/etc/x.conf"), text);
        let beginning = expect.map(|expect| format!("/etc/x.conf: this looks like {expect}"));
        match (&told, &beginning) {
            (None, None) => {}
            (Some(told), Some(beginning)) if told.starts_with(beginning) => {}
            _ => panic!("{text}: {told:?}"),
        }
    }

    #[test]
    fn another_programs_file_is_known() {
        let ddclient = Some("ddclient's file: `homing import ddclient /etc/x.conf`");
        check("# x\ndaemon=300\nprotocol=dyndns2\nuse=web\n", ddclient);
        check("protocol=dyndns2, server=d.example, login=me, password='x' h.example", ddclient);
        check("usev4=webv4\n", ddclient);
        let inadyn = Some("inadyn's file: `homing import inadyn /etc/x.conf`");
        check("period = 300\nprovider default@dyndns.org {\n username = me\n}\n", inadyn);
        check("custom x { hostname = a.example }\n", inadyn);
        check("username me\nsystem default@dyndns.org\n", inadyn);
        let scripts = Some("ddns-scripts's file: `homing import ddns-scripts /etc/x.conf`");
        check("config ddns 'global'\n\toption x 1\n\nconfig service 'a'\n", scripts);
        check("config homing 'main'\n", Some("OpenWrt's settings"));
        check("{\n \"settings\": [{\"provider\": \"desec\"}]\n}\n", Some("JSON"));
        check("[\n  {\"provider\": \"desec\"}\n]\n", Some("JSON"));
        check("[desec]\ntoken = abc\nhost = a.example\n", Some("an INI file"));
        check("; x\ntoken = abc\n", Some("an INI file"));
        check("host:\n  - name: a.example\n    provider: desec\n", Some("YAML"));
        check("---\nprovider: desec\n", Some("YAML"));
    }

    #[test]
    fn a_configuration_with_a_mistake_is_none_of_them() {
        for text in [
            "",
            "[[host]]\nname = a.example\nprovider=desec\n",
            "[host]\nname = \"a.example\"\n",
            "[ provider.x ]\nprotocol=dyndns2\n[[host]]\n",
            "[daemon]\ninterval: 5m\n",
            "name = \"a.example\"\n",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn nothing_of_the_file_is_repeated() {
        for text in
            ["password=hunter2 login=hunter3\n", "{\"token\": \"hunter2\"}", "token: hunter2\n"]
        {
            assert!(!hint(Path::new("x"), text).unwrap_or_default().contains("hunter"), "{text}");
        }
        let told = hint(Path::new("a b"), "use=web\n").unwrap_or_default();
        assert!(told.contains("import ddclient 'a b'`"), "{told}");
    }
}
