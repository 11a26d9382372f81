//! inadyn 1's format of configuration: options as on its command line, with or without hyphens
//! (inadyn.conf(5) and inadyn(8) of 1.99), read as settings and blocks of version 2.
//!
//! Knows the options and how many words follow each; the parent knows their meaning. A misplaced word
//! ends its line, so that no secret becomes part of another value. Called by the parent.

use super::blocks::{Block, File, Setting, Value};

/// The scope of an option.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    /// One account.
    Account,
    /// One account; no word follows.
    Switch,
    /// All accounts.
    Global,
    /// All accounts; no word follows.
    GlobalSwitch,
    /// The start of a new account, at the service that the next word names.
    System,
}

/// The names of an option, the settings of version 2 for the words after it, and its scope.
type Meaning = (&'static [&'static str], &'static [&'static str], Place);

const OPTIONS: [Meaning; 31] = [
    (&["alias", "a"], &["hostname"], Place::Account),
    (&["append-myip", "A"], &["append-myip"], Place::Switch),
    (&["background", "b"], &["background"], Place::GlobalSwitch),
    (&["bind", "B"], &["bind"], Place::Global),
    (&["cache-dir", "c"], &["cache-dir"], Place::Global),
    (&["checkip-url", "H", "ip_server_name"], &["checkip-server", "checkip-path"], Place::Account),
    (&["config", "F"], &["include"], Place::Global),
    (&["drop-privs", "d", "change_persona"], &["drop-privs"], Place::Global),
    (&["exec", "e"], &["exec"], Place::Global),
    (&["fake-address", "z"], &["fake-address"], Place::GlobalSwitch),
    (&["forced-update", "f", "forced_update_period"], &["forced-update"], Place::Global),
    (&["iface", "i"], &["iface"], Place::Global),
    (&["iterations", "n"], &["iterations"], Place::Global),
    (&["logfile", "L", "log_file"], &["logfile"], Place::Global),
    (&["once", "o"], &["iterations"], Place::GlobalSwitch),
    (&["password", "p"], &["password"], Place::Account),
    (&["period", "T", "update_period_sec"], &["period"], Place::Global),
    (&["pidfile", "P"], &["pidfile"], Place::Global),
    (&["proxy-server", "x", "proxy_server"], &["proxy-server"], Place::Global),
    (&["server-name", "N", "dyndns_server_name"], &["ddns-server"], Place::Account),
    (&["server-url", "U", "dyndns_server_url"], &["ddns-path"], Place::Account),
    (&["ssl", "s"], &["ssl"], Place::Switch),
    (&["startup-delay", "t"], &["startup-delay"], Place::Global),
    (&["syslog", "l"], &["syslog"], Place::GlobalSwitch),
    (&["system", "S", "dyndns_system"], &["system"], Place::System),
    (&["update_period"], &[MILLISECONDS], Place::Global),
    (&["username", "u"], &["username"], Place::Account),
    (&["verbose", "V"], &["verbose"], Place::Global),
    (&["wildcard", "w"], &["wildcard"], Place::Switch),
    (&["proxied"], &["proxied"], Place::Switch),
    (&["user-agent"], &["user-agent"], Place::Global),
];

/// An interval in milliseconds.
const MILLISECONDS: &str = "update_period";

/// The service if none is named.
const USUAL: &str = "default@dyndns.org";

/// `text` as settings and blocks, if one of its lines begins with an option that a word follows.
pub(super) fn parse_version1(text: &str) -> Option<File> {
    let lines = || text.lines().enumerate().map(|(place, line)| (place + 1, words(line)));
    let is_telling = |words: &[String]| {
        let [option, value, ..] = words else { return false };
        match option.trim_start_matches('-') {
            "alias" | "dyndns_system" | "ip_server_name" | "password" | "period" | "system"
            | "update_period_sec" | "username" => !value.starts_with(['=', '{', ':']),
            _ => false,
        }
    };
    if !lines().any(|(_, words)| is_telling(&words)) {
        return None;
    }
    let mut file = File::default();
    // Settings before the first service belong to it.
    let mut account = Block { line: 0, ..Block::default() };
    let mut has_system = false;
    for (number, words) in lines() {
        let mut words = words.into_iter().peekable();
        let mut is_first = true;
        while let Some(word) = words.next() {
            let name = word.trim_start_matches('-');
            let known = OPTIONS.iter().find(|(names, ..)| names.contains(&name));
            let is_option = is_first && name.len() > 1 || word.starts_with('-');
            let Some((_, settings, place)) = known.filter(|_| is_option) else {
                let what =
                    "an option is not known here, or more than one word follows one: left out";
                file.wrong.push((number, what));
                break;
            };
            is_first = false;
            if *place == Place::System && has_system {
                let fresh = Block { line: number, ..Block::default() };
                file.blocks.push(std::mem::replace(&mut account, fresh));
            }
            let is_global = matches!(place, Place::Global | Place::GlobalSwitch);
            let block = if is_global { &mut file.globals } else { &mut account };
            if block.line == 0 && !is_global {
                block.line = number;
            }
            for setting in *settings {
                if matches!(place, Place::Switch | Place::GlobalSwitch) {
                    add(block, setting, "true".to_owned(), number);
                    continue;
                }
                let Some(value) = words.next_if(|word| !word.starts_with("--")) else {
                    if *setting != "checkip-path" {
                        file.wrong.push((number, "the value is missing"));
                    }
                    break;
                };
                if *place == Place::System {
                    has_system = true;
                    block.line = number;
                    block.title = value;
                } else {
                    add(block, setting, value, number);
                }
            }
        }
    }
    file.blocks.push(account);
    file.blocks.iter_mut().for_each(settle);
    Some(file)
}

