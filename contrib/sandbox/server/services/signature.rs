//! Whether a request is signed as AWS wants it (Signature Version 4), checked as the server does: by
//! what arrived, from AWS's description, and without a line of Homing's own signing. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use ring::{digest, hmac};
use time::{Date, Month};

use super::super::calendar::timestamp;
use super::super::http::{Request, query_value};

/// What a signature must be made with.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub id: &'a str,
    pub region: &'a str,
    pub secret: &'a str,
    pub service: &'a str,
}

/// Why a signature does not hold, with AWS's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Something is missing in the header, or not to be read.
    Incomplete(String),
    /// It is signed, but not so.
    Mismatch(String),
    /// It is not signed at all.
    Missing,
    /// The account has no such access key.
    UnknownKey,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far the moment of a signature may be from the server's.
const SKEW: Duration = Duration::from_secs(300);

/// The id of the key that `request` says it is signed with.
pub fn key_id(request: &Request) -> Option<&str> {
    let (_, credential) = request.header("Authorization")?.split_once("Credential=")?;
    credential.split('/').next()
}

/// Checks the signature of `request`, which arrived at `now`.
pub fn check(request: &Request, key: Key<'_>, now: Duration) -> Result<(), Fault> {
    let header = request.header("Authorization").ok_or(Fault::Missing)?;
    let parts = header.strip_prefix(ALGORITHM).ok_or(Fault::Missing)?;
    let parts: BTreeMap<&str, &str> =
        parts.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    let part = |name: &str| {
        let lacks =
            format!("Authorization header requires '{name}' parameter. Authorization={ALGORITHM}");
        parts.get(name).copied().ok_or(Fault::Incomplete(lacks))
    };
    let (credential, signed) = (part("Credential")?, part("SignedHeaders")?);
    let signature = part("Signature")?;
    let scope: Vec<&str> = credential.split('/').collect();
    let [id, day, region, service, end] = scope[..] else {
        let text = "Credential must have exactly 5 slash-delimited elements, e.g. \
                    keyid/date/region/service/term";
        return Err(Fault::Incomplete(text.to_owned()));
    };
    if id != key.id {
        return Err(Fault::UnknownKey);
    }
    let moment = request.header("X-Amz-Date").unwrap_or_default();
    let Some(at) = moment_of(moment) else {
        let text = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                    header.";
        return Err(Fault::Incomplete(text.to_owned()));
    };
    in_scope(&[day, region, service, end], &moment[..8], key)?;
    in_time(at, now)?;
    let names: Vec<&str> = signed.split(';').collect();
    let must = |name: &str| name == "host" || name.starts_with("x-amz-");
    let sent = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    if let Some(name) = sent.filter(|name| must(name)).find(|name| !names.contains(&name.as_str()))
    {
        let text = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
        return Err(Fault::Mismatch(text));
    }
    // Compared by digests, so that how long it takes says nothing.
    let is_same = |one: &str, other: &str| sha256(one.as_bytes()) == sha256(other.as_bytes());
    if !is_same(signature, &signature_of(request, key, moment, &names)) {
        let text = "The request signature we calculated does not match the signature you provided. \
                    Check your AWS Secret Access Key and signing method. Consult the service \
                    documentation for details.";
        return Err(Fault::Mismatch(text.to_owned()));
    }
    Ok(())
}

fn in_scope(scope: &[&str; 4], day: &str, key: Key<'_>) -> Result<(), Fault> {
    let [said_day, region, service, end] = scope;
    let mut faults = Vec::new();
    if *region != key.region {
        faults.push(format!("Credential should be scoped to a valid region, not '{region}'. "));
    }
    if *service != key.service {
        faults.push(format!("Credential should be scoped to correct service: '{}'. ", key.service));
    }
    if *end != "aws4_request" {
        faults.push(format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{end}'. "
        ));
    }
    if *said_day != day {
        faults.push(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{said_day}' != '{day}'. "
        ));
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::Mismatch(faults.concat())) }
}

