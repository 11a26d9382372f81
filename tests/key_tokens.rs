//! `homing token` for hosts at name servers: keys are made, what is printed for BIND, Knot and
//! PowerDNS works there as printed, and audits tell narrow keys from others without changing
//! anything, with dig as the witness.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use crate::support::{account, home, name_servers, sandbox};
use account::MANAGEMENT;
use home::{Home, Ran};
use name_servers::{Grant, Kind, NameServer, SECRET, ZONE, lacking};
use sandbox::Sandbox;
use serde_json::Value;

const DEV1: &str = "dev1.dyn.example.com";

/// What a zone holds beside SOA and NS; somebody has made the very name that probes speak of.
const RECORDS: &str = "www A 192.0.2.80\ndev1 TXT keep\nhoming-probe-that-cannot-be A 192.0.2.81\n";

/// A server of that kind, unless this machine lacks it.
fn server(test: &str, kind: Kind, grants: &[Grant]) -> Option<NameServer> {
    if let Some(lacking) = lacking(kind) {
        name_servers::skip(test, lacking);
        return None;
    }
    Some(NameServer::start(kind, RECORDS, grants))
}

/// A server whose only key is none of the host's.
fn with_each(test: &str, kinds: &[Kind], body: impl Fn(NameServer) + Sync) {
    thread::scope(|scope| {
        for kind in kinds {
            let other = Grant::of("other", &["www.dyn.example.com"]);
            scope.spawn(|| server(test, *kind, &[other]).into_iter().for_each(&body));
        }
    });
}

fn config(server: &NameServer) -> String {
    format!(
        "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"{}\"\n\n\
         [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
         [[host]]\nname = \"{DEV1}\"\nprovider = \"own\"\nkey-file = \"dev1.key\"\n\
         ipv4 = \"here\"\nipv6 = \"here\"\n",
        server.address()
    )
}

/// A home whose host is at `server`, with the key `dev1` of `secret`.
fn home_with_key(server: &NameServer, secret: &str) -> Home {
    let home = Home::new(&config(server));
    let key = Grant { secret: secret.to_owned(), ..Grant::of("dev1", &[]) };
    home.write("dev1.key", &key.key_file(), 0o600);
    home
}

/// Everything that a probe is about, as the server serves it.
fn seen(server: &NameServer) -> String {
    let names = [
        ZONE.to_owned(),
        DEV1.to_owned(),
        format!("www.{ZONE}"),
        format!("homing-probe-neighbour.{ZONE}"),
        format!("_acme-challenge.{DEV1}"),
    ];
    let seen = server.dig_all(&names, &["SOA", "A", "AAAA", "TXT"]);
    assert!(seen.contains("SOA") && seen.contains("192.0.2.80") && seen.contains("keep"), "{seen}");
    seen
}

/// Runs an audit, which must not change anything.
#[track_caller]
fn audit(server: &NameServer, home: &Home, code: i32) -> Ran {
    let (before, key) = (seen(server), home.read("dev1.key"));
    let ran = home.run(&["token", "audit", "-v", DEV1]);
    assert_eq!(ran.code, code, "{:?} {ran:#?}", server.kind);
    assert_eq!(seen(server), before, "{:?}", server.kind);
    assert_eq!(home.read("dev1.key"), key);
    assert!(!home.path("state").exists(), "an audit takes no notes");
    ran
}

#[track_caller]
fn expect(ran: &Ran, code: i32, words: &[&str]) {
    let all = unwrapped(&ran.out) + &unwrapped(&ran.err);
    let missing = words.iter().find(|words| !all.contains(**words));
    assert!(ran.code == code && missing.is_none(), "{missing:?} {code} {ran:#?}");
}

