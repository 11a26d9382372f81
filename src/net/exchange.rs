//! DNS exchanges: a message to a server over UDP, and over TCP where UDP is not enough.
//!
//! Each try has a port and an id of its own, so that a forged answer has to guess both (RFC 5452). The
//! caller decides what counts as the answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::peer::{self, Heard, Ignored};
use super::{interface, told};
use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::outcome::{Fault, Silence};
use crate::core::wire::dns::{self, Message, direct_query, query};

/// How often a server is asked by UDP before it counts as silent.
const TRIES: u32 = 3;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The largest message that goes by UDP: every path carries it whole (RFC 9715, section 3.2).
const MOST_UDP: usize = 1232;

/// The longest answer over TCP that is read.
const MOST_TCP: usize = 16 * 1024;

/// A server at one of its addresses.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// Its name in errors.
    pub title: &'a str,
    /// Its address and port.
    pub address: SocketAddr,
    /// The only interface by which it may be asked; `None` is any.
    pub bind: Option<InterfaceName>,
}

/// A caller's verdict on a datagram that is the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Read<T> {
    /// The content of the answer.
    Answer(T),
    /// The answer is cut off, or not to be trusted over UDP: the question is asked again over TCP.
    AgainByTcp,
    /// The same, but this content is used where no connection over TCP is possible.
    Doubtful(T),
}

/// The silence when nothing can have reached the server.
pub fn unreachable(detail: String) -> Silence {
    Silence::new(Fault::Unreachable, detail)
}

/// The silence when the server may have received the question.
fn lost(detail: String) -> Silence {
    Silence::new(Fault::Lost, detail)
}

/// One kind of question, and how its answers are recognized.
pub trait Question {
    /// The part of a message that is kept to recognize its answer.
    type Kept;
    /// The content of an answer.
    type Told;

    /// The message with that id, and the part of it that is kept.
    fn message(&self, id: u16) -> (Vec<u8>, Self::Kept);

    /// The content of `bytes`, if they answer the message with that id; `by_tcp` is the last try.
    fn read_answer(
        &self,
        bytes: &[u8],
        id: u16,
        kept: &Self::Kept,
        by_tcp: bool,
    ) -> Result<Read<Self::Told>, Ignored>;
}

/// A question whose answer is recognized by its id and the question alone.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    question: &'a dns::Question,
    /// The function that writes the question with an id.
    written: fn(u16, &dns::Question) -> Vec<u8>,
}

impl<'a> Plain<'a> {
    /// An ordinary question.
    pub fn of(question: &'a dns::Question) -> Self {
        Self { question, written: query }
    }

    /// A question for a server's own data, not for the data in its cache.
    pub fn direct(question: &'a dns::Question) -> Self {
        Self { question, written: direct_query }
    }
}

/// Asks a server at each of its `addresses` by UDP, and then at each over TCP, until one answers.
///
/// Of several silences it returns that of a server which may have received the question.
pub async fn ask_at_each<Q: Question>(
    title: &str,
    addresses: &[SocketAddr],
    bind: Option<InterfaceName>,
    question: &Q,
) -> Result<Q::Told, Silence> {
    let mut worst: Option<Silence> = None;
    for by_tcp in [false, true] {
        for &address in addresses {
            let peer = Peer { title, address, bind };
            let asked =
                if by_tcp { peer.ask_by_tcp(question).await } else { peer.ask(question).await };
            match asked {
                Err(silence) if matches!(silence.fault, Fault::Lost | Fault::Unreachable) => {
                    worst = match worst {
                        Some(worst) if worst.fault == Fault::Lost => Some(worst),
                        Some(worst) if silence.fault == Fault::Unreachable => Some(worst),
                        _ => Some(silence),
                    };
                }
                answered => return answered,
            }
        }
    }
    Err(worst.unwrap_or_else(|| unreachable(format!("{title} is nowhere"))))
}

