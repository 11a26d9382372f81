//! The HTTP API of a real PowerDNS server, with dig as the witness.

use std::fmt::Write as _;

use crate::support::{home, name_servers};
use home::{Home, Ran};
use name_servers::{API_KEY, Kind, NameServer, ZONE, lacking, skip};

const DEV1: &str = "dev1.dyn.example.com";

/// A server with `records`, and a home with the host `name` at it.
fn set_up(test: &str, records: &str, name: &str) -> Option<(NameServer, Home)> {
    if let Some(lacking) = lacking(Kind::PowerDns) {
        skip(test, lacking);
        return None;
    }
    let server = NameServer::start(Kind::PowerDns, records, &[]);
    let home = Home::new(&config(&server, name));
    home.secret("api.key", API_KEY);
    Some((server, home))
}

fn config(server: &NameServer, name: &str) -> String {
    format!(
        "[provider.own]\nprotocol = \"powerdns\"\nserver = \"http://127.0.0.1:{}\"\n\n\
         [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
         [[host]]\nname = \"{name}\"\nprovider = \"own\"\ntoken-file = \"api.key\"\n\
         ipv4 = \"here\"\nipv6 = \"here\"\n",
        server.api_port
    )
}

#[track_caller]
fn expect(ran: &Ran, code: i32, words: &str) {
    let printed = format!("{}{}", ran.out, ran.err);
    assert!(ran.code == code && printed.contains(words), "{ran:#?}");
    assert!(!printed.contains(API_KEY), "the key is shown: {printed}");
}

#[test]
fn only_the_hosts_own_records_are_replaced() {
    let test = "only_the_hosts_own_records_are_replaced";
    let records = "www A 192.0.2.80\ndev1 TXT \"mine\"\ndev1 A 192.0.2.1\n";
    let Some((server, home)) = set_up(test, records, DEV1) else { return };
    expect(&home.once(), 0, "updated");
    assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
    assert_eq!(server.dig(DEV1, "AAAA"), ["2001:db8::7"]);
    assert_eq!(server.dig(DEV1, "TXT"), ["\"mine\""]);
    assert_eq!(server.dig("www.dyn.example.com", "A"), ["192.0.2.80"]);
    expect(&home.once(), 0, "");
    home.configure(&config(&server, DEV1).replace("ipv6 = \"here\"", "ipv6 = \"off\"\nttl = 120"));
    expect(&home.run(&["--once", "--refresh"]), 0, "updated");
    assert_eq!(server.dig(DEV1, "AAAA"), ["2001:db8::7"], "unchanged");
}

#[test]
fn a_wrong_key_parks_and_the_right_one_ends_that() {
    let test = "a_wrong_key_parks_and_the_right_one_ends_that";
    let Some((server, home)) = set_up(test, "", DEV1) else { return };
    home.secret("api.key", "wrong");
    expect(&home.once(), 77, "the credential is refused");
    home.secret("api.key", API_KEY);
    expect(&home.once(), 0, "updated");
    assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
}

#[test]
fn a_host_of_no_zone_and_a_name_with_an_alias_are_told() {
    let test = "a_host_of_no_zone_and_a_name_with_an_alias_are_told";
    let name = "alias.dyn.example.com";
    let Some((server, home)) = set_up(test, "alias CNAME ns1\n", name) else { return };
    expect(&home.once(), 77, "Conflicts with pre-existing RRset");
    home.configure(&config(&server, "dev1.example.net"));
    expect(&home.once(), 77, "no zone of this account holds dev1.example.net");
}

#[test]
fn two_hundred_hosts_are_updated_in_one_round() {
    let test = "two_hundred_hosts_are_updated_in_one_round";
    let mut records = String::new();
    for number in 0..1000 {
        writeln!(records, "name{number} A 192.0.2.80").unwrap();
    }
    let Some((server, home)) = set_up(test, &records, DEV1) else { return };
    let names: Vec<String> = (0..200).map(|number| format!("host{number}.{ZONE}")).collect();
    let list = format!("[\"{}\"]", names.join("\", \""));
    home.configure(&config(&server, DEV1).replace(&format!("\"{DEV1}\""), &list));
    expect(&home.once(), 0, "updated");
    for name in [&names[0], &names[19], &names[20], &names[199]] {
        assert_eq!(server.dig(name, "A"), ["198.51.100.7"], "{name}");
        assert_eq!(server.dig(name, "AAAA"), ["2001:db8::7"], "{name}");
    }
    assert_eq!(server.dig(&format!("name999.{ZONE}"), "A"), ["192.0.2.80"]);
}

#[test]
fn a_server_that_is_away_is_asked_again() {
    let test = "a_server_that_is_away_is_asked_again";
    let Some((mut server, home)) = set_up(test, "", DEV1) else { return };
    server.stop();
    expect(&home.once(), 75, "refuses the connection");
    server.run();
    expect(&home.run(&["--once", "--retry-rejected"]), 0, "updated");
    assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
}