fn in_time(at: Duration, now: Duration) -> Result<(), Fault> {
    let text = |moment| text_of(moment);
    if at + SKEW < now {
        let (at, limit, now) = (text(at), text(now.saturating_sub(SKEW)), text(now));
        let words = format!("Signature expired: {at} is now earlier than {limit} ({now} - 5 min.)");
        return Err(Fault::Mismatch(words));
    }
    if at > now + SKEW {
        let (at, limit, now) = (text(at), text(now + SKEW), text(now));
        let words =
            format!("Signature not yet current: {at} is still later than {limit} ({now} + 5 min.)");
        return Err(Fault::Mismatch(words));
    }
    Ok(())
}

/// The signature that a request must have whose `X-Amz-Date` is `moment`, over these headers.
pub fn signature_of(request: &Request, key: Key<'_>, moment: &str, signed: &[&str]) -> String {
    let day = moment.split('T').next().unwrap_or_default();
    let scope = format!("{day}/{}/{}/aws4_request", key.region, key.service);
    let digest = hexadecimal(&sha256(canonical(request, signed).as_bytes()));
    let text = format!("{ALGORITHM}\n{moment}\n{scope}\n{digest}");
    let start = format!("AWS4{}", key.secret).into_bytes();
    let last = [day, key.region, key.service, "aws4_request"]
        .iter()
        .fold(start, |secret, part| authenticated(&secret, part));
    hexadecimal(&authenticated(&last, &text))
}

