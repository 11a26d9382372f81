//! Web services that answer with the asker's address.
//!
//! A service is believed only if the whole answer is one address of the family asked for.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::core::address::Family;
use crate::core::address::echo::Echo;
use crate::core::address::interface::InterfaceName;
use crate::core::address::told::address_of;
use crate::core::protocol::{Answer, HttpRequest};
use crate::net::http::{self, Clients};
use crate::net::peer::silence;

/// The longest answer that is read, in bytes.
const MOST: usize = 1024;

/// How long one service may take: the round waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The address of `family` that `echo` reports, asked by the interface `bind` if given; the error names
/// its server.
pub async fn ask(
    echo: &Echo,
    ca_file: Option<&Path>,
    family: Family,
    bind: Option<InterfaceName>,
    clients: &Clients,
) -> Result<IpAddr, String> {
    let url = echo.urls[family].as_deref();
    let url = url.ok_or_else(|| format!("{} does not support {family}", echo.title))?;
    let server = http::server_of(url);
    // Its answer may repeat any secret, and no client of a source knows them: it is not logged.
    let (via, is_private) = (Some(family), true);
    let request = HttpRequest { via, bind, is_private, ..HttpRequest::get(url.to_owned(), None) };
    let sent = timeout(PATIENCE, clients.send_for(&request, ca_file, (MOST, PATIENCE * 2))).await;
    let answer = sent.map_err(|_| silence(&server, PATIENCE, None))?.map_err(|it| it.detail)?;
    address_in(&answer, family).map_err(|instead| format!("{server} {instead}"))
}

/// The address that an answer consists of; the error, what the service does instead, follows its name.
pub fn address_in(answer: &Answer, family: Family) -> Result<IpAddr, String> {
    match answer.status {
        200..=299 => {}
        status @ 300..=399 => return Err(format!("redirects to another place (HTTP {status})")),
        _ => return Err(format!("answers {}", answer.summary())),
    }
    match answer.text() {
        // Some services give an address the type of a web page; it counts if it is the whole answer.
        Some(text) if text.parse::<IpAddr>().is_ok() || !(text.is_empty() || answer.is_page()) => {
            address_of(text, family).map_err(|instead| format!("says {instead}"))
        }
        _ => Err(format!("answers {}", answer.summary())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    #[track_caller]
    fn refused(status: u16, body: &str, family: Family, expect: &str) {
        assert_eq!(address_in(&answer(status, body), family), Err(expect.to_owned()));
    }

    #[test]
    fn one_address_of_the_family_is_believed() {
        let v4 = address_in(&answer(200, " 192.0.2.1\r\n"), Family::V4);
        assert_eq!(v4, Ok("192.0.2.1".parse().unwrap()));
        let v6 = address_in(&answer(203, "2001:DB8::1"), Family::V6);
        assert_eq!(v6, Ok("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn only_success_is_believed() {
        refused(500, "192.0.2.1", Family::V4, "answers HTTP 500 \"192.0.2.1\"");
        refused(302, "192.0.2.1", Family::V4, "redirects to another place (HTTP 302)");
    }

    #[test]
    fn a_page_or_nothing_is_no_address() {
        refused(200, "<html>192.0.2.1</html>", Family::V4, "answers HTTP 200 with a web page");
        refused(200, " \n", Family::V4, "answers HTTP 200 with an empty body");
        let page = Answer { content_type: Some("text/html".into()), ..answer(200, "192.0.2.1") };
        assert!(address_in(&page, Family::V4).is_ok(), "the whole answer is an address");
        let garbage = Answer { body: vec![0xff, 0xfe], ..answer(200, "") };
        assert!(address_in(&garbage, Family::V4).is_err());
    }

    #[test]
    fn an_address_of_the_other_family_is_refused() {
        refused(200, "2001:db8::1", Family::V4, "says 2001:db8::1, which is not an IPv4 address");
        refused(200, "192.0.2.1", Family::V6, "says 192.0.2.1, which is not an IPv6 address");
        let mapped = "says ::ffff:192.0.2.1, which is an IPv4 address in IPv6 form";
        refused(200, "::ffff:192.0.2.1", Family::V6, mapped);
        refused(200, "::ffff:192.0.2.1", Family::V4, mapped);
    }

    #[test]
    fn anything_beside_the_address_is_too_much() {
        for text in ["192.0.2.1 192.0.2.2", "192.0.2.1:80", "192.0.2.1/24", "192.0.2.01", "192.0.2"]
        {
            let expect = format!("says \"{text}\", which is not an address");
            refused(200, text, Family::V4, &expect);
        }
        for text in ["[2001:db8::1]", "fe80::1%eth0", "2001:db8::1,2001:db8::2"] {
            let expect = format!("says \"{text}\", which is not an address");
            refused(200, text, Family::V6, &expect);
        }
        let lines = "says \"192.0.2.1 192.0.2.2\", which is not an address";
        refused(200, "192.0.2.1\n192.0.2.2", Family::V4, lines);
    }
}
