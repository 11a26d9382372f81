//! UPnP's Internet gateways: how to search for one and ask it for its address.
//!
//! Sources: UPnP Device Architecture 1.1 (searching in 1.3, control in 3.2) and the service
//! descriptions of WANIPConnection:1, WANIPConnection:2 and WANPPPConnection:1 of the UPnP Forum.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Instead, Told, own};
use crate::core::address::told::quoted;

/// The port of searches.
pub const PORT: u16 = 1900;
/// The multicast group of searches, which every device of the network hears.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);

/// The action that asks for the address.
pub const ACTION: &str = "GetExternalIPAddress";

/// The services of a gateway that know the address.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/// The device types that are searched for.
const GATEWAYS: [&str; 2] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
];

/// The parts of a gateway's description that are used.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Description {
    /// The base URL of relative links (`URLBase` of UPnP 1.0).
    pub base: Option<String>,
    /// The type of each service and the link to its control, in the order of the description.
    pub services: Vec<(String, String)>,
}

/// The answer to a [`Call`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// The address, as text.
    Address(String),
    /// An error with its code and description.
    Error(String, String),
}

/// A question for the address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call {
    /// The type of the service that is asked.
    service: &'static str,
}

/// The searches for a gateway that go to `to` (section 1.3.2).
pub fn searches(to: SocketAddrV4) -> [String; 2] {
    // A device that is asked directly answers at once, a group within the second that MX allows.
    GATEWAYS.map(|gateway| {
        format!(
            "M-SEARCH * HTTP/1.1\r\nHOST: {to}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {gateway}\r\n\r\n"
        )
    })
}

/// The link to the description of the gateway that sent `datagram` (section 1.3.3).
pub fn location_in(datagram: &[u8]) -> Option<&str> {
    let mut lines = std::str::from_utf8(datagram).ok()?.lines();
    let mut status = lines.next()?.split(' ');
    if !status.next()?.starts_with("HTTP/1.") || status.next()? != "200" {
        return None;
    }
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |wanted: &str| {
        let mut found = headers.iter().filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.next().map(|(_, value)| value.trim())
    };
    GATEWAYS.contains(&header("ST")?).then_some(header("LOCATION")?)
}

impl Description {
    /// The calls that may return the address, each with the link to send it to.
    pub fn calls(&self) -> impl Iterator<Item = (Call, &str)> {
        self.services.iter().filter_map(|(kind, control)| {
            let service = SERVICES.into_iter().find(|service| service == kind)?;
            Some((Call { service }, control.as_str()))
        })
    }
}

impl Call {
    /// The value of the header `SOAPAction` (section 3.2.1).
    pub fn soap_action(self) -> String {
        format!("\"{}#{ACTION}\"", self.service)
    }

    /// The body of the request.
    pub fn body(self) -> String {
        format!(
            "<?xml version=\"1.0\"?>\r\n\
             <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
             <u:{ACTION} xmlns:u=\"{}\"></u:{ACTION}></s:Body></s:Envelope>\r\n",
            self.service
        )
    }
}

impl Reply {
    /// The address, or what the gateway says instead.
    pub fn address(&self) -> Told {
        match self {
            Self::Address(text) if text.trim().is_empty() => Err(Instead::NoAddress),
            Self::Address(text) => match text.trim().parse() {
                Ok(address) => own(address),
                Err(_) => {
                    let what = format!("returns {}, which is not an IPv4 address", quoted(text));
                    Err(Instead::Refusal(what))
                }
            },
            Self::Error(code, description) => Err(Instead::Refusal(refusal(code, description))),
        }
    }
}

