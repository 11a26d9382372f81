//! A server that repeats a secret in whatever form: it is found nowhere, by the real binary.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::home;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use home::{Home, Ran};

const SECRET: &str = "Zx7kQp2Lm9Wv4t8R";
const NEW: &str = "qY5uTb3Hc6Jd1sNe";

/// A server that answers as `answer` says to the beginning of a request.
fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut stream: TcpStream = stream;
                let request = request(&mut stream);
                let _ = stream.write_all(&answer(&request));
            });
        }
    });
    address
}

/// The whole request.
fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let all = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = all.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap_or("0");
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                return all;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => text.extend(&buffer[..count]),
            Ok(0) | Err(_) => return all,
        }
    }
}

fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\
                        Connection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// `secret` in every form in which a server may send it back.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let each = |form: &dyn Fn(u8) -> String| -> Vec<u8> {
        secret.bytes().map(form).collect::<String>().into_bytes()
    };
    let wide = |order: fn(u16) -> [u8; 2]| secret.encode_utf16().flat_map(order).collect();
    let login = format!("dev1.dyn.example.com:{secret}");
    vec![
        ("plain", secret.into()),
        ("utf-16le", wide(u16::to_le_bytes)),
        ("utf-16be", [&[0xfe, 0xff][..], &wide(u16::to_be_bytes)].concat()),
        ("control bytes", each(&|b| format!("{}\x01", char::from(b)))),
        ("spaces", each(&|b| format!("{} ", char::from(b)))),
        ("zero width", each(&|b| format!("{}\u{200b}", char::from(b)))),
        ("json", each(&|b| format!("\\u{b:04x}"))),
        ("html", each(&|b| format!("&#{b};"))),
        ("percent", each(&|b| format!("%{b:02x}"))),
        ("percent, capitals", each(&|b| format!("%{b:02X}"))),
        ("percent twice", each(&|b| format!("%25{b:02x}"))),
        ("base64", STANDARD.encode(secret).into()),
        ("base64 with login", STANDARD.encode(&login).into()),
        ("base64 for urls", URL_SAFE_NO_PAD.encode(&login).into()),
        ("base64 of login alone", STANDARD.encode(format!(":{secret}")).into()),
        ("hex", each(&|b| format!("{b:02x}"))),
        ("hex with colons", each(&|b| format!("{b:02X}:"))),
        ("quoted-printable", each(&|b| format!("={b:02X}"))),
        ("capitals", secret.to_uppercase().into()),
        ("a part", secret[4..11].into()),
    ]
}

/// Whether `text` shows six characters of `secret`, plain, or ten of `form` as it was sent.
fn shows(text: &str, secret: &str, form: &[u8]) -> bool {
    let core = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    let (plain, secret) = (core(text), core(secret));
    let form = String::from_utf8_lossy(form);
    let form: Vec<char> = form.chars().filter(|c| !c.is_control()).collect();
    (0..=secret.len() - 6).any(|at| plain.contains(&secret[at..at + 6]))
        || form.windows(10).any(|part| text.contains(&part.iter().collect::<String>()))
}

/// All that a person may come to see of a run, and of what it leaves.
fn all(home: &Home, ran: &Ran) -> String {
    let status = home.run(&["status", "-v"]);
    let json = home.run(&["status", "--json"]);
    let receipts = ["secret.receipt", "secret.new.receipt"];
    let receipts = receipts.map(|name| std::fs::read_to_string(home.path(name)));
    let receipts = receipts.map(Result::unwrap_or_default).concat();
    let state = home.read("state/state.json");
    [&ran.out, &ran.err, &state, &receipts, &status.out, &status.err, &json.out]
        .map(String::as_str)
        .join("\n")
}

/// Answers that hold `form` in every place that an answer has: two of the four kinds of bodies, in turns.
fn repeated_everywhere(turn: usize, status: &str, form: &str) -> Vec<Vec<u8>> {
    let head = format!(
        "Location: /login/{form}?{form}\r\nLink: <http://{form}/?cursor={form}>; rel=\"next\"\r\n\
         Set-Cookie: {form}={form}; path=/{form}\r\nRetry-After: {form}\r\n\
         WWW-Authenticate: Basic realm=\"{form}\"\r\nX-Key: {form}\r\n"
    );
    let escaped = form.replace('&', "&amp;").replace('<', "&lt;");
    [
        (format!("text/{form}"), format!("badauth {form}")),
        (
            "application/json".to_owned(),
            serde_json::json!({"detail": form, form: form}).to_string(),
        ),
        ("application/xml".to_owned(), format!("<errors><error>{escaped}</error></errors>")),
        ("text/html".to_owned(), format!("<!doctype html><p>{escaped}</p>")),
    ]
    .map(|(kind, body)| {
        let head = format!("Content-Type: {kind}\r\n{head}");
        reply(&format!("{status} {form}"), &head, body.as_bytes())
    })
    .into_iter()
    .skip(turn % 2)
    .step_by(2)
    .collect()
}

