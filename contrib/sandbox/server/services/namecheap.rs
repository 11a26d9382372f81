//! Namecheap's dynamic DNS: one request sets one A record that is there, and every answer is a 200.
//!
//! Rests on its page and on the words that other clients know; the number of "Domain name not found"
//! is invented. No limit is documented. The answers say that they are UTF-16, and are not.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::super::chance;
use super::super::http::Answer;
use super::{Call, OWN_ZONES, Service};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: false,
    issued: None,
    limit: None,
    login: None,
    name: "namecheap",
    needs_zone: true,
    path: "",
    secret,
    title: "Namecheap",
    too_often,
    zones: OWN_ZONES,
};

/// The name in each zone that has a record of the type "A + Dynamic DNS".
const DYNAMIC: [&str; 2] = ["@", "home"];

fn secret() -> String {
    chance::hexadecimal(32)
}

fn too_often(_wait: Duration) -> Answer {
    Answer::new(429, "text/html", "Too Many Requests")
}

fn answer(call: &mut Call<'_>) -> Answer {
    if call.request.path != "/update" {
        return Answer::new(404, "text/html", "");
    }
    let said = |name: &str| call.request.parameter(name).unwrap_or_default().to_lowercase();
    let (host, domain, ip) = (said("host"), said("domain"), said("ip"));
    let Some(zone) = call.world.zone(&domain) else {
        return refused(
            "Domain name not found",
            316_153,
            "Validation error; not found; domain name(s)",
        );
    };
    let password = call.request.parameter("password").unwrap_or_default();
    if password.is_empty() {
        return refused("Passwords is empty", 304_156, "Validation error; invalid ; password");
    }
    if password != call.world.secret {
        return refused("Passwords do not match", 304_156, "Validation error; invalid ; password");
    }
    if !DYNAMIC.contains(&host.as_str()) {
        let text = "No Records updated. A record not Found;";
        return refused(text, 380_091, "No updates; A record not Found;");
    }
    let address = match (ip.parse::<Ipv4Addr>(), call.client.ip().to_canonical()) {
        (Ok(address), _) => address,
        (Err(_), IpAddr::V4(client)) if ip.is_empty() => client,
        _ => return refused("Invalid IP", 304_155, "Validation error; invalid ; ip"),
    };
    let name = zone.full(&host);
    call.world.zone_mut(&domain).map(|zone| zone.remove_set(&name, "A"));
    call.world.add(&name, "A", &address.to_string());
    page(&format!(
        "<IP>{address}</IP><ErrCount>0</ErrCount><errors /><ResponseCount>0</ResponseCount>\
         <responses />"
    ))
}

fn refused(text: &str, number: u32, said: &str) -> Answer {
    page(&format!(
        "<ErrCount>1</ErrCount><errors><Err1>{text}</Err1></errors><ResponseCount>1\
         </ResponseCount><responses><response><Description>{text}</Description><ResponseNumber>\
         {number}</ResponseNumber><ResponseString>{said}</ResponseString></response></responses>"
    ))
}

fn page(middle: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><interface-response><Command>SETDNSHOST\
         </Command><Language>eng</Language>{middle}<Done>true</Done><debug><![CDATA[]]></debug>\
         </interface-response>"
    );
    Answer::new(200, "text/html", &body)
}