impl Peer<'_> {
    /// Asks by UDP, several times if need be, and over TCP for an answer that needs it.
    pub async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Told, Silence> {
        let mut ignored = None;
        for number in 0..TRIES {
            let id = new_id()?;
            let (message, kept) = question.message(id);
            if message.len() > MOST_UDP {
                return self.ask_by_tcp(question).await;
            }
            told::dns(self.title, &message, false);
            let read = |bytes: &[u8]| {
                told::dns(self.title, bytes, true);
                question.read_answer(bytes, id, &kept, false)
            };
            // The request of an earlier try may have been carried out.
            let lost = |silence: Silence| lost(silence.detail);
            let heard = self.by_udp(&message, read).await.map_err(|error| self.failure(&error));
            match heard.map_err(|silence| if number > 0 { lost(silence) } else { silence })? {
                Heard::Answer(Read::Answer(told)) => return Ok(told),
                Heard::Answer(Read::AgainByTcp) => {
                    return self.ask_by_tcp(question).await.map_err(|silence| {
                        if silence.fault == Fault::Unreachable { lost(silence) } else { silence }
                    });
                }
                Heard::Answer(Read::Doubtful(told)) => {
                    return match self.ask_by_tcp(question).await {
                        Err(Silence { fault: Fault::Unreachable, .. }) => Ok(told),
                        asked => asked,
                    };
                }
                Heard::Nothing(why) => ignored = why.or(ignored),
            }
        }
        Err(lost(peer::silence(self.title, PATIENCE * TRIES, ignored.as_ref())))
    }

    async fn by_udp<T>(
        &self,
        message: &[u8],
        read: impl Fn(&[u8]) -> Result<T, Ignored>,
    ) -> io::Result<Heard<T>> {
        let socket = interface::udp_to(self.address, self.bind).await?;
        socket.send(message).await?;
        let mut buffer = vec![0; MOST_UDP];
        peer::hear(&socket, &mut buffer, Instant::now() + PATIENCE, read).await
    }

    /// Asks over TCP alone.
    pub async fn ask_by_tcp<Q: Question>(&self, question: &Q) -> Result<Q::Told, Silence> {
        let id = new_id()?;
        let (message, kept) = question.message(id);
        // Boxed, because its code would be repeated for each kind of question.
        let bytes = Box::pin(self.by_tcp(&message)).await?;
        let does = match question.read_answer(&bytes, id, &kept, true) {
            Ok(Read::Answer(told) | Read::Doubtful(told)) => return Ok(told),
            Ok(Read::AgainByTcp) => "sends an incomplete answer, also over TCP".to_owned(),
            Err(Ignored(what)) => format!("{what} over TCP"),
        };
        Err(Silence::new(Fault::Unintelligible, format!("{} {does}", self.title)))
    }

    /// The first message that the server sends back.
    async fn by_tcp(&self, message: &[u8]) -> Result<Vec<u8>, Silence> {
        told::dns(self.title, message, false);
        let connected = timeout(PATIENCE, interface::tcp_to(self.address, self.bind)).await;
        let mut stream = match connected {
            Ok(stream) => stream.map_err(|error| self.failure(&error))?,
            Err(_) => return Err(unreachable(self.silent_over_tcp())),
        };
        let exchange = async {
            // Length and message in one piece: some servers read only the first (RFC 7766, section 8).
            let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
            stream.write_all(&[&length[..], message].concat()).await?;
            let length = usize::from(stream.read_u16().await?);
            let mut bytes = vec![0; length.min(MOST_TCP)];
            stream.read_exact(&mut bytes).await?;
            io::Result::Ok(bytes)
        };
        let bytes = match timeout(PATIENCE * TRIES, exchange).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(lost(self.failure(&error).detail)),
            Err(_) => return Err(lost(self.silent_over_tcp())),
        };
        told::dns(self.title, &bytes, true);
        Ok(bytes)
    }

    fn failure(&self, error: &io::Error) -> Silence {
        unreachable(peer::failure(self.title, Family::of(self.address.ip()), error))
    }

    fn silent_over_tcp(&self) -> String {
        peer::silence(self.title, PATIENCE, None) + " over TCP"
    }
}

fn new_id() -> Result<u16, Silence> {
    peer::random().map(u16::from_be_bytes).map_err(unreachable)
}

impl Question for Plain<'_> {
    type Kept = ();
    type Told = Message;

    fn message(&self, id: u16) -> (Vec<u8>, ()) {
        ((self.written)(id, self.question), ())
    }

    fn read_answer(
        &self,
        bytes: &[u8],
        id: u16,
        (): &(),
        _: bool,
    ) -> Result<Read<Message>, Ignored> {
        let message = Message::parse(bytes).map_err(|_| {
            Ignored(
                "sends something that is not a \
            DNS message",
            )
        })?;
        if !message.answers(id, self.question) {
            return Err(Ignored("sends an answer to another question"));
        }
        Ok(if message.header.is_truncated { Read::AgainByTcp } else { Read::Answer(message) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::dns::{Class, Type};

    #[tokio::test]
    async fn what_a_server_that_is_gone_by_now_may_have_heard_is_lost() {
        let question = dns::Question {
            name: dns::Name::from_text("dev1.example.com").unwrap(),
            record_type: Type::A,
            class: Class::IN,
        };
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let peer = Peer { title: "ns1", address, bind: None };
        let plain = Plain::of(&question);
        let asked = peer.ask(&plain);
        let gone = async {
            server.recv_from(&mut [0; MOST_UDP]).await.unwrap();
            drop(server);
        };
        let (told, ()) = tokio::join!(asked, gone);
        assert_eq!(told.unwrap_err().fault, Fault::Lost);
        assert_eq!(peer.ask(&plain).await.unwrap_err().fault, Fault::Unreachable);
    }

    #[tokio::test]
    async fn each_address_is_asked_by_udp_and_then_over_tcp() {
        let question = dns::Question {
            name: dns::Name::from_text("dev1.example.com").unwrap(),
            record_type: Type::A,
            class: Class::IN,
        };
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = tcp.local_addr().unwrap();
        let gone = {
            let socket = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
            socket.local_addr().unwrap()
        };
        let server = async {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let length = usize::from(stream.read_u16().await.unwrap());
            let mut query = vec![0; length];
            stream.read_exact(&mut query).await.unwrap();
            query[2] |= 0x80;
            stream.write_u16(u16::try_from(length).unwrap()).await.unwrap();
            stream.write_all(&query).await.unwrap();
        };
        let plain = Plain::of(&question);
        let addresses = [gone, there];
        let (told, ()) = tokio::join!(ask_at_each("ns1", &addresses, None, &plain), server);
        assert_eq!(told.unwrap().questions, std::slice::from_ref(&question));
        let silence = ask_at_each("ns1", &[gone], None, &plain).await.unwrap_err();
        assert_eq!(silence, unreachable("ns1 refuses the connection".to_owned()));
    }
}