/// An error in words (section 3.2.2); `description` is the gateway's own.
fn refusal(code: &str, description: &str) -> String {
    let code = code.trim();
    let Ok(number) = code.parse::<u16>() else {
        return "answers with an error that it does not name".to_owned();
    };
    let meaning = match number {
        401 => " (unknown question)",
        402 => " (invalid question)",
        501 => " (failed)",
        606 => " (not authorised, or switched off)",
        _ if description.trim().is_empty() => "",
        _ => &format!(", {}", quoted(description)),
    };
    format!("answers with the error {number}{meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: &str = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n\
        ST: urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\nEXT:\r\n\
        SERVER: x UPnP/1.1 y/2.3.1\r\nLocation:http://192.168.1.1:5000/rootDesc.xml\r\n\r\n";

    #[test]
    fn a_search_names_whom_it_goes_to() {
        let [first, second] = searches(SocketAddrV4::new(GROUP, PORT));
        assert_eq!(
            first,
            "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\
             MX: 1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
        );
        assert!(second.contains("InternetGatewayDevice:2\r\n"));
    }

    #[test]
    fn only_a_gateways_answer_to_a_search_leads_on() {
        let expect = Some("http://192.168.1.1:5000/rootDesc.xml");
        assert_eq!(location_in(FOUND.as_bytes()), expect);
        assert_eq!(location_in(FOUND.replace("\r\n", "\n").as_bytes()), expect);
        for (right, wrong) in [
            ("HTTP/1.1 200 OK", "NOTIFY * HTTP/1.1"),
            ("HTTP/1.1 200 OK", "M-SEARCH * HTTP/1.1"),
            (" 200 ", " 404 "),
            ("InternetGatewayDevice:2", "MediaServer:1"),
            ("ST:", "NT:"),
            ("Location", "X-Location"),
        ] {
            let other = FOUND.replacen(right, wrong, 1);
            assert_ne!(other, FOUND);
            assert_eq!(location_in(other.as_bytes()), None, "{wrong}");
        }
        assert_eq!(location_in(b""), None);
        assert_eq!(location_in(b"\xff\xfe"), None);
    }

    #[test]
    fn services_that_know_the_address_are_asked_in_the_descriptions_order() {
        let service = |kind: &str, control: &str| {
            (format!("urn:schemas-upnp-org:service:{kind}"), control.to_owned())
        };
        let services = vec![
            service("Layer3Forwarding:1", "/l3"),
            service("WANPPPConnection:1", "/ppp"),
            service("WANIPConnection:2", "/ip"),
            service("WANIPConnection:20", "/x"),
        ];
        let description = Description { base: None, services };
        let calls: Vec<_> =
            description.calls().map(|(call, at)| (call.soap_action(), at)).collect();
        let action = |kind| format!("\"urn:schemas-upnp-org:service:{kind}#GetExternalIPAddress\"");
        let expect = [(action("WANPPPConnection:1"), "/ppp"), (action("WANIPConnection:2"), "/ip")];
        assert_eq!(calls, expect);
        let (call, _) = description.calls().next().unwrap();
        let inner = "<s:Body><u:GetExternalIPAddress \
            xmlns:u=\"urn:schemas-upnp-org:service:WANPPPConnection:1\">\
            </u:GetExternalIPAddress></s:Body>";
        assert!(call.body().contains(inner), "{}", call.body());
    }

    #[test]
    fn a_reply_is_an_address_or_says_why_not() {
        let told = |text: &str| Reply::Address(text.to_owned()).address();
        assert_eq!(told(" 8.8.4.9\n"), Ok(Ipv4Addr::new(8, 8, 4, 9)));
        assert_eq!(told(""), Err(Instead::NoAddress));
        assert_eq!(told("0.0.0.0"), Err(Instead::NoAddress));
        let refused = |words: &str| Err(Instead::Refusal(words.to_owned()));
        assert_eq!(told("2a00::1"), refused("returns \"2a00::1\", which is not an IPv4 address"));
        let error = |code: &str, words: &str| Reply::Error(code.into(), words.into()).address();
        let expect = refused("answers with the error 501 (failed)");
        assert_eq!(error("501", "Action Failed"), expect);
        assert_eq!(error(" 777", "no\nWAN"), refused("answers with the error 777, \"no WAN\""));
        assert_eq!(error("777", ""), refused("answers with the error 777"));
        assert_eq!(error("", "x"), refused("answers with an error that it does not name"));
    }
}