/// Adds a setting; another host name becomes one more value.
fn add(block: &mut Block, name: &str, text: String, line: usize) {
    let (name, text) = match (name, text) {
        // ALIAS,HASH: the second is a secret of the service.
        ("hostname", text) => ("hostname", text.split(',').next().unwrap_or_default().to_owned()),
        (MILLISECONDS, text) => {
            let seconds = text.parse::<u64>().map(|number| (number / 1000).to_string());
            ("period", seconds.unwrap_or(text))
        }
        other => other,
    };
    let known =
        block.settings.iter_mut().find(|setting| setting.name == "hostname" && name == "hostname");
    match known {
        Some(names) => names.values.push(Value::Text(text)),
        None => {
            let values = vec![Value::Text(text)];
            block.settings.push(Setting { name: name.to_owned(), values, line });
        }
    }
}

/// Sets the kind and the title that version 2 needs, and the defaults of version 1.
fn settle(block: &mut Block) {
    let (begin, service) = block.title.split_once('@').unwrap_or(("", ""));
    let is_custom = begin == "custom" && service.starts_with("http_s");
    block.kind = String::from(if is_custom { "custom" } else { "provider" });
    if block.title.is_empty() || service == "dyndns.org" {
        block.title = String::from(USUAL);
    }
    // Version 2 uses https for these by default.
    for (name, others) in [("ssl", "ddns-server"), ("checkip-ssl", "checkip-server")] {
        if block.setting(name).is_none() && block.setting(others).is_some() {
            add(block, name, "false".to_owned(), block.line);
        }
    }
}

/// The words of a line, without its comment; a backslash keeps the next character.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '#' if word.is_none() => break,
            '\\' => word.get_or_insert_default().extend(characters.next()),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_with_and_without_hyphens() {
        for text in [
            "period 300\nsystem default@no-ip.com\n ssl\n username me # why\n password a\\ b\n alias h.example,hash\n alias i.example\n",
            "--period 300 --system default@no-ip.com --ssl --username me --password a\\ b --alias h.example --alias i.example",
            "-u me\n-p a\\ b\n-a h.example -a i.example\n-s\n-S default@no-ip.com\nupdate_period 300000\npassword a\\ b\n",
        ] {
            let file = parse_version1(text).unwrap();
            assert_eq!(file.wrong, [], "{text}");
            assert_eq!(file.globals.text("period"), Some("300"), "{text}");
            let [block] = &file.blocks[..] else { panic!("{text}: {:?}", file.blocks) };
            assert_eq!((&*block.kind, &*block.title), ("provider", "default@no-ip.com"), "{text}");
            assert_eq!((block.text("username"), block.text("password")), (Some("me"), Some("a b")));
            let names = &block.setting("hostname").unwrap().values;
            assert_eq!(
                names[..],
                ["h.example", "i.example"].map(|name| Value::Text(name.to_owned()))
            );
        }
    }

    #[test]
    fn each_system_is_an_account_and_dyn_is_the_usual_one() {
        let text = "username a\npassword b\nalias h.example\n";
        assert_eq!(parse_version1(text).unwrap().blocks[0].title, USUAL);
        let text = "username a\npassword b\nsystem statdns@dyndns.org\nalias h.example\nsystem custom@http_srv_basic_auth\n\
                    server-name d.example\nserver-url /update?hostname=\nusername c\npassword d\nalias i.example\n";
        let file = parse_version1(text).unwrap();
        let blocks: Vec<_> =
            file.blocks.iter().map(|block| (&*block.kind, block.text("username"))).collect();
        assert_eq!(blocks, [("provider", Some("a")), ("custom", Some("c"))]);
        assert_eq!(file.blocks[1].text("ssl"), Some("false"));
    }

    #[test]
    fn what_is_out_of_place_ends_its_line() {
        let file = parse_version1("username me password hunter2\nalias h.example\n").unwrap();
        assert_eq!((file.wrong.len(), file.blocks[0].text("username")), (1, Some("me")));
        assert!(!format!("{file:?}").contains("hunter2"));
        for text in ["period = 300\n", "provider x {\n}\n", "", "hello world\n", "password: x\n"] {
            assert!(parse_version1(text).is_none(), "{text}");
        }
    }
}
