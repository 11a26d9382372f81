//! dyndns2, the protocol that dyn.com published and most services took over.
//!
//! An answer has one word a line, in the order of the hosts. Words match exactly; services differ
//! in parameters, which the provider table holds. Pure; the round sends and settles.

use std::net::IpAddr;
use std::time::Duration;

use super::{
    Answer, Authorization, Credential, HttpRequest, Verdict, query_value, server_fault, too_many,
};
use crate::core::address::{Family, PerFamily};
use crate::core::outcome::{Fault, Outcome, Rejection, words};
use crate::core::plan::{Update, Wish};
use crate::core::provider::Provider;

/// The request that asks `provider` to fulfil `updates`, whose wishes must be equal.
///
/// A family that is left alone is named only where the provider has a word for it. Where leaving
/// a family out would publish the address the request comes from, the connection uses the family
/// that is stated, so that no unseen address is published. To remove a record, the request leaves
/// its family out and states the other one; the plan makes sure that the other one is stated, and
/// that the provider deletes then.
pub fn request(provider: &Provider, updates: &[Update], credential: &Credential) -> HttpRequest {
    let mut url = provider.update_url.as_deref().unwrap_or_default().to_owned();
    let mut separator = if url.contains('?') { '&' } else { '?' };
    let mut add = |parameter: &str| {
        url.push(separator);
        url.push_str(parameter);
        separator = '&';
    };
    if let Some(query) = &provider.query {
        add(query);
    }
    let names: Vec<&str> = updates.iter().map(|update| update.host.as_str()).collect();
    add(&format!("hostname={}", query_value(&names.join(","))));
    let wishes = &updates[0].wishes;
    let values = wishes.map(|_, wish| match wish {
        Wish::Leave => provider.leave.as_deref().map(str::to_owned),
        Wish::Remove => None,
        Wish::Set(addresses) => Some(addresses.to_string()),
    });
    let parameters = &provider.parameters;
    if parameters.v4 == parameters.v6 {
        let values: Vec<&str> =
            [&values.v4, &values.v6].into_iter().flatten().map(|v| &**v).collect();
        add(&format!("{}={}", parameters.v4, query_value(&values.join(","))));
    } else {
        for (family, value) in values.iter() {
            if let Some(value) = value {
                add(&format!("{}={}", parameters[family], query_value(value)));
            }
        }
    }
    let via = provider.via(values.map(|_, value| value.is_some()));
    let authorization = Some(Authorization::Basic(credential.clone()));
    HttpRequest { via, ..HttpRequest::get(url, authorization) }
}

/// What one word means for one host.
enum Meaning {
    Outcome(Outcome),
    /// The server refuses the number of hosts.
    TooManyHosts,
    Unknown,
}

/// What `answer` to `updates` means.
///
/// A line belongs to the host at the same index. A single word about the account or the server counts
/// for all; a single refusal of the name, with several named, means that the server takes no lists.
pub fn verdict(answer: &Answer, updates: &[Update]) -> Verdict {
    let count = updates.len();
    let wishes = &updates[0].wishes;
    let mut said = answer.summary();
    let text = answer.text().unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if answer.is_page() || answer.text().is_none() || !knows_words(answer.status, &lines, wishes) {
        return Verdict::All(without_words(answer, said));
    }
    if let Some(stranger) = lines.iter().find_map(|line| stranger(line, wishes)) {
        said.push_str(&format!(": it confirms {stranger}, {}", words::NOT_SENT));
    }
    if let ([line], 2..) = (&lines[..], count) {
        return one_line_for_many(line, &said, updates);
    }
    let unintelligible = || Outcome::deferred(Fault::Unintelligible, said.clone());
    if count == 1 {
        // Some servers answer a line for each family: the worst of them counts.
        let outcomes = lines.iter().map(|line| match meaning(line, &said, wishes) {
            Meaning::Outcome(outcome) => outcome,
            Meaning::TooManyHosts => Outcome::rejected(Rejection::Request, said.clone()),
            Meaning::Unknown => unintelligible(),
        });
        let worst = outcomes.max_by_key(severity);
        return Verdict::All(worst.unwrap_or_else(unintelligible));
    }
    if lines.len() > count {
        return Verdict::All(unintelligible());
    }
    let each =
        (0..count).map(|place| match lines.get(place).map(|line| meaning(line, &said, wishes)) {
            Some(Meaning::Outcome(outcome)) => outcome,
            Some(Meaning::TooManyHosts | Meaning::Unknown) => unintelligible(),
            None => {
                Outcome::deferred(Fault::Unintelligible, format!("no line for this host in {said}"))
            }
        });
    Verdict::Each(each.collect())
}

