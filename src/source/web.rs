//! Web services that answer with the asker's address.
//!
//! A service is believed only if the whole answer is one address of the family asked for; whether
//! the address may be published is the caller's question. Asked by the round, once a family.

use std::net::IpAddr;
use std::time::Duration;

use super::Web;
use crate::core::address::Family;
use crate::core::protocol::Answer;
use crate::http::{self, Clients};

/// The longest answer that is read, in bytes.
const MOST: usize = 1024;

/// How long one service may take: the round waits for all of them in turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The address that `web.agree` services say; the error names every service and what it said.
pub async fn seen(web: &Web, family: Family, clients: &Clients) -> Result<IpAddr, String> {
    let mut said = Vec::with_capacity(web.urls.len());
    for url in &web.urls {
        let server = http::server_of(url);
        let answer = clients.read(url, family, web.ca_file.as_deref(), MOST);
        said.push(match tokio::time::timeout(PATIENCE, answer).await {
            Err(_) => {
                let patience = humantime::format_duration(PATIENCE);
                Said::Nothing(format!("{server} did not answer within {patience}"))
            }
            Ok(Err(error)) => Said::Nothing(error.detail),
            Ok(Ok(answer)) => match address_in(&answer, family) {
                Ok(address) => Said::Address(server, address),
                Err(what) => Said::Nothing(format!("{server} {what}")),
            },
        });
        if let Some(address) = agreed(&said, web.agree) {
            return Ok(address);
        }
    }
    Err(doubt(&said, web.agree, family))
}

/// What one service said.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Said {
    /// This server, an address.
    Address(String, IpAddr),
    /// No address, for this reason, which names the server.
    Nothing(String),
}

/// The address that `agree` of them said.
fn agreed(said: &[Said], agree: usize) -> Option<IpAddr> {
    let addresses = || {
        said.iter().filter_map(|said| match said {
            Said::Address(_, address) => Some(*address),
            Said::Nothing(_) => None,
        })
    };
    addresses().find(|found| addresses().filter(|other| other == found).count() >= agree)
}

/// Why none of the addresses is believed.
fn doubt(said: &[Said], agree: usize, family: Family) -> String {
    let answers = said.iter().filter(|said| matches!(said, Said::Address(..))).count();
    let each: Vec<String> = said
        .iter()
        .map(|said| match said {
            Said::Address(server, address) => format!("{server} says {address}"),
            Said::Nothing(reason) => reason.clone(),
        })
        .collect();
    let each = each.join("; ");
    match answers {
        0 => format!("no {family} address was told: {each}"),
        few if few < agree => {
            format!("{few} of the {agree} services needed told an {family} address: {each}")
        }
        _ => format!("no {agree} services agree on the {family} address: {each}"),
    }
}

/// The address that an answer consists of; the error is what the service does instead, in words
/// that follow its name.
pub fn address_in(answer: &Answer, family: Family) -> Result<IpAddr, String> {
    match answer.status {
        200..=299 => {}
        300..=399 => {
            return Err(format!("redirects to another place (HTTP {})", answer.status));
        }
        _ => return Err(format!("answers {}", answer.summary())),
    }
    match answer.text() {
        // Some services call one address a web page; what counts is that it is the whole answer.
        Some(text) if text.parse::<IpAddr>().is_ok() || !(text.is_empty() || answer.is_page()) => {
            address_of(text, family).map_err(|instead| format!("says {instead}"))
        }
        _ => Err(format!("answers {}", answer.summary())),
    }
}

/// The address of `family` that `text` is; the error says what it is instead.
pub(super) fn address_of(text: &str, family: Family) -> Result<IpAddr, String> {
    let text = text.trim();
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(format!("{}, which is no address", quoted(text)));
    };
    match address {
        IpAddr::V6(mapped) if mapped.to_ipv4_mapped().is_some() => {
            Err(format!("{mapped}, which is an IPv4 address in IPv6 form"))
        }
        _ if Family::of(address) != family => {
            Err(format!("{address}, which is no {family} address"))
        }
        _ => Ok(address),
    }
}

/// The beginning of `text` in quotes, made fit for one line of a log.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", &line[..end]),
        None => format!("\"{line}\""),
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
        refused(200, "2001:db8::1", Family::V4, "says 2001:db8::1, which is no IPv4 address");
        refused(200, "192.0.2.1", Family::V6, "says 192.0.2.1, which is no IPv6 address");
        let mapped = "says ::ffff:192.0.2.1, which is an IPv4 address in IPv6 form";
        refused(200, "::ffff:192.0.2.1", Family::V6, mapped);
        refused(200, "::ffff:192.0.2.1", Family::V4, mapped);
    }

    #[test]
    fn anything_beside_the_address_is_too_much() {
        for text in ["192.0.2.1 192.0.2.2", "192.0.2.1:80", "192.0.2.1/24", "192.0.2.01", "192.0.2"]
        {
            let expect = format!("says \"{text}\", which is no address");
            refused(200, text, Family::V4, &expect);
        }
        for text in ["[2001:db8::1]", "fe80::1%eth0", "2001:db8::1,2001:db8::2"] {
            let expect = format!("says \"{text}\", which is no address");
            refused(200, text, Family::V6, &expect);
        }
        let lines = "says \"192.0.2.1 192.0.2.2\", which is no address";
        refused(200, "192.0.2.1\n192.0.2.2", Family::V4, lines);
    }

    #[test]
    fn what_is_quoted_is_short_and_one_line() {
        assert_eq!(quoted("a\n\x1b[1mb"), "\"a [1mb\"");
        assert_eq!(quoted(&"ä".repeat(81)), format!("\"{}…\"", "ä".repeat(80)));
    }

    fn says(server: &str, address: &str) -> Said {
        Said::Address(server.into(), address.parse().unwrap())
    }

    #[test]
    fn as_many_as_asked_for_must_say_the_same() {
        let said = [says("a", "192.0.2.1"), says("b", "192.0.2.2"), says("c", "192.0.2.2")];
        assert_eq!(agreed(&said, 1), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(agreed(&said, 2), Some("192.0.2.2".parse().unwrap()));
        assert_eq!(agreed(&said, 3), None);
        assert_eq!(agreed(&[], 1), None);
    }

    #[test]
    fn disagreement_is_told_from_too_few_answers() {
        let (one, two) = (says("a", "192.0.2.1"), says("b", "192.0.2.2"));
        let silent = Said::Nothing("c refuses the connection".into());
        assert_eq!(
            doubt(&[one.clone(), two, silent.clone()], 2, Family::V4),
            "no 2 services agree on the IPv4 address: a says 192.0.2.1; b says 192.0.2.2; \
             c refuses the connection"
        );
        assert_eq!(
            doubt(&[one, silent.clone()], 2, Family::V4),
            "1 of the 2 services needed told an IPv4 address: a says 192.0.2.1; \
             c refuses the connection"
        );
        let nothing = "no IPv6 address was told: c refuses the connection";
        assert_eq!(doubt(&[silent], 1, Family::V6), nothing);
    }
}
