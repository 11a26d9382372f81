//! A file whose first line holds our address.
//!
//! Never waits, whatever is at the path.

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use crate::core::address::Family;
use crate::core::address::told::quoted;
use crate::os::disk::open_regular;
use crate::os::reason::reason;

/// The longest first line, in bytes.
const MOST: u64 = 4096;

/// The address of `family` on the first line of the file at `path`; the error names the file.
///
/// The line holds one address, or one of each family with white space between them.
pub fn seen(path: &Path, family: Family) -> Result<IpAddr, String> {
    let named = |what: String| format!("{} {what}", path.display());
    let unreadable = |why: &str| named(format!("cannot be read: {why}"));
    // A pipe or device in its place could keep us waiting for ever.
    let opened = open_regular(path).map_err(|error| unreadable(&reason(&error)))?;
    let (file, _) = opened.ok_or_else(|| unreadable("it is not a regular file"))?;
    let mut head = Vec::new();
    let read = file.take(MOST + 1).read_to_end(&mut head);
    read.map_err(|error| unreadable(&reason(&error)))?;
    let line = first_line(&head);
    if line.len() as u64 > MOST {
        return Err(named(format!("has a first line of more than {MOST} bytes")));
    }
    address_on(line, family).map_err(named)
}

/// The bytes before the first line break, in UTF-8 or not.
fn first_line(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// The address of `family` among those of a line; the error says what the line is instead.
fn address_on(line: &[u8], family: Family) -> Result<IpAddr, String> {
    let text = String::from_utf8_lossy(line);
    let words: Result<Vec<IpAddr>, _> = text.split_whitespace().map(str::parse).collect();
    let Ok(addresses) = words else {
        return Err(format!("holds {} on its first line instead of an address", quoted(&text)));
    };
    let mut of_family = addresses.iter().filter(|address| Family::of(**address) == family);
    match (of_family.next(), of_family.next()) {
        (Some(address), None) => Ok(*address),
        (Some(_), Some(_)) => {
            Err(format!("holds more than one {family} address on its first line"))
        }
        (None, _) => Err(format!("holds no {family} address on its first line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, family: Family, expect: Result<&str, &str>) {
        let seen = address_on(first_line(content.as_bytes()), family);
        let expect = expect.map(|text| text.parse().unwrap()).map_err(str::to_owned);
        assert_eq!(seen, expect, "{content:?}");
    }

    #[test]
    fn the_first_line_holds_the_address() {
        check("192.0.2.1\r\nrest", Family::V4, Ok("192.0.2.1"));
        check(" 2001:db8::1 ", Family::V6, Ok("2001:db8::1"));
    }

    #[test]
    fn one_file_serves_both_families() {
        let both = "192.0.2.1 2001:db8::1\n";
        check(both, Family::V4, Ok("192.0.2.1"));
        check(both, Family::V6, Ok("2001:db8::1"));
    }

    #[test]
    fn anything_else_is_refused() {
        let v4 = Family::V4;
        check("", v4, Err("holds no IPv4 address on its first line"));
        check("\n192.0.2.1", v4, Err("holds no IPv4 address on its first line"));
        check("2001:db8::1", v4, Err("holds no IPv4 address on its first line"));
        let two = "holds more than one IPv4 address on its first line";
        check("192.0.2.1 192.0.2.2", v4, Err(two));
        let text = "holds \"ip 192.0.2.1\" on its first line instead of an address";
        check("ip 192.0.2.1", v4, Err(text));
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let missing = seen(Path::new("/nonexistent/file"), Family::V4).unwrap_err();
        assert!(missing.starts_with("/nonexistent/file cannot be read: No such file"), "{missing}");
        let directory = seen(Path::new("/"), Family::V4).unwrap_err();
        assert_eq!(directory, "/ cannot be read: it is not a regular file");
        let device = seen(Path::new("/dev/zero"), Family::V4).unwrap_err();
        assert_eq!(device, "/dev/zero cannot be read: it is not a regular file");
    }
}