/// Whether an answer with this status may hold words: several services send refusals with a 4xx,
/// but none confirms with one.
fn knows_words(status: u16, lines: &[&str], wishes: &PerFamily<Wish>) -> bool {
    let confirms = |line: &&str| matches!(word(line), "good" | "nochg");
    match status {
        200 => true,
        400..=499 => {
            !lines.is_empty()
                && !lines.iter().any(confirms)
                && lines.iter().all(|line| !matches!(meaning(line, "", wishes), Meaning::Unknown))
        }
        _ => false,
    }
}

/// What an answer without words means.
fn without_words(answer: &Answer, said: String) -> Outcome {
    match answer.status {
        429 => too_many(answer.retry_after.or(Some(Duration::from_secs(5 * 60))), said),
        500..=599 => server_fault(answer, said),
        // Asking for a credential is HTTP's own form of refusing one (RFC 9110, section 15.5.2).
        401 if answer.challenges && !answer.is_page() => {
            Outcome::rejected(Rejection::Credential, said)
        }
        _ => Outcome::deferred(Fault::Unintelligible, said),
    }
}

/// The beginning of the detail when several hosts got only one line.
const ONE_LINE: &str = "one line for";

/// Whether a verdict about several hosts is about the first one only: lists are no use there.
pub fn speaks_of_the_first_alone(verdict: &Verdict) -> bool {
    let is_left = |outcome: &Outcome| match outcome {
        Outcome::Deferred(deferral) => deferral.detail.starts_with(ONE_LINE),
        Outcome::Rejected(_) | Outcome::Unchanged | Outcome::Updated => false,
    };
    match verdict {
        Verdict::Each(outcomes) => outcomes.get(1..).is_some_and(|rest| rest.iter().any(is_left)),
        Verdict::All(_) | Verdict::NoLists(_) => false,
    }
}

/// The verdict of one line that answers for several hosts.
fn one_line_for_many(line: &str, said: &str, updates: &[Update]) -> Verdict {
    let count = updates.len();
    let unintelligible =
        || Outcome::deferred(Fault::Unintelligible, format!("{ONE_LINE} {count} hosts: {said}"));
    match (word(line), meaning(line, said, &updates[0].wishes)) {
        (_, Meaning::TooManyHosts) | ("notfqdn" | "nohost" | "!yours", _) => {
            Verdict::NoLists(said.to_owned())
        }
        // The line is about the first host only.
        ("good" | "nochg" | "!active", Meaning::Outcome(outcome)) => {
            let rest = (1..count).map(|_| unintelligible());
            Verdict::Each(std::iter::once(outcome).chain(rest).collect())
        }
        (_, Meaning::Outcome(outcome)) => Verdict::All(outcome),
        (_, Meaning::Unknown) => Verdict::All(unintelligible()),
    }
}

/// The first word of a line; what follows `good` and `nochg` is the address.
fn word(line: &str) -> &str {
    line.split_ascii_whitespace().next().unwrap_or_default()
}

