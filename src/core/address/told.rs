//! Accepts a text or an address that a source received when it is an address of the family asked for;
//! otherwise describes it in words. Every source that reads or receives an address uses this.

use std::net::IpAddr;

use super::Family;

/// Parses `text` as an address of `family`; the error says what it is instead.
pub fn address_of(text: &str, family: Family) -> Result<IpAddr, String> {
    let text = text.trim();
    match text.parse() {
        Ok(address) => of_family(address, family),
        Err(_) => Err(format!("{}, which is not an address", quoted(text))),
    }
}

/// `address`, if it is of `family`; the error says what it is instead.
pub fn of_family(address: IpAddr, family: Family) -> Result<IpAddr, String> {
    match address {
        IpAddr::V6(mapped) if mapped.to_ipv4_mapped().is_some() => {
            Err(format!("{mapped}, which is an IPv4 address in IPv6 form"))
        }
        _ if Family::of(address) != family => {
            Err(format!("{address}, which is not an {family} address"))
        }
        _ => Ok(address),
    }
}

/// The beginning of `text` in quotes, made fit for one line of a log.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", &line[..end]),
        None => format!("\"{line}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_short_and_one_line() {
        assert_eq!(quoted("a\n\x1b[1mb"), "\"a [1mb\"");
        assert_eq!(quoted(&"ä".repeat(81)), format!("\"{}…\"", "ä".repeat(80)));
    }
}
