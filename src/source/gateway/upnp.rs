//! A gateway asked by UPnP: found by a search, described by XML, asked by SOAP.
//!
//! Everybody in the network hears the search, so only the gateway's own answer counts, and all that it
//! names must lie at its own address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use roxmltree::{Document, Node};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use super::{WAITS, by_it, failure};
use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::protocol::{Answer, Body, HttpRequest, Method};
use crate::core::wire::gateway::upnp::{
    ACTION, Call, Description, GROUP, PORT, Reply, location_in, searches,
};
use crate::core::wire::gateway::{Instead, Told};
use crate::net::http::{Clients, link_at};
use crate::net::interface;
use crate::net::peer::{self, Ignored};

/// How long the reading of the description and the question may take together.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The room for an answer to a search, in bytes; none is longer.
const MOST: usize = 2048;

/// The address that `gateway` reports, asked from our address `local` by the interface `bind` if given.
pub async fn ask(
    gateway: Ipv4Addr,
    local: IpAddr,
    bind: Option<InterfaceName>,
    clients: &Clients,
) -> Told {
    let location = found(gateway, local, bind).await?;
    let asking = Asking { gateway, bind, clients };
    timeout(PATIENCE, asking.ask(&location)).await.unwrap_or_else(|_| {
        Err(Instead::Refusal(peer::silence("it", PATIENCE, None) + " over HTTP"))
    })
}

/// The URL of the gateway's description, as the gateway reports it.
async fn found(
    gateway: Ipv4Addr,
    local: IpAddr,
    bind: Option<InterfaceName>,
) -> Result<String, Instead> {
    let failed = |error: io::Error| failure(&error);
    let socket = interface::udp_from(local, bind).await.map_err(failed)?;
    let mut ignored = None;
    for wait in WAITS {
        // Some gateways listen to the group alone; some networks do not carry it.
        search(&socket, SocketAddrV4::new(gateway, PORT)).await.map_err(failed)?;
        let _ = search(&socket, SocketAddrV4::new(GROUP, PORT)).await;
        let heard = location(&socket, gateway.into(), &mut ignored);
        if let Ok(location) = timeout_at(Instant::now() + wait, heard).await {
            return location.map_err(failed);
        }
    }
    Err(Instead::Refusal(peer::silence("it", WAITS.iter().sum(), ignored.as_ref())))
}

async fn search(socket: &UdpSocket, to: SocketAddrV4) -> io::Result<()> {
    for search in searches(to) {
        socket.send_to(search.as_bytes(), to).await?;
    }
    Ok(())
}

/// The URL of the first description that `gateway` itself names and that lies at its address.
async fn location(
    socket: &UdpSocket,
    gateway: IpAddr,
    ignored: &mut Option<Ignored>,
) -> io::Result<String> {
    let mut buffer = [0; MOST];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        if from.ip() != gateway {
            continue;
        }
        match location_in(&buffer[..length]).map(|location| link_at(gateway, location, "")) {
            Some(Some(location)) => return Ok(location),
            Some(None) => *ignored = Some(Ignored("names a description that is not its own")),
            None => *ignored = Some(Ignored("answers the search with something else")),
        }
    }
}

/// A gateway that is asked by HTTP.
struct Asking<'a> {
    gateway: Ipv4Addr,
    bind: Option<InterfaceName>,
    clients: &'a Clients,
}

impl Asking<'_> {
    /// Reads the description and asks the services that it names until one reports the address.
    async fn ask(&self, location: &str) -> Told {
        let answer = self.sent(HttpRequest::get(location.to_owned(), None)).await?;
        let description = match answer.status {
            200 => description(&xml(&answer)).map_err(by_it)?,
            _ => return Err(instead("describes itself", &answer)),
        };
        let nobody = "it describes no service that knows its address".to_owned();
        let mut last = Instead::Refusal(nobody);
        for (call, link) in description.calls() {
            let base = description.base.as_deref().unwrap_or(location);
            let told = match link_at(self.gateway.into(), base, link) {
                Some(url) => self.called(call, url).await,
                None => Err(Instead::Refusal("it names a control that is not its own".to_owned())),
            };
            match told {
                Ok(address) => return Ok(address),
                Err(instead) => last = instead,
            }
        }
        Err(last)
    }

    /// The answer to `call` at `url`.
    async fn called(&self, call: Call, url: String) -> Told {
        let request = HttpRequest {
            method: Method::Post,
            body: Some(Body::Xml(call.body().into())),
            headers: vec![("SOAPAction".into(), call.soap_action().into())],
            ..HttpRequest::get(url, None)
        };
        let answer = self.sent(request).await?;
        match (answer.status, reply(&xml(&answer))) {
            (200, Ok(reply)) | (_, Ok(reply @ Reply::Error(..))) => reply.address().map_err(by_it),
            (200, Err(wrong)) => Err(by_it(wrong)),
            _ => Err(instead("answers the question", &answer)),
        }
    }

    async fn sent(&self, request: HttpRequest) -> Result<Answer, Instead> {
        let request =
            HttpRequest { via: Some(Family::V4), bind: self.bind, is_private: true, ..request };
        let answer = self.clients.send(&request, None).await;
        answer.map_err(|error| Instead::Refusal(error.detail))
    }
}

fn instead(does: &str, answer: &Answer) -> Instead {
    Instead::Refusal(format!("it {does} with {}", answer.summary()))
}

/// The body as text; names of devices are sometimes not in UTF-8, and some end in zeros.
fn xml(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}

/// The document; one with a document type is refused, so that no entity takes effect.
fn document(xml: &str) -> Result<Document<'_>, Instead> {
    Document::parse(xml)
        .map_err(|error| Instead::Refusal(format!("sends XML that cannot be read ({error})")))
}

fn description(xml: &str) -> Result<Description, Instead> {
    let document = document(xml)?;
    let base = text(document.root_element(), "URLBase").filter(|base| !base.is_empty());
    let services = elements(&document, "service")
        .filter_map(|service| Some((text(service, "serviceType")?, text(service, "controlURL")?)));
    Ok(Description { base, services: services.collect() })
}

fn reply(xml: &str) -> Result<Reply, Instead> {
    let document = document(xml)?;
    let response = format!("{ACTION}Response");
    let address = elements(&document, &response)
        .find_map(|response| text(response, "NewExternalIPAddress"))
        .map(Reply::Address);
    let error = || {
        let error = elements(&document, "UPnPError").next()?;
        let of = |name| text(error, name).unwrap_or_default();
        Some(Reply::Error(of("errorCode"), of("errorDescription")))
    };
    let unknown = || Instead::Refusal("answers the question with something else".to_owned());
    address.or_else(error).ok_or_else(unknown)
}

/// The elements called `name`, whatever prefix their namespace has.
fn elements<'a>(document: &'a Document<'_>, name: &str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

/// The text of the child called `name`, trimmed; empty where the child is empty.
fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    let child = node.children().find(|child| child.tag_name().name() == name)?;
    Some(child.text().unwrap_or_default().trim().to_owned())
}

/// What gateways say in XML, for `contrib/fuzz`.
#[cfg(fuzzing)]
pub mod fuzzing {
    use crate::core::wire::gateway::upnp::{Description, Reply};

    /// The description in `xml`, if it is one.
    pub fn description(xml: &str) -> Option<Description> {
        super::description(xml).ok()
    }

    /// The answer to the question for the address in `xml`, if it is one.
    pub fn reply(xml: &str) -> Option<Reply> {
        super::reply(xml).ok()
    }
}
