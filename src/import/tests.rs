//! The whole way from a client's text to configuration, for what its parts cannot show.

use std::path::Path;

use super::*;
use crate::config;

/// What is wrong with `text` as configuration, as the driver asks it.
fn problems(text: &str) -> Vec<String> {
    match config::parse(Path::new("t"), text, false) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(str::to_owned).collect(),
    }
}

fn written(client: Client, text: &str) -> Written {
    read_draft(client, text).unwrap().written("FILE", None, problems)
}

#[track_caller]
fn says(client: Client, text: &str, expect: &[&str]) {
    let Written { text: out, .. } = written(client, text);
    let mut rest = &*out;
    for line in expect {
        let found = rest.find(line);
        let at =
            found.unwrap_or_else(|| panic!("{line:?} is not there, or not in this order:\n{out}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn a_host_becomes_a_block_with_everything_that_it_needs() {
    let text = "daemon=10m\nusev4=ifv4, ifv4=wan.2, usev6=webv6, max-interval=20d\n\
                server=dyn.example.net:444, login='me \"x\"', password='hunter 2' a.example,b.example";
    let expect = [
        "[daemon]\ninterval = \"10m\"\n\n",
        "[source.\"wan.2\"]\ninterface = \"wan.2\"\n\n[source.web6]\nweb = \"ipify\"\n\n",
        "[provider.\"dyn.example.net\"]\nprotocol = \"dyndns2\"\nserver = \"https://dyn.example.net:444\"\n\n",
        "# To do, line 3: copy the secret from that line of the old file; put it into
#   /etc/homing/a.example.password, as its only line:
#     (umask 077 && cat > /etc/homing/a.example.password)",
        "[[host]]\nname = [\"a.example\", \"b.example\"]\nprovider = \"dyn.example.net\"\nusername = \"me \\\"x\\\"\"\n\
         password-file = \"/etc/homing/a.example.password\"\nipv4 = \"wan.2\"\nipv6 = \"web6\"\nrefresh = \"20d\"\n",
    ];
    says(Client::Ddclient, text, &expect);
}

#[test]
fn two_sections_of_one_name_become_one_host() {
    let section = |family: &str, password: &str| {
        format!(
            "config service\n\toption enabled 1\n\toption service_name dynu.com\n\toption domain h.example\n\
             \toption username me\n\toption password {password}\n\toption use_ipv6 {family}\n"
        )
    };
    let both = section("0", "hunter2") + &section("1", "hunter2");
    let host =
        "[[host]]\nname = \"h.example\"\nprovider = \"dynu\"\nusername = \"me\"\npassword-file = ";
    says(Client::DdnsScripts, &both, &["joined with what begins on line 1", host]);
    let joined = written(Client::DdnsScripts, &both);
    assert!(!joined.text.contains("\"off\"") && joined.carried == 1, "{}", joined.text);
    // Two passwords are two credentials, of which a host has one.
    let apart = written(Client::DdnsScripts, &(section("0", "hunter2") + &section("1", "hunter3")));
    assert_eq!((apart.carried, apart.left_out), (1, 1));
    assert!(apart.text.contains("it is already on line 1"), "{}", apart.text);
}

#[test]
fn what_would_not_be_valid_is_left_out_with_the_reason() {
    let text = "login=me password=hunter2 sl@sh.example\nusev4=ifv4 ifv4=eth0:1 login=me password=hunter3 b.example\n\
                login=me password=hunter4 good.example";
    let written = written(Client::Ddclient, text);
    assert_eq!((written.carried, written.left_out), (1, 2));
    for what in ["'@' is not", "is not the name of an interface", "#name = \"b.example\""] {
        assert!(written.text.contains(what), "{what}: {}", written.text);
    }
    assert_eq!(problems(&written.text), [""; 0]);
}

#[test]
fn one_bad_name_takes_no_other_with_it() {
    let text = "login=me password=hunter2 a.example,b@d.example,c_d.example\n";
    let written = written(Client::Ddclient, text);
    assert_eq!((written.carried, written.left_out), (2, 1), "{}", written.text);
    for what in ["\nname = [\"a.example\", \"c_d.example\"]\n", "\n#name = \"b@d.example\"\n"] {
        assert!(written.text.contains(what), "{what}: {}", written.text);
    }
}

#[test]
fn a_host_without_its_source_is_commented_and_needs_one_to_come_back() {
    let text = "use=fw, fw=192.168.1.1 login=me password=hunter2 a.example\nlogin=me password=hunter2 b.example";
    let written = written(Client::Ddclient, text);
    assert_eq!((written.carried, written.left_out), (1, 1), "{}", written.text);
    assert!(written.text.contains("gateway = \"192.168.1.1\""), "{}", written.text);
    let on = written.text.replace("\n#", "\n");
    assert!(on.contains("ipv4 = \"name-of-a-source\""), "{on}");
}

#[test]
fn what_joining_has_settled_is_not_left_to_do() {
    let text = "allow-ipv6 = true\nprovider default@dynu.com:1 { username = a\npassword = b\nhostname = h.example }\n\
                provider ipv6@dynu.com:2 { username = a\npassword = b\nhostname = h.example }\n";
    let text = text.replace("dynu.com", "desec.io");
    let written = written(Client::Inadyn, &text);
    assert_eq!((written.carried, written.left_out), (1, 0), "{}", written.text);
    assert!(!written.text.contains("delete ipv6"), "{}", written.text);
}

#[test]
fn intervals_are_not_below_those_of_the_old_client() {
    for (client, text, expect) in [
        (Client::Ddclient, "daemon=5\nlogin=a password=b h.example", "1m"),
        (Client::Ddclient, "daemon=10m\nlogin=a password=b h.example", "10m"),
        (Client::Inadyn, "period = 1\nprovider x {\n}", "30s"),
        (Client::Inadyn, "period 1\nusername a\npassword b\nalias h.example", "30s"),
        (Client::DdnsScripts, "config service\n\toption check_interval 1", "5m"),
        (
            Client::DdnsScripts,
            "config service\n\toption check_interval 60\n\toption check_unit seconds",
            "5m",
        ),
        (
            Client::DdnsScripts,
            "config service\n\toption check_interval 1\n\toption check_interval_min 2",
            "2m",
        ),
    ] {
        says(client, text, &[&format!("interval = \"{expect}\"")]);
    }
}

#[test]
fn a_file_of_comments_alone_is_told() {
    for client in Client::ALL {
        let error = read_draft(client, "# use=web\n\n  #provider x {\n").unwrap_err();
        assert_eq!(error, Unusable::Comments(client));
    }
}

#[test]
fn a_login_that_is_the_password_is_not_shown() {
    let text = "login=hunter2 password=hunter2 a.example\ncmd='ask hunter2' use=cmd login=me password=hunter2 b.example\n\
                login=a:hunter2 password=hunter2 c.example";
    let written = written(Client::Ddclient, text);
    assert!(!written.text.contains("hunter2"), "{}", written.text);
    assert_eq!((written.carried, written.left_out), (0, 3));
}

#[test]
fn the_names_of_secret_files_tell_hosts_and_secrets_apart() {
    let text = "login=a password=hunter1 *.example.com\nlogin=b password=hunter2 server=dynv6.com *.example.com\n\
                login=a password=hunter1 c.example.com\nlogin=a password=hunter3 server=dynu.example d.example.com";
    let draft =
        read_draft(Client::Ddclient, &text.replace("server=dynv6.com *", "server=dynv6.com e"))
            .unwrap();
    let written = draft.written("FILE", Some("/s/"), problems);
    let files: Vec<_> = written.secrets.iter().map(|file| &*file.name).collect();
    let expect = ["d.example.com.password", "e.example.com.token", "wildcard.example.com.password"];
    assert_eq!(files, expect);
    assert!(written.text.contains("\"/s/wildcard.example.com.password\""), "{}", written.text);
    assert_eq!(written.to_do, 0, "{}", written.text);
}

#[test]
fn a_secret_that_no_file_can_hold_is_told() {
    for (password, expect) in [
        ("' padded'", "begins or ends with a space"),
        ("h\u{fffd}unter", "is not UTF-8 text"),
        ("''", "the old file has no password"),
    ] {
        let text = format!("login=a password={password} a.example");
        let written =
            read_draft(Client::Ddclient, &text).unwrap().written("FILE", Some("/s"), problems);
        assert!(written.secrets.is_empty() && written.text.contains(expect), "{}", written.text);
    }
}

#[test]
fn many_hosts_are_read_in_reasonable_time() {
    let mut text = String::new();
    for number in 0..1000 {
        text += &format!("usev4=ipv4 ipv4=9.9.{}.{} ", number / 250, number % 250 + 1);
        text += &format!("login=a password=hunter{number} h{number}.example\n");
    }
    assert_eq!(written(Client::Ddclient, &text).carried, 1000);
}

/// A generator of the same numbers each time (xorshift, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

/// `text` with a few pieces removed, doubled, moved or replaced.
fn mutated(text: &[char], chance: &mut Chance) -> String {
    const SIGNS: &str = "\\\"'#{}=,()\n\r\t \u{0}\u{85}\u{fffd}\u{202e}é*@:/[]%+$-_.0a";
    let signs: Vec<char> = SIGNS.chars().collect();
    let mut text = text.to_vec();
    for _ in 0..=chance.below(8) {
        let start = chance.below(text.len());
        let end = (start + 1 + chance.below(40)).min(text.len());
        let piece: Vec<char> = text.get(start..end).unwrap_or_default().to_vec();
        match chance.below(4) {
            0 => drop(text.drain(start..end)),
            1 => drop(text.splice(start..start, piece)),
            2 => drop(text.splice(start..end, [signs[chance.below(signs.len())]])),
            _ => {
                let place = chance.below(text.len());
                drop(text.splice(place..place, piece));
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn whatever_a_file_holds_the_output_is_configuration_or_comments() {
    const ROUNDS: usize = 60;
    let examples = [
        (Client::Ddclient, include_str!("../../tests/import/ddclient/ddclient.conf")),
        (Client::Inadyn, include_str!("../../tests/import/inadyn/inadyn.conf.5")),
        (Client::Inadyn, include_str!("../../tests/import/inadyn/inadyn.conf")),
        (Client::DdnsScripts, include_str!("../../tests/import/ddns-scripts/ddns.config_sample")),
    ];
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for (client, text) in examples {
        // The long one in pieces of which a mutation changes something.
        let lines: Vec<&str> = text.lines().collect();
        for round in 0..ROUNDS {
            let start = chance.below(lines.len().saturating_sub(60));
            let piece = lines[start..lines.len().min(start + 60)].join("\n");
            let text = mutated(&piece.chars().collect::<Vec<_>>(), &mut chance);
            let Ok(draft) = read_draft(client, &text) else { continue };
            let Written { text: out, carried, .. } = draft.written("FILE", None, problems);
            if carried > 0 {
                assert_eq!(problems(&out), [""; 0], "round {round} of {text}\ngave\n{out}");
            } else {
                let result = ::toml::de::DeTable::parse(&out);
                assert!(result.is_ok(), "round {round} of {text}\ngave\n{out}");
            }
            let again = read_draft(client, &text).unwrap().written("FILE", None, problems);
            assert_eq!(out, again.text);
        }
    }
}

#[test]
fn no_character_before_a_secret_and_no_end_of_a_line_lets_it_out() {
    let example = include_str!("../../tests/import/ddclient/ddclient.conf");
    let statements = [
        "server=d.example, login=me, password=hunter2 h.example",
        "protocol=dyndns2 password='hunter #2' login=me h.example",
        "server=d.example if=eth0 password=\"hunter2\" h.example",
    ];
    let lines = example.lines().filter(|line| line.contains("password")).take(12);
    for line in statements.into_iter().chain(lines) {
        let places: Vec<_> = line.char_indices().map(|(at, _)| at).collect();
        let name = line.find("password").unwrap();
        for at in places {
            for sign in ["\u{a0}", "é", "\u{fffd}", ""] {
                let (before, behind) = line.split_at(at);
                let behind = if sign.is_empty() { "" } else { behind };
                let text = format!("{before}{sign}{behind}\nlogin=a password=b z.example\n");
                let Ok(draft) = read_draft(Client::Ddclient, &text) else { continue };
                // A password that is cut is one; a sign within it makes another.
                if at <= name || at > name + "password".len() {
                    let out = draft.written("FILE", None, problems).text;
                    assert!(!out.contains("hunter"), "{text}\ngave\n{out}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_shown_of_a_line_in_which_pieces_of_a_password_may_stand() {
    for line in [
        "server=dyn4.example.com, login=me password=\"hunterone huntertwo hunterthree\" a.example.com",
        "server=dyn4.example.com login=me,password='hunter2 33 p.example.com",
        "login=me password=hunter2 hunter.x a.example.com",
        "login=me password hunter2 a.example.com",
    ] {
        let text = format!("{line}\nlogin=me,password=b ok.example.com\n");
        let written = written(Client::Ddclient, &text);
        assert!(!written.text.contains("hunter"), "{}", written.text);
        assert!(written.text.contains("correct the line"), "{}", written.text);
        assert_eq!((written.carried, written.left_out), (1, 1), "{}", written.text);
    }
}

#[test]
fn a_variable_is_named_only_when_it_can_be_one() {
    let lower = written(Client::Ddclient, "login=me password_env=myhunter22 a.example");
    let upper = written(Client::Ddclient, "login=me password_env=MY_PW2 a.example");
    let words = "provider dynu.com { username = a\npassword = \"${hunter literal}\"\nhostname = a.example }";
    let inadyn = written(Client::Inadyn, words);
    for written in [lower, inadyn] {
        assert!(!written.text.contains("hunter"), "{}", written.text);
        assert!(written.text.contains("is not a name in capital"), "{}", written.text);
    }
    assert!(upper.text.contains("token-env = \"MY_PW2\""), "{}", upper.text);
}

#[test]
fn one_client_reads_the_files_of_another_without_harm() {
    let texts = [
        include_str!("../../tests/import/ddclient/ddclient.conf"),
        include_str!("../../tests/import/inadyn/inadyn.conf"),
        include_str!("../../tests/import/ddns-scripts/ddns.config_sample"),
    ];
    for client in Client::ALL {
        for text in texts {
            let Ok(draft) = read_draft(client, text) else { continue };
            let written = draft.written("FILE", None, problems);
            assert!(written.carried == 0 || problems(&written.text).is_empty());
        }
    }
}

/// What becomes of a setting of another client.
enum Fate {
    /// This stands in the configuration.
    Carried(&'static str),
    /// Nothing is lost without it: the host is on as without the setting.
    Harmless,
    /// Its host is switched off, with the reason.
    Off,
    /// The host is on, and a person is asked to look.
    ToDo,
}

#[track_caller]
fn becomes(client: Client, text: &str, fate: &Fate) {
    let written = written(client, text);
    let (is_on, has_more) = (written.carried > 0, written.to_do > 1);
    assert_eq!(is_on, !matches!(fate, Fate::Off), "{text}\n{}", written.text);
    match fate {
        Fate::Carried(line) => assert!(written.text.contains(line), "{text}\n{}", written.text),
        Fate::Harmless => assert!(!has_more, "{text}\n{}", written.text),
        Fate::Off => assert!(written.text.contains("left out: "), "{text}\n{}", written.text),
        Fate::ToDo => assert!(has_more, "{text}\n{}", written.text),
    }
}

#[test]
fn every_setting_of_ddclient_has_its_fate() {
    use Fate::{Carried, Harmless, Off, ToDo};
    let rows = [
        ("use=if, if=eth0", Carried("interface = \"eth0\"")),
        ("use=web, web=ipify-ipv4", Carried("web = \"ipify\"")),
        ("use=web, web=x.example, web-skip=y", Off),
        ("use=cmd, cmd='ip -4 addr show dev eth0'", Carried("command = [\"ip\", \"-4\"")),
        ("use=cmd, cmd='x secretword'", Off),
        ("use=cmd, cmd=/bin/x, cmd-skip=y", Off),
        ("use=ip, ip=8.8.8.8", Carried("static = \"8.8.8.8\"")),
        ("use=fw, fw=10.0.0.1, fw-skip=x, fw-login=a, fw-password=b", Off),
        ("use=no", Off),
        ("usev4=ipv4, ipv4=8.8.8.8", Carried("static = \"8.8.8.8\"")),
        ("usev4=ifv4, ifv4=eth0", Carried("interface = \"eth0\"")),
        ("usev4=webv4, webv4=desec-ipv4", Carried("web = \"desec\"")),
        ("usev4=webv4, webv4=x.example, webv4-skip=y", Off),
        ("usev4=cmdv4, cmdv4=/bin/x", Carried("command = [\"/bin/x\"]")),
        ("usev4=fwv4, fwv4=10.0.0.1, fwv4-skip=x", Off),
        ("usev6=ipv6, ipv6=2a00::1", Carried("static = \"2a00::1\"")),
        ("usev6=ifv6, ifv6=eth0", Carried("ipv6 = \"eth0\"")),
        ("usev6=webv6, webv6=ipify-ipv6", Carried("ipv6 = \"web6\"")),
        ("usev6=cmdv6, cmdv6=/bin/x", Carried("ipv6 = \"command6\"")),
        ("usev6=cmdv6, cmdv6=", Off),
        ("usev6=fwv6, fwv6=10.0.0.1, fwv6-skip=x", Off),
        ("usev6=disabled", Off),
        ("usev6=disabled, usev4=ifv4, ifv4=eth0", Carried("ipv6 = \"off\"")),
        ("proxy=p.example:80", ToDo),
        ("ssl=yes", Harmless),
        ("ssl_ca_file=/x", ToDo),
        ("ssl_ca_dir=/x", ToDo),
        ("web-ssl-validate=no", ToDo),
        ("fw-ssl-validate=no", ToDo),
        ("redirect=3", ToDo),
        ("daemon=10m", Carried("interval = \"10m\"")),
        ("min-interval=5m", Harmless),
        ("min-error-interval=5m", Harmless),
        ("max-interval=20d", Carried("refresh = \"20d\"")),
        ("max-interval=never", Carried("refresh = \"never\"")),
        ("server=d.example", Carried("server = \"https://d.example\"")),
        ("server=d.example, script=/x", Carried("update-url = \"https://d.example/x\"")),
        ("protocol=noip", Carried("provider = \"no-ip\"")),
        ("protocol=cloudflare", Off),
        ("protocol=duckdns", Off),
        ("protocol=domeneshop, ttl=60", Carried("provider = \"domeneshop\"")),
        ("protocol=freedns", Off),
        ("zone=example", Harmless),
        ("ttl=60", Harmless),
        ("wildcard=yes", ToDo),
        ("wildcard=no", Harmless),
        ("mx=m.example", ToDo),
        ("backupmx=yes", ToDo),
        ("static=yes", Harmless),
        ("custom=yes", Harmless),
        ("postscript=/bin/x", Carried("on-change = [\"/bin/x\"]")),
        ("mail=root", ToDo),
        ("mail-failure=root", ToDo),
        ("syslog=yes, facility=daemon, priority=notice", Harmless),
        ("pid=/run/x, cache=/x, file=/x, foreground=yes", Harmless),
        ("verbose=yes, debug=no, quiet=no, exec=yes, test=no, force=no", Harmless),
        ("timeout=10, jitter=3, max-warn=2", Harmless),
        ("password_env=PW", Carried("token-env = \"PW\"")),
        ("frobnicate=3", ToDo),
    ];
    for (line, fate) in rows {
        let password = if line.starts_with("password") { "" } else { "password=b\n" };
        // On its own line before the host, and behind the last one.
        for text in [
            format!("{line}\nlogin=a\n{password}h.example\n"),
            format!("login=a\n{password}h.example\n{line}\n"),
        ] {
            if text.ends_with("=PW\n") {
                continue;
            }
            becomes(Client::Ddclient, &text, &fate);
        }
    }
}

#[test]
fn every_setting_of_inadyn_has_its_fate() {
    use Fate::{Carried, Harmless, Off, ToDo};
    let globals = [
        ("period = 300", Carried("interval = \"5m\"")),
        ("forced-update = 1728000", Carried("refresh = \"20d\"")),
        ("iface = eth0", Carried("interface = \"eth0\"")),
        ("allow-ipv6 = true", ToDo),
        ("verify-address = false", ToDo),
        ("fake-address = true", ToDo),
        ("secure-ssl = false", ToDo),
        ("ca-trust-file = /x", ToDo),
        ("broken-rtc = true", Harmless),
        ("iterations = 1", Harmless),
        ("cache-dir = /x", Harmless),
        ("user-agent = x", Harmless),
    ];
    let own = [
        ("ssl = false", Harmless),
        ("iface = eth0", Carried("interface = \"eth0\"")),
        ("checkip-server = api.ipify.org", Carried("web = \"ipify\"")),
        ("checkip-server = x.example\ncheckip-path = /?token=secretword", Off),
        ("checkip-command = \"/bin/x\"", Carried("command = [\"/bin/x\"]")),
        ("checkip-command = \"x secretword\"", Off),
        ("wildcard = true", ToDo),
        ("ttl = 300", ToDo),
        ("proxied = true", ToDo),
        ("user-agent = x", Harmless),
        ("include(\"/x\")", ToDo),
    ];
    let block = |more: &str| {
        format!(
            "provider dynu.com {{\nusername = a\npassword = b\nhostname = h.example\n{more}\n}}\n"
        )
    };
    for (line, fate) in globals {
        becomes(Client::Inadyn, &format!("{line}\n{}", block("")), &fate);
    }
    for (line, fate) in own {
        becomes(Client::Inadyn, &block(line), &fate);
    }
}

#[test]
fn every_option_of_ddns_scripts_has_its_fate() {
    use Fate::{Carried, Harmless, Off, ToDo};
    let rows = [
        ("use_ipv6 1", Carried("ipv4 = \"off\"")),
        ("ip_source network, ip_network wan", Harmless),
        ("ip_source network, ip_network lan", Off),
        ("ip_source interface, ip_interface eth0", Carried("interface = \"eth0\"")),
        ("ip_source script, ip_script /bin/x", Carried("command = [\"/bin/x\"]")),
        ("ip_source script", Off),
        ("ip_source script, ip_script '/bin/x secretword'", Off),
        ("ip_source web, ip_url https://api.ipify.org", Carried("web = \"ipify\"")),
        ("ip_source web", Carried("web = \"ipify\"")),
        ("ip_source web, proxy p.example:80", Off),
        ("ip_source web, bind_network wanb", Off),
        ("ip_source nonsense", Off),
        ("proxy p.example:80", ToDo),
        ("bind_network wanb", ToDo),
        ("check_interval 20", Carried("interval = \"20m\"")),
        ("check_interval 1", Carried("interval = \"5m\"")),
        ("force_interval 20, force_unit days", Carried("refresh = \"20d\"")),
        ("force_interval 0", ToDo),
        ("retry_interval 60, retry_unit seconds, retry_count 3, retry_max_count 3", Harmless),
        ("use_https 1", Harmless),
        ("cacert /etc/ssl/certs", Harmless),
        ("cacert IGNORE", ToDo),
        ("cacert /root/own.pem", ToDo),
        ("param_enc x", ToDo),
        ("lookup_host h.example", Harmless),
        ("dns_server 9.9.9.9, force_dnstcp 1", Harmless),
        ("is_glue 1, force_ipversion 1, use_logfile 1, use_syslog 2", Harmless),
        ("interface wan", Harmless),
        ("enabled 0", Off),
        ("domain a_b.example", Carried("name = \"a_b.example\"")),
        ("frobnicate 3", ToDo),
    ];
    for (options, fate) in rows {
        let lines = format!("\toption {}\n", options.replace(", ", "\n\toption "));
        let text = format!(
            "config service 's'\n\toption enabled 1\n\toption service_name dynu.com\n\toption domain h.example\n\
             \toption username a\n\toption password b\n{lines}"
        );
        becomes(Client::DdnsScripts, &text, &fate);
    }
    for (line, to_do) in [
        ("upd_privateip 1", 2),
        ("allow_local_ip 1", 2),
        ("upd_privateip 0", 1),
        ("ddns_dateformat x", 1),
        ("date_format x", 1),
        ("run_dir x", 1),
        ("frobnicate x", 2),
    ] {
        let text = format!(
            "config ddns 'global'\n\toption {line}\nconfig service 's'\n\toption enabled 1\n\toption service_name dynu.com\n\
             \toption domain h.example\n\toption username a\n\toption password b\n"
        );
        assert_eq!(written(Client::DdnsScripts, &text).to_do, to_do, "{line}");
    }
}