/// Those of `forms` that a header can carry as they are.
fn in_headers(secret: &str) -> Vec<String> {
    let forms = forms(secret).into_iter().filter_map(|(_, form)| String::from_utf8(form).ok());
    forms.filter(|form| form.bytes().all(|b| b.is_ascii_graphic())).collect()
}

/// How much is told, and how that is asked for.
const LEVELS: [&[&str]; 5] = [&["-q"], &[], &["-v"], &["-vv"], &["-vvv"]];

fn config(server: SocketAddr, provider: &str, host: &str) -> String {
    let key = if provider.contains("\"http\"") { "api-url" } else { "server" };
    format!(
        "[provider.own]\n{key} = \"http://{server}\"\n{provider}\n\
         [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
         [[host]]\nname = \"dev1.dyn.example.com\"\nprovider = \"own\"\nipv4 = \"here\"\n\
         ipv6 = \"off\"\n{host}"
    )
}

const PROTOCOLS: [(&str, &str, &str); 7] = [
    ("dyndns2", "protocol = \"dyndns2\"\n", "password-file = \"secret\"\nusername = \"me\"\n"),
    ("desec", "protocol = \"desec\"\n", "token-file = \"secret\"\n"),
    (
        "desec with a zone",
        "protocol = \"desec\"\n",
        "token-file = \"secret\"\nzone = \"example.com\"\n",
    ),
    ("powerdns", "protocol = \"powerdns\"\n", "token-file = \"secret\"\nzone = \"example.com\"\n"),
    ("powerdns-on-rails", "protocol = \"powerdns-on-rails\"\n", "token-file = \"secret\"\n"),
    (
        "http with the secret in the URL",
        "protocol = \"http\"\nset = { get = \"/{secret}?key={secret}&ip={ipv4}\" }\n\
         answer = { updated = \"200 is=fine\" }\n",
        "token-file = \"secret\"\n",
    ),
    (
        "http with the secret in a header and a body",
        "protocol = \"http\"\nheaders = [\"X-Key: {secret}\"]\n\
         list = { post = \"/list\", form = \"key={secret}\", at = \"rows\", value = \"v\" }\n\
         set = { post = \"/set\", json = '{\"key\":\"{secret}\",\"ip\":\"{address}\"}' }\n",
        "token-file = \"secret\"\n",
    ),
];

#[test]
fn what_a_server_repeats_of_a_secret_is_found_nowhere() {
    const STATUSES: [&str; 5] =
        ["200 OK", "302 Found", "400 Bad Request", "401 Unauthorized", "503 Oh"];
    for (at, (name, provider, host)) in PROTOCOLS.into_iter().enumerate() {
        for (turn, (form_name, form)) in forms(SECRET).into_iter().enumerate() {
            // Every protocol meets every form, and every form every status.
            for status in [STATUSES[(at + turn) % 5], STATUSES[(at + turn + 2) % 5]] {
                let sent = form.clone();
                let address = server(move |_| {
                    let plain: Vec<u8> =
                        sent.iter().copied().filter(u8::is_ascii_graphic).collect();
                    let header = String::from_utf8(plain).unwrap();
                    let headers = format!(
                        "Content-Type: text/plain\r\nLocation: /login/{header}?{header}\r\n\
                         WWW-Authenticate: Basic realm=\"{header}\"\r\nX-Key: {header}\r\n"
                    );
                    let status = format!("{status} {header}");
                    reply(&status, &headers, &[b"wrong key ", &sent[..], b" sent"].concat())
                });
                let home = Home::new(&config(address, provider, host));
                home.secret("secret", SECRET);
                let ran = home.run(&["--once", "-v", "-v"]);
                let all = all(&home, &ran);
                let what = format!("{name}, {form_name}, {status}");
                assert!(!shows(&all, SECRET, &form), "{what}: {all}");
                assert!(ran.code == 75 || ran.code == 77, "{what}: {all}");
            }
        }
    }
}

#[test]
fn what_else_was_said_is_still_told() {
    let address = server(|_| {
        let body = format!("badauth {}", STANDARD.encode(SECRET));
        reply("200 OK", "Content-Type: text/plain\r\n", body.as_bytes())
    });
    let home = Home::new(&config(address, PROTOCOLS[0].1, PROTOCOLS[0].2));
    home.secret("secret", SECRET);
    let ran = home.once();
    assert!(ran.code == 77 && ran.out.contains("HTTP 200 \"badauth …\""), "{ran:#?}");
}

