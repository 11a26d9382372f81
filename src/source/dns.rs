//! Resolvers that answer with the asker's address, asked directly. Used by `outside`.

use std::net::IpAddr;

use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::wire::dns::Rcode;
use crate::core::wire::whoami::{Resolver, address_in};
use crate::net::exchange::{Peer, Plain};
use crate::net::peer;

/// The address of `family` that `resolver` reports, asked by the interface `bind` if given.
pub async fn ask(
    resolver: &Resolver,
    family: Family,
    bind: Option<InterfaceName>,
) -> Result<IpAddr, String> {
    let title = &resolver.title;
    let server = resolver.servers[family].as_ref();
    let server = server.ok_or_else(|| format!("{title} has no {family} address"))?;
    let address = peer::locate(server, family).await?;
    let question = resolver.question(family);
    let asked = Peer { title, address, bind }.ask(&Plain::of(&question)).await;
    let message = asked.map_err(|silence| silence.detail)?;
    match message.header.rcode {
        Rcode::NO_ERROR => address_in(&message.answers, &question, family)
            .map_err(|instead| format!("{title} {instead}")),
        rcode => Err(format!("{title} {rcode}")),
    }
}
