//! Causes of failed requests in words, and the fault of each: whether anything was sent.
//!
//! Reads the errors of the HTTP client's layers. After the request left, a failure counts as lost.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error as TlsError};

use crate::core::address::Family;
use crate::core::outcome::{Fault, Silence};
use crate::core::time::Timestamp;
use crate::os::clock;
use crate::os::reason::of_look_up;

/// Why a request to `server` over `via` failed.
pub(super) fn of(
    error: &reqwest::Error,
    server: &str,
    via: Option<Family>,
    connect: Duration,
    clock_is_set: bool,
) -> Silence {
    if !error.is_connect() {
        return after_connecting(error, server);
    }
    if let Some(tls) = find::<TlsError>(error) {
        let is_the_clocks = !clock_is_set && is_not_valid_yet(tls);
        let fault = if is_the_clocks { Fault::Clock } else { Fault::Tls };
        return Silence::new(fault, of_tls(tls, server));
    }
    let detail = if error.is_dns() {
        let words = innermost(error);
        format!("the name {} does not resolve ({})", without_port(server), of_look_up(&words))
    } else if error.is_timeout() {
        let limit = humantime::format_duration(connect);
        format!("could not connect to {server} within {limit}")
    } else if let Some(cause) = find::<io::Error>(error) {
        of_connecting(cause, server, via)
    } else {
        format!("could not connect to {server}: {}", innermost(error))
    };
    Silence::new(Fault::Unreachable, detail)
}

/// The first cause of an error, in that cause's own words.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn of_connecting(cause: &io::Error, server: &str, via: Option<Family>) -> String {
    use io::ErrorKind as Kind;
    if let (Kind::NotConnected, Some(family), None) = (cause.kind(), via, cause.raw_os_error()) {
        // The connector's own word for "no address is left to try".
        return format!("{} has no {family} address", without_port(server));
    }
    let over = via.map(|family| format!(" over {family}")).unwrap_or_default();
    match cause.kind() {
        Kind::ConnectionRefused => format!("{server} refuses the connection"),
        Kind::BrokenPipe
        | Kind::ConnectionAborted
        | Kind::ConnectionReset
        | Kind::UnexpectedEof => format!("{server} closed the connection at once"),
        Kind::HostUnreachable | Kind::NetworkUnreachable => {
            format!("no route to {server}{over} ({cause})")
        }
        Kind::AddrNotAvailable if via.is_some() => {
            format!("no route to {server}{over} ({cause})")
        }
        _ => format!("could not connect to {server}: {cause}"),
    }
}

fn after_connecting(error: &reqwest::Error, server: &str) -> Silence {
    if let Some(tls) = find::<TlsError>(error) {
        let detail = format!("TLS with {server} failed after the request: {tls}");
        return Silence::new(Fault::Lost, detail);
    }
    let io = find::<io::Error>(error);
    let kind = io.map(io::Error::kind);
    let badly_chunked =
        matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
    if badly_chunked || chain(error).any(is_not_http) {
        let detail = format!("the answer of {server} is not HTTP ({})", innermost(error));
        return Silence::new(Fault::Unintelligible, detail);
    }
    let detail = match (kind, error.is_body() || error.is_decode()) {
        (Some(io::ErrorKind::TimedOut), _) => format!("the connection to {server} timed out"),
        (_, true) => format!("{server} sent an incomplete answer"),
        (_, false) => format!("{server} closed the connection without an answer"),
    };
    Silence::new(Fault::Lost, detail)
}