/// What a line means.
///
/// | word                                    | meaning                      |
/// |-----------------------------------------|------------------------------|
/// | `good`                                  | updated                      |
/// | `nochg`                                 | unchanged                    |
/// | `badauth`                               | rejected: credential         |
/// | `!donator`                              | rejected: feature            |
/// | `notfqdn`, `nohost`, `!yours`, `!active`| rejected: host               |
/// | `numhost`                               | too many hosts               |
/// | `abuse`                                 | rejected: abuse              |
/// | `badagent`                              | rejected: agent              |
/// | `badrequest`                            | rejected: request            |
/// | `dnserr`, `911`, `badsys`, `servererror`| deferred: server             |
/// | `wNN`, `wNNs`, `wNNm`, `wNNh`           | deferred: throttled, so long |
///
/// After `good` and `nochg` only addresses may follow, and each must be one that was sent, of
/// either family: dyn.com's `good 127.0.0.1` means that the update was ignored, and a server that
/// returns the address of the connection has set that one.
fn meaning(line: &str, said: &str, wishes: &PerFamily<Wish>) -> Meaning {
    let rejected = |rejection| Meaning::Outcome(Outcome::rejected(rejection, said));
    match word(line) {
        "good" if confirms(line, wishes) => Meaning::Outcome(Outcome::Updated),
        "nochg" if confirms(line, wishes) => Meaning::Outcome(Outcome::Unchanged),
        "badauth" => rejected(Rejection::Credential),
        "!donator" => rejected(Rejection::Feature),
        "notfqdn" | "nohost" | "!yours" | "!active" => rejected(Rejection::Host),
        "numhost" => Meaning::TooManyHosts,
        "abuse" => rejected(Rejection::Abuse),
        "badagent" => rejected(Rejection::Agent),
        "badrequest" => rejected(Rejection::Request),
        "dnserr" | "911" | "badsys" | "servererror" => {
            Meaning::Outcome(Outcome::deferred(Fault::Server, said))
        }
        other => match wait(other) {
            Some(wait) => Meaning::Outcome(Outcome::deferred_for(Fault::Throttled, said, wait)),
            None => Meaning::Unknown,
        },
    }
}

/// Whether the first word of a line is followed by nothing, or by addresses that were sent.
fn confirms(line: &str, wishes: &PerFamily<Wish>) -> bool {
    addresses_after_word(line)
        .is_some_and(|told| told.iter().all(|address| was_sent(*address, wishes)))
}

/// The first address that a line confirms although it was not sent.
fn stranger(line: &str, wishes: &PerFamily<Wish>) -> Option<IpAddr> {
    let told = addresses_after_word(line).filter(|_| matches!(word(line), "good" | "nochg"));
    told?.into_iter().find(|address| !was_sent(*address, wishes))
}

/// The addresses after the first word of a line; `None` where something else follows it.
fn addresses_after_word(line: &str) -> Option<Vec<IpAddr>> {
    let rest = line.split(|c: char| c.is_ascii_whitespace() || c == ',').skip(1);
    rest.filter(|text| !text.is_empty()).map(|text| text.parse().ok()).collect()
}

fn was_sent(address: IpAddr, wishes: &PerFamily<Wish>) -> bool {
    match &wishes[Family::of(address)] {
        // No address of this family was sent; a reported one is still there.
        Wish::Leave | Wish::Remove => false,
        Wish::Set(set) => set.contains(address),
    }
}