/// The text without the breaks of lines.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The secret in a home's key file.
fn secret_in(home: &Home, name: &str) -> String {
    let text = home.read(name);
    let (_, rest) = text.split_once("secret \"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn what_issue_prints_works_as_printed() {
    with_each("what_issue_prints_works_as_printed", &Kind::ALL, |mut server| {
        let home = Home::new(&config(&server));
        let tried = home.run(&["token", "issue", DEV1, "--dry-run"]);
        expect(&tried, 0, &["+ key dev1.dyn.example.com, which would be made in"]);
        assert!(!home.path("dev1.key").exists());

        let first = home.run(&["token", "issue", DEV1]);
        let next = format!("put this in its configuration, then run `homing token audit {DEV1}`");
        expect(&first, 75, &["the server does not know the key yet", &next]);
        let mode = fs::metadata(home.path("dev1.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let (key, secret) = (home.read("dev1.key"), secret_in(&home, "dev1.key"));
        assert_eq!(secret.len(), 44, "32 bytes");
        assert!(!format!("{first:?}").contains(&secret), "{first:?}");
        expect(&audit(&server, &home, 75), 75, &["inconclusive", "not known whether it is narrow"]);

        let second = home.run(&["token", "issue", "--all", "--print"]);
        expect(&second, 75, &["nothing to do; the key dev1.dyn.example.com is in", &secret]);
        assert_eq!(home.read("dev1.key"), key);

        server.adopt(&second.out);
        if server.kind == Kind::PowerDns {
            audit(&server, &home, 77);
        } else {
            expect(
                &audit(&server, &home, 0),
                0,
                &["1 token: 1 narrow", "other zones of the server"],
            );
            expect(&home.run(&["token", "issue", DEV1]), 0, &["nothing to do", "1 narrow"]);
        }
        expect(&home.once(), 0, &["updated"]);
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
        assert_eq!(server.dig(DEV1, "AAAA"), ["2001:db8::7"]);
        assert_eq!(home.read("dev1.key"), key);
    });
}

#[test]
fn several_hosts_share_a_key_and_one_of_them_is_a_wildcard() {
    let test = "several_hosts_share_a_key_and_one_of_them_is_a_wildcard";
    with_each(test, &[Kind::Bind, Kind::Knot], |mut server| {
        let names = format!("[\"{DEV1}\", \"*.{DEV1}\"]");
        let home = Home::new(&config(&server).replace(&format!("\"{DEV1}\""), &names));
        server.adopt(&home.run(&["token", "issue", DEV1, "--print"]).out);
        expect(&audit(&server, &home, 0), 0, &[&format!("{DEV1} +1 narrow"), "1 token: 1 narrow"]);
        expect(&home.once(), 0, &["updated"]);
        assert_eq!(server.dig(&format!("any.{DEV1}"), "A"), ["198.51.100.7"]);
    });
}

#[test]
fn a_key_that_may_do_more_is_too_powerful() {
    let test = "a_key_that_may_do_more_is_too_powerful";
    let neighbour = "may write A of homing-probe-neighbour.dyn.example.com";
    let neighbour_v6 = "may write AAAA of homing-probe-neighbour.dyn.example.com";
    let own_text = "may write TXT of dev1.dyn.example.com";
    let zone = "may write A of dyn.example.com itself";
    let below = "may write A of homing-probe-neighbour.dev1.dyn.example.com";
    let any = "may write A of *.dyn.example.com";
    let bind = |rule: &str| {
        format!(
            "{}zone \"{ZONE}\" {{ … update-policy {{ {rule} }}; }};\n",
            Grant::of("dev1", &[]).key_file()
        )
    };
    let knot = |rule: &str| {
        format!(
            "key:\n  - id: dev1\n    algorithm: hmac-sha256\n    secret: {SECRET}\nacl:\n  - id: a\n    \
             key: dev1\n    action: update\n{}zone:\n  - domain: {ZONE}\n    acl: [a]\n",
            rule.lines().fold(String::new(), |own_text, line| own_text + "    " + line + "\n")
        )
    };
    let named = format!("update-owner: name\nupdate-owner-name: [{DEV1}.]\n");
    let cases = [
        (Kind::Bind, bind("grant dev1 zonesub ANY;"), vec![neighbour, own_text, zone, below, any]),
        (Kind::Bind, bind(&format!("grant dev1 name {DEV1}. ANY;")), vec![own_text]),
        (Kind::Bind, bind(&format!("grant dev1 subdomain {DEV1}. A AAAA;")), vec![below]),
        (Kind::Bind, bind("grant dev1 zonesub A AAAA;"), vec![neighbour, zone, below, any]),
        (
            Kind::Bind,
            bind(&format!("grant dev1 name {DEV1}. A; grant dev1 zonesub AAAA;")),
            vec![neighbour_v6],
        ),
        (Kind::Knot, knot(""), vec![neighbour, own_text, zone, below, any]),
        (Kind::Knot, knot(&format!("{named}update-owner-match: equal")), vec![own_text]),
        (
            Kind::Knot,
            knot(&format!("{named}update-owner-match: sub-or-equal\nupdate-type: [A, AAAA]")),
            vec![below],
        ),
    ];
    let all = [neighbour, own_text, zone, below, any];
    let check = |(kind, block, beyond): (Kind, String, Vec<&str>)| {
        let Some(mut server) = server(test, kind, &[Grant::of("dev1", &[DEV1])]) else { return };
        // Knot's blocks are indented as they are printed.
        let indented =
            block.lines().fold("\n".to_owned(), |own_text, line| own_text + "    " + line + "\n");
        server.configure(if kind == Kind::Knot { &indented } else { &block });
        server.run();
        let home = home_with_key(&server, SECRET);
        let ran = audit(&server, &home, 77);
        let told = unwrapped(&ran.out);
        for finding in all {
            let is_told = told.contains(&format!("!! {finding} (tested)"));
            assert_eq!(is_told, beyond.contains(&finding), "{kind:?} {finding} {block}\n{told}");
        }
        assert!(told.contains(&format!("what `homing token issue {DEV1}` prints")), "{told}");
    };
    thread::scope(|scope| {
        cases.into_iter().for_each(|case| {
            scope.spawn(|| check(case));
        });
    });
    let Some(server) = server(test, Kind::PowerDns, &[Grant::of("dev1", &[])]) else { return };
    let home = home_with_key(&server, SECRET);
    let told = unwrapped(&audit(&server, &home, 77).out);
    for finding in all {
        assert!(told.contains(&format!("!! {finding} (tested)")), "{finding} {told}");
    }
    assert!(told.contains("PowerDNS binds no key to names: give the host a zone of its own"));
}

#[test]
fn a_key_that_writes_its_hosts_own_zone_is_narrow_to_it_where_nothing_is_narrower() {
    let test = "a_key_that_writes_its_hosts_own_zone_is_narrow_to_it_where_nothing_is_narrower";
    let run = |kind: Kind, code: i32, words: &[&str]| {
        let Some(mut server) = server(test, kind, &[Grant::of("dev1", &[])]) else { return };
        if kind == Kind::Bind {
            server.configure(&format!(
                "{}zone \"{ZONE}\" {{ … update-policy {{ grant dev1 zonesub ANY; }}; }};\n",
                Grant::of("dev1", &[]).key_file()
            ));
            server.run();
        }
        let home = home_with_key(&server, SECRET);
        home.configure(&config(&server).replace(DEV1, ZONE));
        let ran = home.run(&["token", "audit", "-v", ZONE]);
        expect(&ran, code, words);
    };
    let powerdns = ["narrow to the zone", "may write every record of dyn.example.com"];
    run(Kind::PowerDns, 0, &powerdns);
    run(Kind::Bind, 77, &["TOO POWERFUL", "may write TXT of dyn.example.com itself (tested)"]);
}

#[test]
fn a_server_that_takes_what_nobody_signed_is_told() {
    let test = "a_server_that_takes_what_nobody_signed_is_told";
    let grants = [Grant::of("dev1", &[DEV1])];
    let Some(mut server) = server(test, Kind::Knot, &grants) else { return };
    let home = home_with_key(&server, SECRET);
    audit(&server, &home, 0);
    server.configure(&format!(
        "\n    key:\n      - id: dev1\n        algorithm: hmac-sha256\n        secret: {SECRET}\n    \
         acl:\n      - id: own\n        key: dev1\n        action: update\n        update-type: [A, AAAA]\n        \
         update-owner: name\n        update-owner-match: equal\n        update-owner-name: [{DEV1}.]\n      \
         - id: anybody\n        address: 127.0.0.1\n        action: update\n    \
         zone:\n      - domain: {ZONE}\n        acl: [own, anybody]\n"
    ));
    server.run();
    let ran = audit(&server, &home, 77);
    expect(
        &ran,
        77,
        &["the server accepts updates to dyn.example.com from this machine without \
        any key"],
    );
}

#[test]
fn what_cannot_be_told_is_inconclusive() {
    let test = "what_cannot_be_told_is_inconclusive";
    for kind in Kind::ALL {
        let Some(mut server) = server(test, kind, &[Grant::of("dev1", &[DEV1])]) else { continue };
        let home = home_with_key(&server, &SECRET.replace('a', "b"));
        let words = match kind {
            Kind::PowerDns => "answers REFUSED without a signature: wrong key",
            Kind::Bind | Kind::Knot => "says that the key's secret is another (BADSIG)",
        };
        let fix = format!("fix: homing token issue {DEV1}");
        expect(&audit(&server, &home, 75), 75, &["inconclusive", words, &fix]);
        server.stop();
        let ran = home.run(&["token", "audit", "--json"]);
        assert_eq!(ran.code, 75, "{ran:#?}");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        let [token] = document["tokens"].as_array().unwrap().as_slice() else { panic!("{ran:?}") };
        assert_eq!(token["verdict"], "inconclusive");
        assert_eq!(token["by"], "answers");
        assert!(token["findings"][0]["text"].as_str().unwrap().contains("refuses the connection"));
        // Without a zone there is nothing to print, and no key is made for that.
        fs::remove_file(home.path("dev1.key")).unwrap();
        let issue = home.run(&["token", "issue", DEV1]);
        expect(&issue, 75, &["no key was made", "write zone = \"…\" in its [[host]]"]);
        assert!(!home.path("dev1.key").exists());
        let missing = home.run(&["token", "audit", DEV1]);
        expect(
            &missing,
            78,
            &["there is no key in", &format!("`homing token issue {DEV1}` makes")],
        );
    }
}

#[test]
fn a_key_that_may_not_do_its_job_is_told() {
    let test = "a_key_that_may_not_do_its_job_is_told";
    let grants = [Grant::of("dev1", &["www.dyn.example.com"])];
    let Some(server) = server(test, Kind::Bind, &grants) else { return };
    let home = home_with_key(&server, SECRET);
    let lacks = "may not write A of dev1.dyn.example.com, so its updates are refused";
    expect(&audit(&server, &home, 75), 75, &[lacks, &format!("fix: homing token issue {DEV1}")]);
    let issue = home.run(&["token", "issue", DEV1]);
    expect(&issue, 75, &["the server knows the key, but it may not write A", "put this in"]);
}

#[test]
fn another_host_of_the_configuration_is_tried_by_its_name() {
    let test = "another_host_of_the_configuration_is_tried_by_its_name";
    let grants = [Grant::of("dev1", &[DEV1, "dev2.dyn.example.com"]), Grant::of("dev2", &[])];
    let Some(server) = server(test, Kind::Bind, &grants) else { return };
    let home = home_with_key(&server, SECRET);
    audit(&server, &home, 0);
    home.configure(&format!(
        "{}\n[[host]]\nname = \"dev2.dyn.example.com\"\nprovider = \"own\"\nkey-file = \"dev2.key\"\n",
        config(&server)
    ));
    expect(&audit(&server, &home, 77), 77, &["may write A of dev2.dyn.example.com (tested)"]);
}

#[test]
fn a_rotation_waits_until_the_server_knows_the_next_key() {
    with_each("a_rotation_waits_until_the_server_knows_the_next_key", &Kind::ALL, |mut server| {
        let home = Home::new(&config(&server));
        server.adopt(&home.run(&["token", "issue", DEV1, "--print"]).out);
        let old = home.read("dev1.key");
        let first = home.run(&["token", "rotate", DEV1, "--print"]);
        let again = format!("then run `homing token rotate {DEV1}`");
        expect(&first, 75, &["+ key dev1.dyn.example.com-2, which waits in", &again]);
        expect(&first, 75, &["the key dev1.dyn.example.com stays in use"]);
        let waiting = home.read("dev1.key.new");
        // Neither another try nor an issue loses the key that the server may know by now.
        expect(&home.run(&["token", "rotate", DEV1]), 75, &[&again]);
        home.run(&["token", "issue", DEV1]);
        assert_eq!([home.read("dev1.key"), home.read("dev1.key.new")], [&*old, &*waiting]);
        server.adopt(&first.out);
        let code = if server.kind == Kind::PowerDns { 77 } else { 0 };
        let remove = "remove the key dev1.dyn.example.com at the server";
        expect(&home.run(&["token", "rotate", DEV1]), code, &[remove]);
        assert_eq!(home.read("dev1.key"), waiting);
        assert!(!home.path("dev1.key.new").exists());
        expect(&home.once(), 0, &["updated"]);
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
    });
}

#[test]
fn a_key_is_revoked_at_its_server_and_takes_no_limits() {
    let test = "a_key_is_revoked_at_its_server_and_takes_no_limits";
    let Some(server) = server(test, Kind::Bind, &[Grant::of("dev1", &[DEV1])]) else { return };
    let home = home_with_key(&server, SECRET);
    let ran = home.run(&["token", "revoke", DEV1]);
    expect(&ran, 0, &["grant dev1 name dev1.dyn.example.com. A AAAA;", "delete-tsig-key dev1"]);
    assert!(home.path("dev1.key").exists());
    for option in [["--max-age", "9d"], ["--max-unused", "9d"], ["--allow-subnet", "any"]] {
        let ran = home.run(&["token", "issue", DEV1, option[0], option[1]]);
        expect(&ran, 64, &[option[0], "has no effect on the key of a name server"]);
    }
    expect(&home.run(&["token", "revoke", "--id", "abc"]), 64, &["tokens to issue"]);
    expect(&home.run(&["token", "audit", "--all-tokens"]), 64, &["tokens to issue"]);
}

#[test]
fn a_secret_of_its_own_file_is_made_for_the_key_that_is_named() {
    let test = "a_secret_of_its_own_file_is_made_for_the_key_that_is_named";
    let Some(mut server) = server(test, Kind::Bind, &[Grant::of("other", &[])]) else { return };
    let keyed = "key-name = \"k1\"\nsecret-file = \"k1.secret\"";
    let home = Home::new(&config(&server).replace("key-file = \"dev1.key\"", keyed));
    let ran = home.run(&["token", "issue", DEV1, "--print"]);
    expect(&ran, 75, &["+ key k1, which is made in", "does not know the key yet"]);
    let mode = fs::metadata(home.path("k1.secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    server.adopt(&ran.out);
    expect(&audit(&server, &home, 0), 0, &["1 narrow"]);
    expect(&home.once(), 0, &["updated"]);
    expect(&home.run(&["token", "rotate", DEV1]), 64, &["write key-file instead of"]);
}

#[test]
fn hosts_of_several_protocols_share_one_report() {
    let test = "hosts_of_several_protocols_share_one_report";
    let Some(server) = server(test, Kind::Bind, &[Grant::of("dev1", &[DEV1])]) else { return };
    let sandbox = Sandbox::start(account::account(sandbox::Api::Current)).unwrap();
    let home = home_with_key(&server, SECRET);
    home.configure(&format!(
        "{}\n[provider.sandbox]\nprotocol = \"desec\"\nserver = \"{}\"\n{}",
        config(&server),
        sandbox.url(),
        account::DEV1.replace("dev1", "dev2")
    ));
    let issued = account::token(&home, &["issue", "--all"]);
    expect(&issued, 0, &["done; its token is narrow", "the key dev1 is in"]);
    let ran = account::token(&home, &["audit", "--json"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    let verdicts: Vec<_> = document["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| (token["by"].as_str().unwrap(), token["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("management", "narrow"), ("answers", "narrow")]);
    assert!(!format!("{ran:?}{issued:?}").contains(MANAGEMENT));
    // What one part lacks does not keep the other from being done.
    let without = home.run(&["token", "issue", "--all"]);
    expect(&without, 64, &["there is no management token", "the key dev1 is in"]);
    let unknown = home.run(&["token", "audit", "dev3.dyn.example.com"]);
    expect(&unknown, 64, &["has no host dev3.dyn.example.com"]);
}