/// Whether the client's parser refused an answer, by its words. Other errors count as a lost answer.
fn is_not_http(error: &(dyn Error + 'static)) -> bool {
    let text = error.to_string();
    text.starts_with("invalid HTTP ") || text == "message head is too large"
}

fn is_not_valid_yet(error: &TlsError) -> bool {
    use CertificateError as Wrong;
    matches!(
        error,
        TlsError::InvalidCertificate(Wrong::NotValidYet | Wrong::NotValidYetContext { .. })
    )
}

fn of_tls(error: &TlsError, server: &str) -> String {
    match error {
        TlsError::InvalidCertificate(wrong) => of_certificate(wrong, server),
        TlsError::AlertReceived(alert) => {
            format!("{server} refuses TLS with this machine ({alert:?})")
        }
        TlsError::InvalidMessage(_) => format!("{server} does not speak TLS"),
        TlsError::PeerIncompatible(why) => {
            format!("{server} offers no safe TLS version ({why:?})")
        }
        other => format!("TLS with {server} failed: {other}"),
    }
}

fn of_certificate(wrong: &CertificateError, server: &str) -> String {
    use CertificateError as Wrong;
    match wrong {
        Wrong::ExpiredContext { time, not_after } => {
            let (now, then) = (moment(*time), moment(*not_after));
            format!(
                "the certificate of {server} expired at {then}; this machine's clock shows {now}"
            )
        }
        Wrong::Expired => format!("the certificate of {server} has expired"),
        Wrong::NotValidYetContext { time, not_before } => {
            let (now, then) = (moment(*time), moment(*not_before));
            format!(
                "the certificate of {server} is not valid before {then}, and this machine's clock \
                 shows {now}; set the clock"
            )
        }
        Wrong::NotValidYet => {
            format!("the certificate of {server} is not valid yet; set this machine's clock")
        }
        Wrong::UnknownIssuer => format!(
            "the certificate of {server} is from an unknown authority; if it is your own, name its \
             certificate in `ca-file`"
        ),
        // An authority that was made again has its old name and another key.
        Wrong::BadSignature => format!(
            "the certificate of {server} was not signed by the authority it names; if it is your \
             own, renew its certificate in `ca-file`"
        ),
        Wrong::NotValidForNameContext { presented, .. } => {
            format!("the certificate of {server} is not for that name but for {}", names(presented))
        }
        Wrong::NotValidForName => format!("the certificate of {server} is not for that name"),
        Wrong::BadEncoding => format!("the certificate of {server} is damaged"),
        Wrong::Revoked => format!("the certificate of {server} was revoked by its authority"),
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => format!(
            "the certificate of {server} is not made for servers; make one with \
             `extendedKeyUsage=serverAuth`"
        ),
        #[expect(deprecated, reason = "a server's certificate may still be refused with it")]
        Wrong::UnsupportedSignatureAlgorithm
        | Wrong::UnsupportedSignatureAlgorithmContext { .. }
        | Wrong::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "the certificate of {server} is signed in a way that is not safe enough; make one with \
             SHA-256 and an RSA key of 2048 bits, or P-256"
        ),
        other => {
            let words = one_line(&other.to_string());
            match WEB_PKI.iter().find(|(word, _)| words.contains(word)) {
                Some((_, what)) => format!("the certificate of {server} {what}"),
                None => format!("the certificate of {server} is not valid: {words}"),
            }
        }
    }
}

/// The words of the certificate checks, and their meaning.
const WEB_PKI: [(&str, &str); 4] = [
    (
        "CaUsedAsEndEntity",
        "is an authority's, as `openssl req -x509` makes it, and no server's; make one with \
         `-addext basicConstraints=critical,CA:FALSE`, and name that in `ca-file`",
    ),
    (
        "EndEntityUsedAsCa",
        "was signed by a certificate that is not an authority's; make that one with \
            `basicConstraints=critical,CA:TRUE`",
    ),
    (
        "UnsupportedCertVersion",
        "is of an old form; make one of X.509 version 3, with `subjectAltName`",
    ),
    ("NameConstraintViolation", "is for a name that its authority may not sign for"),
];

/// The names in a certificate, as people write them; rustls passes them on in debug form.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 4;
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        one_line(inner.unwrap_or(name).trim_matches('"'))
    };
    let shown: Vec<String> = presented.iter().take(SHOWN).map(bare).collect();
    match presented.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", shown.join(", "), count - SHOWN),
        _ => shown.join(", "),
    }
}

/// The text on one line, cut off: the server is not trusted yet, so its words must not shape the log.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn moment(time: UnixTime) -> String {
    clock::rfc3339_seconds(Timestamp::from_secs(time.as_secs())).to_string()
}

fn without_port(server: &str) -> &str {
    match server.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => server,
    }
}

/// The innermost error of a type; an outer error of that type has lost the kind.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

/// The error and its causes, with those that an `io::Error` wraps, which its `source` skips.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(wrapper) => wrapper.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_certificates_are_written_as_people_do() {
        let presented = ["DnsName(\"a.example\")", "IpAddress(192.0.2.1)"].map(str::to_owned);
        assert_eq!(names(&presented), "a.example, 192.0.2.1");
        let many: Vec<String> = (0..9).map(|n| format!("DnsName(\"{n}\x1b.example\")")).collect();
        assert_eq!(names(&many), "0.example, 1.example, 2.example, 3.example and 5 more");
        assert_eq!(names(&[]), "none");
    }

    #[test]
    fn a_server_is_named_without_its_port() {
        assert_eq!(without_port("[::1]:8080"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("dns.example"), "dns.example");
    }

    #[test]
    fn wrapped_causes_are_found() {
        let tls = TlsError::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(matches!(find(&wrapped), Some(TlsError::InvalidCertificate(_))));
    }
}
