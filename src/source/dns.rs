//! Resolvers that answer with the asker's address, asked directly. Asked by `outside`.
//!
//! Each try has a socket, a port and an id of its own, so that a forged answer has to guess both
//! (RFC 5452).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::peer::{self, Heard, Ignored};
use crate::core::address::Family;
use crate::core::dns::{Message, Question, Rcode, query};
use crate::core::interface::InterfaceName;
use crate::core::whoami::{Resolver, address_in};

/// How often a resolver is asked before it counts as silent.
const TRIES: u32 = 3;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer over UDP to a query without EDNS (RFC 1035, section 4.2.1).
const MOST_UDP: usize = 512;

/// The longest answer over TCP that is read; an address needs a fraction of it.
const MOST_TCP: usize = 4096;

/// The address of `family` that `resolver` tells, asked by the interface `bind` if one is given; the
/// error names it.
pub async fn told(
    resolver: &Resolver,
    family: Family,
    bind: Option<InterfaceName>,
) -> Result<IpAddr, String> {
    let title = &resolver.title;
    let server = resolver.servers[family].as_ref();
    let server = server.ok_or_else(|| format!("{title} has no {family} address"))?;
    let server = peer::locate(server, family).await?;
    let question = resolver.question(family);
    let message = Asking { title, server, family, question: &question, bind }.answer().await?;
    match message.header.rcode {
        _ if message.header.is_truncated => {
            Err(format!("{title} cuts its answer off, over TCP too"))
        }
        Rcode::NO_ERROR => address_in(&message.answers, &question, family)
            .map_err(|instead| format!("{title} {instead}")),
        rcode => Err(format!("{title} {rcode}")),
    }
}

/// A question on its way to a resolver; errors are for people and name the resolver.
struct Asking<'a> {
    title: &'a str,
    server: SocketAddr,
    family: Family,
    question: &'a Question,
    bind: Option<InterfaceName>,
}

impl Asking<'_> {
    /// Asks until there is an answer or the last try is over; over TCP when it is truncated.
    async fn answer(&self) -> Result<Message, String> {
        let mut ignored = None;
        for _ in 0..TRIES {
            let heard = self.heard_by_udp(new_id()?).await;
            match heard.map_err(|error| self.failure(&error))? {
                Heard::Answer(message) if message.header.is_truncated => {
                    return self.answer_by_tcp(new_id()?).await;
                }
                Heard::Answer(message) => return Ok(message),
                Heard::Nothing(why) => ignored = why.or(ignored),
            }
        }
        Err(peer::silence(self.title, PATIENCE * TRIES, ignored.as_ref()))
    }

    async fn heard_by_udp(&self, id: u16) -> io::Result<Heard<Message>> {
        let socket = peer::connect(self.server, self.bind).await?;
        socket.send(&query(id, self.question)).await?;
        let read = |bytes: &[u8]| answer(bytes, id, self.question);
        peer::hear(&socket, &mut [0; MOST_UDP], Instant::now() + PATIENCE, read).await
    }

    async fn answer_by_tcp(&self, id: u16) -> Result<Message, String> {
        let bytes = match timeout(PATIENCE, self.bytes_by_tcp(id)).await {
            Ok(bytes) => bytes.map_err(|error| self.failure(&error))?,
            Err(_) => return Err(peer::silence(self.title, PATIENCE, None) + " over TCP"),
        };
        answer(&bytes, id, self.question)
            .map_err(|Ignored(what)| format!("{} {what} over TCP", self.title))
    }

    async fn bytes_by_tcp(&self, id: u16) -> io::Result<Vec<u8>> {
        let mut stream = peer::connect_stream(self.server, self.bind).await?;
        let query = query(id, self.question);
        // Length and query in one piece: some servers read no second (RFC 7766, section 8).
        let length = u16::try_from(query.len()).unwrap_or_default().to_be_bytes();
        stream.write_all(&[&length[..], &query].concat()).await?;
        let length = usize::from(stream.read_u16().await?);
        let mut bytes = vec![0; length.min(MOST_TCP)];
        stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    fn failure(&self, error: &io::Error) -> String {
        peer::failure(self.title, self.family, error)
    }
}

fn new_id() -> Result<u16, String> {
    peer::random().map(u16::from_be_bytes)
}

/// The answer to `question` asked with `id`, if `bytes` are one.
fn answer(bytes: &[u8], id: u16, question: &Question) -> Result<Message, Ignored> {
    let message = Message::parse(bytes).map_err(|_| Ignored("sends what is no DNS message"))?;
    if !message.answers(id, question) {
        return Err(Ignored("sends what is no answer to the question"));
    }
    Ok(message)
}