/// The wait that a word such as `w30m` asks for; without a unit, seconds.
fn wait(word: &str) -> Option<Duration> {
    let rest = word.strip_prefix('w')?;
    let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = rest[..rest.len() - unit.len()].parse().ok()?;
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// The rank of an outcome among the lines for one host: the highest counts.
fn severity(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Unchanged => 0,
        Outcome::Updated => 1,
        Outcome::Deferred(_) => 2,
        Outcome::Rejected(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::Addresses;
    use crate::core::protocol::manners::{Omit, Protocol};
    use crate::core::secret::Secret;

    fn wish(text: &str) -> Wish {
        Wish::Set(Addresses::from(text.parse::<std::net::IpAddr>().unwrap()))
    }

    fn provider() -> Provider {
        let mut provider = Protocol::Dyndns2.defaults("p".into());
        provider.update_url = Some("https://p.example/nic/update".into());
        provider
    }

    #[track_caller]
    fn check_url(provider: &Provider, v4: &Wish, v6: &Wish, query: &str, via: Option<Family>) {
        let update = |host: &str| Update {
            host: host.parse().unwrap(),
            wishes: PerFamily { v4: v4.clone(), v6: v6.clone() },
        };
        let credential = Credential { login: "u".into(), secret: Secret::new("p") };
        let request = request(provider, &[update("a.example")], &credential);
        assert_eq!(request.url.expose(), format!("https://p.example/nic/update?{query}"));
        assert_eq!(request.via, via);
    }

    const V4: &str = "198.18.0.1";
    const V6: &str = "2a00::1";

    #[test]
    fn one_parameter_for_both_families_is_a_comma_list() {
        let query = "hostname=a.example&myip=198.18.0.1,2a00::1";
        check_url(&provider(), &wish(V4), &wish(V6), query, None);
        check_url(&provider(), &wish(V4), &Wish::Leave, "hostname=a.example&myip=198.18.0.1", None);
    }

    #[test]
    fn a_family_that_is_left_alone_is_said_so_where_there_is_a_word_for_it() {
        let mut provider = provider();
        provider.parameters.v6 = "myipv6".into();
        provider.leave = Some("no".into());
        provider.query = Some("system=dyndns".into());
        let query = "system=dyndns&hostname=a.example&myip=198.18.0.1&myipv6=no";
        check_url(&provider, &wish(V4), &Wish::Leave, query, None);
    }

    #[test]
    fn a_record_is_removed_by_leaving_its_family_out() {
        let mut provider = provider();
        provider.omit = Omit::Delete;
        let query = "hostname=a.example&myip=198.18.0.1";
        check_url(&provider, &wish(V4), &Wish::Remove, query, None);
        provider.parameters.v6 = "myipv6".into();
        provider.leave = Some("no".into());
        check_url(&provider, &wish(V4), &Wish::Remove, query, None);
    }

    #[test]
    fn a_removal_is_not_confirmed_by_an_answer_that_tells_of_an_address() {
        let wishes = PerFamily { v4: wish(V4), v6: Wish::Remove };
        for (line, expect) in [
            ("good", true),
            ("good 198.18.0.1", true),
            ("good 198.18.0.1,2a00::1", false),
            ("nochg 2a00::1", false),
        ] {
            assert_eq!(confirms(line, &wishes), expect, "{line}");
        }
    }

    #[test]
    fn a_provider_that_takes_the_callers_address_is_called_by_the_stated_family() {
        let mut provider = provider();
        provider.omit = Omit::Caller;
        let query = "hostname=a.example&myip=2a00::1";
        check_url(&provider, &Wish::Leave, &wish(V6), query, Some(Family::V6));
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    fn updates(count: usize) -> Vec<Update> {
        let wishes = PerFamily { v4: wish(V4), v6: Wish::Leave };
        let update =
            |n| Update { host: format!("h{n}.example").parse().unwrap(), wishes: wishes.clone() };
        (0..count).map(update).collect()
    }

    fn short(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Updated => "updated".into(),
            Outcome::Unchanged => "unchanged".into(),
            Outcome::Deferred(deferral) => deferral.fault.word().into(),
            Outcome::Rejected(refusal) => refusal.rejection.word().into(),
        }
    }

    #[track_caller]
    fn check(status: u16, body: &str, count: usize, expect: &str) {
        let words = match verdict(&answer(status, body), &updates(count)) {
            Verdict::All(outcome) => format!("all {}", short(&outcome)),
            Verdict::Each(each) => each.iter().map(short).collect::<Vec<_>>().join(" "),
            Verdict::NoLists(_) => "no lists".into(),
        };
        assert_eq!(words, expect, "{status} {body:?}");
    }

    #[test]
    fn every_word_has_its_meaning() {
        for (body, expect) in [
            ("good 198.18.0.1", "updated"),
            ("good\n", "updated"),
            ("nochg 198.18.0.1", "unchanged"),
            ("badauth", "credential"),
            ("!donator", "feature"),
            ("notfqdn", "host"),
            ("nohost", "host"),
            ("!yours", "host"),
            ("numhost", "request"),
            ("abuse", "abuse"),
            ("badagent", "agent"),
            ("dnserr", "server-fault"),
            ("911", "server-fault"),
            ("servererror", "server-fault"),
            ("w30m", "throttled"),
        ] {
            check(200, body, 1, &format!("all {expect}"));
        }
    }

    #[test]
    fn words_match_exactly() {
        for body in [
            "",
            "goodbye",
            "Good",
            "not good",
            "OK",
            "wait",
            "w",
            "w5x",
            "good,x",
            "good night",
            "good 9.9.9.9",
            "good 127.0.0.1",
            "nochg lots of words",
            "<html>good",
        ] {
            check(200, body, 1, "all unintelligible");
        }
    }

    #[test]
    fn a_wait_is_as_long_as_it_says() {
        assert_eq!(wait("w30m"), Some(Duration::from_secs(1800)));
        assert_eq!(wait("w2h"), Some(Duration::from_secs(7200)));
        assert_eq!(wait("w45"), Some(Duration::from_secs(45)));
        assert_eq!(wait("w99999999999999999999h"), None);
    }

    #[test]
    fn lines_belong_to_hosts_by_position() {
        check(200, "good 198.18.0.1\nnohost\nnochg 198.18.0.1", 3, "updated host unchanged");
        check(200, "good\nnochg", 3, "updated unchanged unintelligible");
        check(200, "good\ngood\ngood", 2, "all unintelligible");
    }

    #[test]
    fn one_line_for_many_is_spread_only_when_it_speaks_of_all() {
        check(200, "badauth", 3, "all credential");
        check(200, "911", 2, "all server-fault");
        check(200, "good 198.18.0.1", 2, "updated unintelligible");
        check(200, "nohost", 2, "no lists");
        check(200, "notfqdn", 2, "no lists");
        check(200, "numhost", 2, "no lists");
    }

    #[test]
    fn only_the_protocols_own_form_rejects() {
        check(401, "badauth", 1, "all credential");
        check(400, "nohost", 1, "all host");
        check(401, "<html>Unauthorized</html>", 1, "all unintelligible");
        check(403, "Forbidden", 1, "all unintelligible");
        check(404, "", 1, "all unintelligible");
        check(500, "badauth", 1, "all server-fault");
        check(404, "good", 1, "all unintelligible");
        let challenged = Answer { challenges: true, ..answer(401, "") };
        assert!(matches!(verdict(&challenged, &updates(1)), Verdict::All(Outcome::Rejected(_))));
    }

    #[test]
    fn a_line_for_each_family_counts_by_its_worst() {
        let both = [Update {
            host: "h0.example".parse().unwrap(),
            wishes: PerFamily { v4: wish(V4), v6: wish(V6) },
        }];
        let told = |body| verdict(&answer(200, body), &both);
        assert_eq!(told("good 198.18.0.1\nnochg 2a00::1"), Verdict::All(Outcome::Updated));
        assert_eq!(told("nochg 198.18.0.1 2a00::1"), Verdict::All(Outcome::Unchanged));
        check(200, "good 198.18.0.1\n911", 1, "all server-fault");
    }

    #[test]
    fn an_address_that_was_not_sent_confirms_nothing_whatever_its_family() {
        let of = |v4, v6| PerFamily { v4, v6 };
        for (line, wishes, expect) in [
            ("good 127.0.0.1", of(Wish::Leave, wish(V6)), false),
            ("nochg 127.0.0.1", of(Wish::Leave, wish(V6)), false),
            ("good 2a00::1 127.0.0.1", of(Wish::Leave, wish(V6)), false),
            ("good 198.18.0.1,2a00::9", of(wish(V4), Wish::Leave), false),
            ("good 198.18.0.1 198.18.0.2", of(wish(V4), Wish::Leave), false),
            ("good ::ffff:198.18.0.1", of(wish(V4), Wish::Leave), false),
            ("good 2a00::1", of(Wish::Leave, wish(V6)), true),
            ("good 2A00:0::1", of(Wish::Leave, wish(V6)), true),
            ("good", of(Wish::Leave, wish(V6)), true),
            ("good 2a00::1", of(wish(V4), wish(V6)), true),
        ] {
            assert_eq!(confirms(line, &wishes), expect, "{line}");
        }
        let lines = "good 198.18.0.1\ngood 2a00::9";
        check(200, lines, 1, "all unintelligible");
        let Verdict::All(Outcome::Deferred(deferral)) = verdict(&answer(200, lines), &updates(1))
        else {
            panic!("it is deferred");
        };
        let detail =
            "HTTP 200 \"good 198.18.0.1 good 2a00::9\": it confirms 2a00::9, which was not sent";
        assert_eq!(deferral.detail, detail);
    }
}
