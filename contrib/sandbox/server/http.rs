//! As much of HTTP/1.1 as a dynDNS client needs: requests in, answers out.
//!
//! Knows bytes and limits, nothing of what is asked; reads from any `BufRead`, never a socket.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read};

/// The longest request line with headers, in bytes.
const HEAD_LIMIT: u64 = 16 * 1024;
/// The longest request body, in bytes.
const BODY_LIMIT: u64 = 64 * 1024;

/// A request, its query already decoded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// What came after the head.
    pub body: Vec<u8>,
    /// Names as they were sent, values trimmed.
    pub headers: Vec<(String, String)>,
    /// Whether the client may send another request on the same connection.
    pub keep_alive: bool,
    /// `GET` and so on.
    pub method: String,
    /// As sent, without the query.
    pub path: String,
    /// Decoded, in the order sent, repeated ones included.
    pub query: Vec<(String, String)>,
}

/// A request in one line for the log, whatever it contains.
pub fn request_line(method: &str, path: &str, query: &[(String, String)]) -> String {
    let mut line = format!("{method} {path}");
    for (index, (name, value)) in query.iter().enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        let _ = write!(line, "{mark}{}={}", name.escape_debug(), value.escape_debug());
    }
    line
}

impl Request {
    /// The value of a header, whatever the case of its name; of several, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a query parameter; of several, the last.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Why no request could be read.
#[derive(Debug)]
pub enum ReadError {
    /// The connection ended, or timed out, between two requests or inside one.
    Closed(io::Error),
    /// What came is not a request that this server takes; the status to answer with.
    Refused(u16),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Closed(error)
    }
}

/// Reads one request; `None` when the client has closed the connection after the previous one.
pub fn read(input: &mut impl BufRead) -> Result<Option<Request>, ReadError> {
    let mut head = input.take(HEAD_LIMIT);
    let Some(line) = read_line(&mut head)? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ReadError::Refused(400));
    };
    if !target.starts_with('/') || !version.starts_with("HTTP/1.") {
        return Err(ReadError::Refused(400));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        keep_alive: version == "HTTP/1.1",
        method: method.to_owned(),
        path: path.to_owned(),
        query: query_pairs(query),
        ..Request::default()
    };
    loop {
        let line =
            read_line(&mut head)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(ReadError::Refused(400))?;
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if request.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
        request.keep_alive = false;
    }
    if request.header("Transfer-Encoding").is_some() {
        return Err(ReadError::Refused(411));
    }
    if let Some(length) = request.header("Content-Length") {
        let length: u64 = length.parse().map_err(|_| ReadError::Refused(400))?;
        if length > BODY_LIMIT {
            return Err(ReadError::Refused(413));
        }
        input.take(length).read_to_end(&mut request.body)?;
    }
    Ok(Some(request))
}

/// One line without its end, or `None` at the end of the input.
fn read_line(head: &mut io::Take<impl BufRead>) -> Result<Option<String>, ReadError> {
    let mut line = Vec::new();
    if head.read_until(b'\n', &mut line)? == 0 {
        return if head.limit() == 0 { Err(ReadError::Refused(414)) } else { Ok(None) };
    }
    if line.pop() != Some(b'\n') {
        let cut_by_us = head.limit() == 0;
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(if cut_by_us { ReadError::Refused(414) } else { end.into() });
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| ReadError::Refused(400))
}

/// Splits and decodes what follows the `?`.
fn query_pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Undoes percent-encoding in a query, where `+` is a blank; what is not a pair of hexadecimal
/// digits stays as it is.
fn decoded(text: &str) -> String {
    decoded_segment(&text.replace('+', " "))
}

/// Undoes percent-encoding in a part of a path.
pub fn decoded_segment(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).filter(|_| *first == b'%').and_then(hexadecimal);
        rest = if code.is_some() { &others[2..] } else { others };
        bytes.push(code.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    let both = digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + value(digit)?))?;
    u8::try_from(both).ok()
}

/// Percent-encodes a value for a query.
pub fn query_value(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encoded).collect()
}

/// What is sent back, apart from the headers that every answer has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Sent unless the request was `HEAD`.
    pub body: Vec<u8>,
    /// In the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// The three digits.
    pub status: u16,
}

