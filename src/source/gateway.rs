//! The gateway of an interface, asked for its own address: by PCP, then by NAT-PMP, then by UPnP,
//! until one of them works. Used by `outside`.

mod upnp;

#[cfg(fuzzing)]
pub use self::upnp::fuzzing;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::wire::gateway::pcp::Mapping;
use crate::core::wire::gateway::{Instead, PORT, Told, natpmp};
use crate::net::http::Clients;
use crate::net::interface;
use crate::net::peer::{self, Heard, Ignored};
use crate::os::kernel;

/// The waits after each request: NAT-PMP's doubling from a quarter of a second (RFC 6886, section 3.1),
/// but 1.5 s in place of 64 s in all: a gateway is near, and there are other ways to ask it.
const WAITS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(750)];

/// The longest answer of PCP, in bytes (RFC 6887, section 7).
const MOST: usize = 1100;

/// The address of `gateway` itself, as it reports it; `None` is the gateway of the default route. It is
/// asked by the interface `bind` if given; the error says how it answered each protocol.
pub async fn ask(
    gateway: Option<Ipv4Addr>,
    bind: Option<InterfaceName>,
    clients: &Clients,
) -> Result<IpAddr, String> {
    let gateway = gateway.map_or_else(|| of_default_route(bind), Ok)?;
    let name = format!("gateway {gateway}");
    let at = SocketAddr::from((gateway, PORT));
    let unreached = |error: io::Error| peer::failure(&name, Family::V4, &error);
    let socket = interface::udp_to(at, bind).await.map_err(unreached)?;
    let local = socket.local_addr().map_err(unreached)?;
    let mut refusals = Vec::new();
    for way in ["PCP", "NAT-PMP", "UPnP"] {
        let told = match way {
            "PCP" => pcp(&socket, local).await,
            "NAT-PMP" => natpmp(at, bind).await,
            _ => upnp::ask(gateway, local.ip(), bind, clients).await,
        };
        match told {
            Ok(address) => return Ok(address.into()),
            Err(Instead::NoAddress) => {
                return Err(format!("{name} has no address itself, as it says by {way}"));
            }
            Err(Instead::Refusal(words)) => refusals.push(format!("by {way} {words}")),
        }
    }
    Err(format!("{name} does not give its address ({})", refusals.join("; ")))
}

/// The gateway of the default route, or of the one that leads out by `bind`.
fn of_default_route(bind: Option<InterfaceName>) -> Result<Ipv4Addr, String> {
    let route = || {
        let Some(name) = bind else { return kernel::route(Family::V4) };
        let Some(line) = kernel::interface(name)? else { return Ok(None) };
        let found = interface::route(line.index, Family::V4, &kernel::addresses()?)?;
        Ok(found.map(|(route, _)| route))
    };
    let route = route().map_err(|error| format!("the kernel's routes cannot be read: {error}"))?;
    let route = route.ok_or("there is no IPv4 default route, so there is no gateway to ask")?;
    match route.gateway {
        Some(IpAddr::V4(gateway)) => Ok(gateway),
        _ => {
            Err("the default route names no IPv4 gateway; write its address instead of true"
                .to_owned())
        }
    }
}

/// Asks by PCP from `socket`, whose own end is `local`.
async fn pcp(socket: &UdpSocket, local: SocketAddr) -> Told {
    let IpAddr::V4(address) = local.ip() else {
        return Err(Instead::Refusal("it can only be asked over IPv4".to_owned()));
    };
    let nonce = peer::random().map_err(Instead::Refusal)?;
    let mapping = Mapping { address, port: local.port(), nonce };
    let ignored = "sends something that is not a PCP answer";
    let told =
        asked(socket, &mapping.request(), ignored, |datagram| mapping.address_in(datagram)).await;
    if !matches!(told, Err(Instead::Refusal(_))) {
        // If it is lost, the mapping ends by itself.
        let _ = socket.send(&mapping.removal()).await;
    }
    told
}

async fn natpmp(gateway: SocketAddr, bind: Option<InterfaceName>) -> Told {
    // A port of its own, which no late answer of PCP reaches.
    let socket = interface::udp_to(gateway, bind).await.map_err(|error| failure(&error))?;
    let ignored = "sends something that is not a NAT-PMP answer";
    asked(&socket, &natpmp::REQUEST, ignored, natpmp::address_in).await
}

/// Sends `request` until `read` takes a datagram for the answer, or the last wait is over.
async fn asked(
    socket: &UdpSocket,
    request: &[u8],
    ignored: &'static str,
    read: impl Fn(&[u8]) -> Option<Told>,
) -> Told {
    let read = |datagram: &[u8]| read(datagram).ok_or(Ignored(ignored));
    let heard = peer::ask::<_, MOST>(socket, request, &WAITS, read).await;
    match heard.map_err(|error| failure(&error))? {
        Heard::Answer(told) => told.map_err(by_it),
        Heard::Nothing(why) => {
            Err(Instead::Refusal(peer::silence("it", WAITS.iter().sum(), why.as_ref())))
        }
    }
}

/// The refusal of an answer, as a clause of its own.
fn by_it(instead: Instead) -> Instead {
    match instead {
        Instead::NoAddress => Instead::NoAddress,
        Instead::Refusal(words) => Instead::Refusal(format!("it {words}")),
    }
}

fn failure(error: &io::Error) -> Instead {
    Instead::Refusal(peer::failure("it", Family::V4, error))
}
