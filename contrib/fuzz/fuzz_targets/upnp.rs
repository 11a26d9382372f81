//! UPnP: answers to a search, descriptions and replies; no link or address that does not stand in them.
#![no_main]

use homing::core::wire::gateway::Instead;
use homing::core::wire::gateway::upnp::{Reply, location_in};
use homing::source::fuzzing::{description, reply};
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::{Bytes, holds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    match bytes.byte() % 6 {
        0 => check_location(bytes.rest()),
        1 => check_location(found(&bytes.text()).as_bytes()),
        2 => check_description(&bytes.text()),
        3 => check_description(&described(&bytes.text())),
        4 => check_reply(&bytes.text()),
        _ => check_reply(&replied(&bytes.text())),
    }
}));

fn found(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\
         LOCATION: {text}\r\n\r\n"
    )
}

fn described(text: &str) -> String {
    format!(
        "<root xmlns=\"urn:schemas-upnp-org:device-1-0\"><URLBase>http://192.0.2.1/</URLBase>\
         <device><serviceList><service>\
         <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
         <controlURL>{text}</controlURL></service></serviceList></device></root>"
    )
}

fn replied(text: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
         <u:GetExternalIPAddressResponse xmlns:u=\"urn:x\"><NewExternalIPAddress>{text}\
         </NewExternalIPAddress></u:GetExternalIPAddressResponse></s:Body></s:Envelope>"
    )
}

fn check_location(datagram: &[u8]) {
    let Some(location) = location_in(datagram) else { return };
    assert!(datagram.starts_with(b"HTTP/1."), "no answer");
    assert!(holds(datagram, b" 200"), "no success");
    assert!(holds(datagram, location.as_bytes()) && !location.contains('\n'));
}

fn check_description(xml: &str) {
    let Some(description) = description(xml) else { return };
    assert!(!xml.trim_start().starts_with("<!DOCTYPE"), "a document type was read");
    for (call, link) in description.calls() {
        assert!(description.services.iter().any(|(_, control)| control == link));
        assert!(call.soap_action().starts_with('"') && call.soap_action().ends_with('"'));
    }
}

fn check_reply(xml: &str) {
    let Some(reply) = reply(xml) else { return };
    assert!(!xml.trim_start().starts_with("<!DOCTYPE"), "a document type was read");
    let is_error = matches!(reply, Reply::Error(..));
    match reply.address() {
        Ok(address) => {
            assert!(!is_error && !address.is_unspecified());
            let is_plain = !xml.contains('&') && !xml.contains("<![CDATA[");
            assert!(!is_plain || xml.contains(&address.to_string()), "{address} is not in it");
        }
        Err(Instead::NoAddress) => assert!(!is_error),
        Err(Instead::Refusal(words)) => {
            assert!(!words.is_empty() && !words.chars().any(char::is_control), "{words:?}");
        }
    }
}