impl Answer {
    /// An answer of any type.
    pub fn new(status: u16, content_type: &str, body: &str) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { body: body.as_bytes().to_vec(), headers, status }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { body: Vec::new(), headers: Vec::new(), status }
    }

    /// The form of dynDNS.
    pub fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain", body)
    }

    /// The form of the REST API.
    pub fn json(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body)
    }

    /// A page by the application where it has no answer in the form that was asked for.
    pub fn page(status: u16, title: &str, paragraph: &str) -> Self {
        let body = format!(
            "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>{title}</title>\n</head>\n\
             <body>\n  <h1>{title}</h1><p>{paragraph}</p>\n</body>\n</html>\n"
        );
        Self::new(status, "text/html; charset=utf-8", &body)
    }

    /// The application's page for an address that it does not know.
    pub fn no_such_page() -> Self {
        let paragraph = "The requested resource was not found on this server.";
        Self::page(404, "Not Found", paragraph)
    }

    /// A page by nginx, which stands before the application and answers for it in trouble.
    pub fn nginx(status: u16) -> Self {
        let title = format!("{status} {}", reason(status));
        let lines = [
            "<!DOCTYPE html>",
            "<html lang=\"en\">",
            "<head>",
            "<meta charset=\"utf-8\">",
            "<meta name=\"robots\" content=\"noindex\">",
            &format!("<title>{title}</title>"),
            "</head>",
            "<body style=\"background-color: white\">",
            &format!("<div style=\"text-align: center;\"><h1>{title}</h1></div>"),
            "<hr>",
            "<div style=\"text-align: center;\">nginx</div>",
            "</body>",
            "</html>",
        ];
        let body = lines.join("\r\n") + "\r\n";
        Self::new(status, "text/html", &body)
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Everything up to the body. A `Content-Length` is added unless the answer has one or is
    /// chunked.
    pub fn head(&self, keep_alive: bool, date: &str) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut line = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        };
        line("Server", "nginx");
        line("Date", date);
        if self.header("Content-Length").is_none() && self.header("Transfer-Encoding").is_none() {
            line("Content-Length", &self.body.len().to_string());
        }
        line("Connection", connection);
        for (name, value) in &self.headers {
            line(name, value);
        }
        head.push_str("\r\n");
        head
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// These bytes in base64 (RFC 4648, section 4).
pub fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let padded = [0, 1, 2].map(|index| u32::from(*group.get(index).unwrap_or(&0)));
        let bits = padded[0] << 16 | padded[1] << 8 | padded[2];
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The bytes that base64 text stands for (RFC 4648, section 4), or `None` if it is none.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix("==").or(text.strip_suffix('=')).unwrap_or(text);
    let (mut pending, mut bits) = (0_u32, 0);
    let mut bytes = Vec::new();
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        pending = (pending << 6 | u32::try_from(value).ok()?) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits & 0xFF) as u8);
        }
    }
    Some(bytes)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], expected: u16) {
        match read(&mut &*bytes) {
            Err(ReadError::Refused(status)) => assert_eq!(status, expected),
            other => panic!("expected {expected}, got {other:?}"),
        }
    }

    #[test]
    fn two_requests_on_one_connection_are_read_one_after_the_other() {
        let mut input = &b"GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n\
            POST /b HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"[..];
        let first = read(&mut input).unwrap().unwrap();
        assert_eq!((first.path.as_str(), first.keep_alive), ("/a", true));
        assert_eq!(first.query, [pair("x", "1")]);
        let second = read(&mut input).unwrap().unwrap();
        assert_eq!((second.body.as_slice(), second.keep_alive), (&b"hi"[..], false));
        assert_eq!(read(&mut input).unwrap(), None);
    }

    #[test]
    fn a_query_is_decoded_and_its_order_kept() {
        let pairs = query_pairs("myip=1%2C2&myipv6%3Ahost=2001:db8::1&a=%zz+b&flag&myip=3");
        let expected = [
            pair("myip", "1,2"),
            pair("myipv6:host", "2001:db8::1"),
            pair("a", "%zz b"),
            pair("flag", ""),
            pair("myip", "3"),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn of_a_repeated_parameter_the_last_one_counts() {
        let query = query_pairs("a=1&a=2");
        assert_eq!(Request { query, ..Request::default() }.parameter("a"), Some("2"));
    }

    #[test]
    fn what_is_not_a_request_is_refused_with_the_status_that_says_why() {
        check_refused(b"hello\r\n\r\n", 400);
        check_refused(b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400);
        check_refused(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400);
        check_refused(b"GET / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413);
        check_refused(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411);
        check_refused(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(17_000)).as_bytes(), 414);
    }

    #[test]
    fn a_request_that_breaks_off_is_a_closed_connection() {
        let cut = read(&mut &b"GET / HTTP/1.1\r\nHost: h\r\n"[..]);
        assert!(matches!(cut, Err(ReadError::Closed(_))), "{cut:?}");
    }

    #[test]
    fn base64_is_decoded_with_any_padding_and_refused_when_it_is_none() {
        assert_eq!(from_base64("Zm9vYmFy").unwrap(), b"foobar");
        assert_eq!(from_base64("Zm9vYmE=").unwrap(), b"fooba");
        assert_eq!(from_base64("Zm9vYg==").unwrap(), b"foob");
        assert_eq!(from_base64("Zm9vYg"), None);
        assert_eq!(from_base64("Zm9*"), None);
        for bytes in [&b"foobar"[..], b"fooba", b"foob", b"\xff\xfe", b""] {
            assert_eq!(from_base64(&to_base64(bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn a_query_value_survives_its_journey() {
        let text = "cD0x+/=&é %";
        assert_eq!(query_pairs(&format!("cursor={}", query_value(text))), [pair("cursor", text)]);
    }

    #[test]
    fn the_page_of_nginx_has_the_recorded_length() {
        assert_eq!(Answer::nginx(429).body.len(), 335);
    }
}