#[test]
fn what_a_server_repeats_to_the_token_commands_is_found_nowhere() {
    let token = |secret: &str| {
        format!(
            r#"{{"id":"6be0a87c-0d9a-4228-a3c5-ed5d33f4a807","created":"2026-11-21T23:52:30.406898Z","last_used":null,"owner":"o@lab.example","user_override":null,"mfa":null,"max_age":null,"max_unused_period":null,"name":"x","perm_create_domain":false,"perm_delete_domain":false,"perm_manage_tokens":false,"allowed_subnets":["0.0.0.0/0","::/0"],"auto_policy":true,"is_valid":true,"token":"{secret}"}}"#
        )
    };
    for (secret, is_new) in [(SECRET, false), (NEW, true)] {
        for (form_name, form) in forms(secret) {
            let made = Arc::new(Mutex::new(false));
            let (sent, new_token, was_made) = (form.clone(), token(NEW), Arc::clone(&made));
            let address = server(move |request| {
                let json = "Content-Type: application/json\r\n";
                let line = request.lines().next().unwrap_or_default();
                let harmless = match line.split(' ').collect::<Vec<_>>()[..] {
                    _ if !is_new => None,
                    ["POST", "/api/v1/auth/tokens/", _] => {
                        *was_made.lock().unwrap() = true;
                        Some(("201 Created", new_token.clone()))
                    }
                    ["GET", path, _] if path.contains("/auth/tokens/?") => {
                        Some(("200 OK", "[]".to_owned()))
                    }
                    ["GET", path, _] if path.contains("owns_qname") => {
                        Some(("200 OK", r#"[{"name":"dyn.example.com"}]"#.to_owned()))
                    }
                    ["GET", path, _] if path.contains("/domains/") => Some((
                        "200 OK",
                        r#"{"name":"dyn.example.com","minimum_ttl":60}"#.to_owned(),
                    )),
                    _ => None,
                };
                match harmless {
                    Some((status, body)) => reply(status, json, body.as_bytes()),
                    None => {
                        let body = [b"{\"detail\": \"no ", &sent[..], b" here\"}"].concat();
                        reply("400 Bad Request", json, &body)
                    }
                }
            });
            let home = Home::new(&config(address, PROTOCOLS[1].1, PROTOCOLS[1].2));
            home.secret("management", SECRET);
            home.secret("secret", "another-one-of-no-interest");
            if is_new {
                std::fs::remove_file(home.path("secret")).unwrap();
            }
            let rights = ["--management-token-file"];
            let file = home.path("management").display().to_string();
            for command in ["issue", "audit", "rotate", "revoke"] {
                let arguments =
                    [&["token", command, "dev1.dyn.example.com", "-v"], &rights[..], &[&file]]
                        .concat();
                let ran = home.run(&arguments);
                let all = all(&home, &ran);
                let what = format!("{command}, {form_name}, {is_new}");
                assert!(!shows(&all, secret, &form), "{what}: {all}");
                assert!(ran.code != 0 || command == "revoke", "{what}: {all}");
            }
            assert_eq!(*made.lock().unwrap(), is_new, "{form_name}");
        }
    }
}

#[test]
fn what_a_source_prints_of_a_secret_is_found_nowhere() {
    for (form_name, form) in forms(SECRET) {
        let sent = form.clone();
        let web = server(move |_| reply("200 OK", "Content-Type: text/plain\r\n", &sent));
        let sent = form.clone();
        let refusing = server(move |_| reply("403 No", "Content-Type: text/plain\r\n", &sent));
        let sources = [
            "command = [\"/bin/cat\", \"printed\"]".to_owned(),
            "command = [\"/bin/sh\", \"-c\", \"cat printed >&2; exit 3\"]".to_owned(),
            "file = \"printed\"".to_owned(),
            format!("web = \"http://{web}/\""),
            format!("web = \"http://{refusing}/\""),
        ];
        for source in sources {
            let text = config(refusing, PROTOCOLS[0].1, PROTOCOLS[0].2);
            let text = text.replace("static = \"198.51.100.7\"", &source);
            let home = Home::new("");
            let printed = home.path("printed").display().to_string();
            home.configure(
                &text
                    .replace("\"printed\"", &format!("\"{printed}\""))
                    .replace("cat printed", &format!("cat {printed}")),
            );
            home.secret("secret", SECRET);
            std::fs::write(home.path("printed"), &form).unwrap();
            let mut seen = String::new();
            for arguments in [&["--once", "-v", "-v"][..], &["address"], &["check"]] {
                let ran = home.run(arguments);
                seen += &all(&home, &ran);
            }
            assert!(!shows(&seen, SECRET, &form), "{form_name}, {source}: {seen}");
        }
    }
}

#[test]
fn a_secret_in_any_place_of_an_answer_is_found_at_no_level() {
    for (at, (name, provider, host)) in PROTOCOLS.into_iter().enumerate() {
        for (turn, form) in in_headers(SECRET).into_iter().enumerate() {
            let status = ["200", "302", "400", "401", "403", "503"][(at + turn) % 6];
            for (kind, answer) in
                repeated_everywhere(turn + at, status, &form).into_iter().enumerate()
            {
                let address = server(move |_| answer.clone());
                let home = Home::new(&config(address, provider, host));
                home.secret("secret", SECRET);
                let level = LEVELS[(at + turn + kind) % LEVELS.len()];
                let ran = home.run(&[&["--once"], level].concat());
                let all = all(&home, &ran);
                let what = format!("{name}, {form}, {status}, {kind}, {level:?}");
                assert!(!shows(&all, SECRET, form.as_bytes()), "{what}: {all}");
            }
        }
    }
}

#[test]
fn a_secret_without_letters_is_found_in_no_encoding() {
    const FAINT: &str = "%+/:&=?~!#7";
    let login = |login: &str| STANDARD.encode(format!("{login}:{FAINT}"));
    let percent: Vec<String> = FAINT.bytes().map(|b| format!("%{b:02X}")).collect();
    let percent = percent.concat().replace("%7E", "~").replace("%37", "7").replace("%3A", ":");
    for (name, provider, host) in PROTOCOLS {
        if name == "powerdns-on-rails" {
            continue;
        }
        let forms = [FAINT.to_owned(), percent.clone(), STANDARD.encode(FAINT), login("me")];
        for (turn, form) in forms.into_iter().enumerate() {
            for (kind, answer) in repeated_everywhere(turn, "503", &form).into_iter().enumerate() {
                let address = server(move |_| answer.clone());
                let home = Home::new(&config(address, provider, host));
                home.secret("secret", FAINT);
                let ran = home.run(&[&["--once"], LEVELS[kind + 1]].concat());
                let all = all(&home, &ran);
                // Only who sends the login with it can know how both are written together.
                if name == "dyndns2" || form != login("me") {
                    let form = form.trim_end_matches('=');
                    assert!(!all.contains(form), "{name}, {form}, {kind}: {all}");
                }
            }
        }
    }
}

/// What `PowerDNS` on Rails takes from answers: the session of an update, the token that it makes.
#[test]
fn what_an_answer_of_rails_brings_is_found_nowhere_after_it() {
    let config_of = |address| {
        let host = format!("{}zone = \"dyn.example.com\"\n", PROTOCOLS[4].2);
        config(address, PROTOCOLS[4].1, &host)
    };
    for (turn, form) in in_headers(NEW).into_iter().enumerate() {
        for (kind, answer) in repeated_everywhere(turn, "403", &form).into_iter().enumerate() {
            let address = server(move |request| {
                let redirect =
                    format!("Location: /domains/7\r\nSet-Cookie: _x_session={NEW}; path=/\r\n");
                let made = format!("<token><auth_token>{NEW}</auth_token></token>");
                match request.lines().next().unwrap_or_default() {
                    line if line.contains(SECRET) => reply("302 Found", &redirect, b""),
                    line if line.starts_with("POST /auth_token.xml") => {
                        reply("200 OK", "Content-Type: application/xml\r\n", made.as_bytes())
                    }
                    _ => answer.clone(),
                }
            });
            let home = Home::new(&config_of(address));
            home.secret("secret", SECRET);
            let level = LEVELS[(turn + kind) % LEVELS.len()];
            let ran = home.run(&[&["--once"], level].concat());
            let seen = all(&home, &ran);
            assert!(!shows(&seen, NEW, form.as_bytes()), "{form}, {kind}, {level:?}: {seen}");
            home.secret("password", "p4ssw0rd-of-minter");
            std::fs::remove_file(home.path("secret")).unwrap();
            let file = home.path("password").display().to_string();
            let user = ["--management-user", "minter", "--management-password-file", &file];
            let ran =
                home.run(&[&["token", "issue", "dev1.dyn.example.com"], &user[..], level].concat());
            let seen = all(&home, &ran);
            assert!(ran.code != 0 && home.read("secret.new").contains(NEW), "{ran:#?}");
            assert!(!shows(&seen, NEW, form.as_bytes()), "{form}, {kind}, {level:?}: {seen}");
        }
    }
}
