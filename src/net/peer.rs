//! Servers that are asked without HTTP: finds them by name, sends requests and receives answers.
//!
//! The caller judges the answer of a server; this module makes sure that the server sent it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::told;
use crate::core::address::Family;
use crate::core::server::Server;
use crate::os::reason::{of_look_up, reason};

/// How long the system may take to look a name up.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Why a datagram is no answer, in words that follow the server's name.
pub struct Ignored(pub &'static str);

/// The result of waiting for a server's answer.
pub enum Heard<T> {
    /// The answer.
    Answer(T),
    /// No answer in time; the last datagram, if there was any, was ignored for this reason.
    Nothing(Option<Ignored>),
}

/// The first address of `server` in `family`; the error names it.
pub async fn locate(server: &Server, family: Family) -> Result<SocketAddr, String> {
    let found = locate_in(server, family).await?;
    found.first().copied().ok_or_else(|| format!("{server} has no {family} address"))
}

/// The addresses of `server`, those of IPv4 first; the error is that of the first family that has none.
pub async fn locate_all(server: &Server) -> Result<Vec<SocketAddr>, String> {
    let (mut addresses, mut lacking) = (Vec::new(), None);
    for family in Family::BOTH.into_iter().filter(|f| server.may_be_reached_over(*f)) {
        match locate_in(server, family).await {
            Ok(found) => addresses.extend(found),
            Err(detail) => lacking = lacking.or(Some(detail)),
        }
    }
    match lacking {
        Some(detail) if addresses.is_empty() => Err(detail),
        _ => Ok(addresses),
    }
}

/// The addresses of `server` in `family`, at least one and at most `MOST_ADDRESSES`.
async fn locate_in(server: &Server, family: Family) -> Result<Vec<SocketAddr>, String> {
    /// The most addresses to ask: each of them may be silent for as long as all tries take.
    const MOST_ADDRESSES: usize = 4;
    let (name, port) = match server {
        Server::Address(address) => return Ok(vec![*address]),
        Server::Name(name, port) => (name, *port),
    };
    let unresolved = |why: &str| format!("the name {name} does not resolve ({why})");
    let found = match timeout(LOOK_UP, lookup_host((name.as_str(), port))).await {
        Ok(found) => found.map_err(|error| unresolved(of_look_up(&reason(&error))))?,
        Err(_) => {
            let limit = humantime::format_duration(LOOK_UP);
            return Err(unresolved(&format!("no answer within {limit}")));
        }
    };
    let mut addresses = Vec::new();
    for address in found.filter(|address| Family::of(address.ip()) == family) {
        if addresses.len() < MOST_ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        Err(format!("{name} has no {family} address"))
    } else {
        Ok(addresses)
    }
}

/// The first datagram until `deadline` that `read` takes for the answer.
pub async fn hear<T>(
    socket: &UdpSocket,
    buffer: &mut [u8],
    deadline: Instant,
    read: impl Fn(&[u8]) -> Result<T, Ignored>,
) -> io::Result<Heard<T>> {
    let mut ignored = None;
    let answer = async {
        loop {
            let length = socket.recv(buffer).await?;
            match read(&buffer[..length]) {
                Ok(answer) => return Ok(answer),
                Err(why) => ignored = Some(why),
            }
        }
    };
    // The limit is around the loop, not in it: a flood of datagrams could hold us for ever.
    match timeout_at(deadline, answer).await {
        Ok(answer) => answer.map(Heard::Answer),
        Err(_) => Ok(Heard::Nothing(ignored)),
    }
}

/// Sends `request` to the server that `socket` is connected to, again after each of `waits`, until
/// `read` takes a datagram of at most `MOST` bytes for the answer.
pub async fn ask<T, const MOST: usize>(
    socket: &UdpSocket,
    request: &[u8],
    waits: &[Duration],
    read: impl Fn(&[u8]) -> Result<T, Ignored>,
) -> io::Result<Heard<T>> {
    let mut buffer = [0; MOST];
    let mut ignored = None;
    let read = |bytes: &[u8]| {
        told::datagram(socket, bytes.len(), true);
        read(bytes)
    };
    for wait in waits {
        socket.send(request).await?;
        told::datagram(socket, request.len(), false);
        match hear(socket, &mut buffer, Instant::now() + *wait, &read).await? {
            Heard::Nothing(why) => ignored = why.or(ignored),
            heard @ Heard::Answer(_) => return Ok(heard),
        }
    }
    Ok(Heard::Nothing(ignored))
}

/// The reason why `server` could not be asked over `family`, or its answer not received.
pub fn failure(server: &str, family: Family, error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => format!("{server} refuses the connection"),
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::AddrNotAvailable => {
            format!("no route to {server} over {family} ({})", reason(error))
        }
        _ => format!("{server} cannot be asked: {}", reason(error)),
    }
}

/// The words for a `server` that was silent for `patience`, or sent only ignored datagrams.
pub fn silence(server: &str, patience: Duration, ignored: Option<&Ignored>) -> String {
    let patience = humantime::format_duration(patience);
    match ignored {
        None => format!("{server} did not answer within {patience}"),
        Some(Ignored(what)) => {
            format!("{server} {what}, and nothing else within {patience}")
        }
    }
}

/// Random bytes that nobody can guess.
pub fn random<const COUNT: usize>() -> Result<[u8; COUNT], String> {
    let mut bytes = [0; COUNT];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "the system has no random numbers to ask with".to_owned())?;
    Ok(bytes)
}