/// The request as it is signed: method, path, query, headers, and the digest of the body.
fn canonical(request: &Request, signed: &[&str]) -> String {
    // Every service but S3 wants the path's parts encoded once more.
    let path: Vec<String> = request.path.split('/').map(query_value).collect();
    let encoded = |(name, value): &(String, String)| (query_value(name), query_value(value));
    let mut query: Vec<(String, String)> = request.query.iter().map(encoded).collect();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let header = |name: &&str| {
        let same = request.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let values: Vec<String> =
            same.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        format!("{name}:{}\n", values.join(","))
    };
    let headers: String = signed.iter().map(header).collect();
    let body = hexadecimal(&sha256(&request.body));
    let (method, path, query) = (&request.method, path.join("/"), query.join("&"));
    format!("{method}\n{path}\n{query}\n{headers}\n{}\n{body}", signed.join(";"))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn authenticated(secret: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// `20150830T123600Z`, from the time since the Unix epoch.
pub fn text_of(moment: Duration) -> String {
    let text = timestamp(Duration::from_secs(moment.as_secs())).replace(['-', ':'], "");
    format!("{}Z", text.split(['.', 'Z']).next().unwrap_or_default())
}

/// The time since the Unix epoch of `20150830T123600Z`, or `None` if it has another form.
fn moment_of(text: &str) -> Option<Duration> {
    let is_digit = |at: usize| at == 8 || at == 15 || text.as_bytes()[at].is_ascii_digit();
    if text.len() != 16 || !text.is_ascii() || !(0..16).all(is_digit) {
        return None;
    }
    if &text[8..9] != "T" || &text[15..] != "Z" {
        return None;
    }
    let part = |from: usize, to: usize| text[from..to].parse::<u8>().ok();
    let month = Month::try_from(part(4, 6)?).ok()?;
    let date = Date::from_calendar_date(text[..4].parse().ok()?, month, part(6, 8)?).ok()?;
    let at = date.with_hms(part(9, 11)?, part(11, 13)?, part(13, 15)?).ok()?;
    u64::try_from(at.assume_utc().unix_timestamp()).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::super::super::http;
    use super::*;

    /// The key of AWS's published examples.
    const KEY: Key<'_> = Key {
        id: "AKIDEXAMPLE",
        region: "us-east-1",
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        service: "iam",
    };
    /// 30 August 2015, 12:36:00.
    const AT: Duration = Duration::from_secs(1_440_938_160);
    const PUBLISHED: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

    fn example(signature: &str, moment: &str, more: &str) -> Request {
        let text = format!(
            "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\r\n\
             Host: iam.amazonaws.com\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
             X-Amz-Date: {moment}\r\n{more}\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/\
             aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature={signature}\r\n\r\n"
        );
        http::read(&mut text.as_bytes()).unwrap().unwrap()
    }

    #[track_caller]
    fn check_mismatch(request: &Request, key: Key<'_>, now: Duration, words: &str) {
        match check(request, key, now) {
            Err(Fault::Mismatch(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_published_example_holds() {
        let request = example(PUBLISHED, "20150830T123600Z", "");
        assert_eq!(check(&request, KEY, AT), Ok(()));
    }

    #[test]
    fn the_published_example_of_the_test_suite_holds() {
        let text = "GET / HTTP/1.1\r\nHost: example.amazonaws.com\r\n\
                    X-Amz-Date: 20150830T123600Z\r\n\r\n";
        let request = http::read(&mut text.as_bytes()).unwrap().unwrap();
        let key = Key { service: "service", ..KEY };
        assert_eq!(
            signature_of(&request, key, "20150830T123600Z", &["host", "x-amz-date"]),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }

    #[test]
    fn what_was_changed_on_the_way_does_not_hold() {
        let mut request = example(PUBLISHED, "20150830T123600Z", "");
        request.query[0].1 = "ListGroups".to_owned();
        check_mismatch(&request, KEY, AT, "does not match");
        let mut request = example(PUBLISHED, "20150830T123600Z", "");
        request.body = b"more".to_vec();
        check_mismatch(&request, KEY, AT, "does not match");
        let request = example(PUBLISHED, "20150830T123600Z", "X-Amz-Security-Token: t\r\n");
        check_mismatch(&request, KEY, AT, "'x-amz-security-token' must be a 'SignedHeader'");
        let other = Key { secret: "another", ..KEY };
        check_mismatch(&example(PUBLISHED, "20150830T123600Z", ""), other, AT, "does not match");
    }

    #[test]
    fn a_clock_that_is_wrong_is_named_so() {
        let request = example(PUBLISHED, "20150830T123600Z", "");
        let words = "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
                     (20150830T124101Z - 5 min.)";
        check_mismatch(&request, KEY, AT + Duration::from_secs(301), words);
        let words = "Signature not yet current: 20150830T123600Z is still later than \
                     20150830T123559Z (20150830T123059Z + 5 min.)";
        check_mismatch(&request, KEY, AT.saturating_sub(Duration::from_secs(301)), words);
    }

    #[test]
    fn another_key_region_or_service_is_refused() {
        let request = example(PUBLISHED, "20150830T123600Z", "");
        let unknown = Key { id: "AKIDANOTHER", ..KEY };
        assert_eq!(check(&request, unknown, AT), Err(Fault::UnknownKey));
        check_mismatch(&request, Key { region: "eu-west-1", ..KEY }, AT, "a valid region, not");
        check_mismatch(&request, Key { service: "route53", ..KEY }, AT, "service: 'route53'");
        let next_day = example(PUBLISHED, "20150831T000000Z", "");
        check_mismatch(&next_day, KEY, AT, "'20150830' != '20150831'");
    }

    #[test]
    fn a_request_that_is_not_signed_is_told_so() {
        let mut request = example(PUBLISHED, "20150830T123600Z", "");
        request.headers.retain(|(name, _)| name != "Authorization");
        assert_eq!(check(&request, KEY, AT), Err(Fault::Missing));
        for moment in ["", "2015-08-30T12:36", "20150830T1236000", "20151330T123600Z"] {
            let request = example(PUBLISHED, moment, "");
            assert!(matches!(check(&request, KEY, AT), Err(Fault::Incomplete(_))), "{moment}");
        }
    }
}
