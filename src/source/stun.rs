//! STUN servers (RFC 8489), which report the address that a datagram came from. Used by `outside`.

use std::net::IpAddr;
use std::time::Duration;

use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::server::Server;
use crate::core::wire::stun::{Instead, TransactionId, address_in, request};
use crate::net::interface;
use crate::net::peer::{self, Heard, Ignored};

/// The waits after each request: section 6.2.1's doubling from half a second, but 5 s in place of
/// 39.5 s in all, because the round waits.
const WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_millis(1500),
];

/// The room for an answer to a plain Binding request, in bytes; none is longer.
const MOST: usize = 1280;

/// The address of `family` that `server` reports, asked by the interface `bind` if given.
pub async fn ask(
    server: &Server,
    family: Family,
    bind: Option<InterfaceName>,
) -> Result<IpAddr, String> {
    let address = peer::locate(server, family).await?;
    let id: TransactionId = peer::random()?;
    let name = server.to_string();
    let read = |datagram: &[u8]| match address_in(datagram, &id, family) {
        Ok(address) => Ok(Ok(address)),
        Err(Instead::Answer(what)) => Ok(Err(what)),
        Err(Instead::NoAnswer) => Err(Ignored("sends something that is not a STUN answer")),
    };
    let heard = async {
        let socket = interface::udp_to(address, bind).await?;
        peer::ask::<_, MOST>(&socket, &request(&id), &WAITS, read).await
    };
    match heard.await {
        Err(error) => Err(peer::failure(&name, family, &error)),
        Ok(Heard::Nothing(why)) => Err(peer::silence(&name, WAITS.iter().sum(), why.as_ref())),
        Ok(Heard::Answer(answer)) => answer.map_err(|instead| format!("{name} {instead}")),
    }
}
