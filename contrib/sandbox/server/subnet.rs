//! An address range such as `203.0.113.0/24`, and what deSEC does with one.
//!
//! Pure. Used for the subnets of a token, for blocked addresses, and for prefix updates.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subnet {
    length: u32,
    network: IpAddr,
}

/// The text is no `ADDRESS/LENGTH` with a length that the family has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotASubnet;

impl Subnet {
    /// Whether `address` lies inside; an address of the other family never does.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.rebased(address) == Some(address)
    }

    /// `host` with its network bits replaced by this subnet's, or `None` if the families differ.
    pub fn rebased(&self, host: IpAddr) -> Option<IpAddr> {
        match (self.network, host) {
            (IpAddr::V4(network), IpAddr::V4(host)) => {
                let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
                let bits = (network.to_bits() & mask) | (host.to_bits() & !mask);
                Some(Ipv4Addr::from_bits(bits).into())
            }
            (IpAddr::V6(network), IpAddr::V6(host)) => {
                let mask = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
                let bits = (network.to_bits() & mask) | (host.to_bits() & !mask);
                Some(Ipv6Addr::from_bits(bits).into())
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    /// Whether this is a range of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.network.is_ipv4()
    }

    /// Whether it was written without host bits, as a token's subnets must be.
    pub fn is_network_address(&self) -> bool {
        let nothing = if self.is_ipv4() {
            IpAddr::from(Ipv4Addr::UNSPECIFIED)
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        self.rebased(nothing) == Some(self.network)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl FromStr for Subnet {
    type Err = NotASubnet;

    /// Host bits in the text are ignored, as in a prefix update.
    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let (network, length) = text.split_once('/').ok_or(NotASubnet)?;
        let network: IpAddr = network.parse().map_err(|_| NotASubnet)?;
        let length: u32 = length.parse().map_err(|_| NotASubnet)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        if length > longest {
            return Err(NotASubnet);
        }
        Ok(Self { length, network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rebased(subnet: &str, host: &str, expected: Option<&str>) {
        let subnet: Subnet = subnet.parse().unwrap();
        let expected = expected.map(|text| text.parse().unwrap());
        assert_eq!(subnet.rebased(host.parse().unwrap()), expected);
    }

    #[test]
    fn a_prefix_replaces_the_network_bits_and_keeps_the_host_bits() {
        check_rebased("198.51.100.99/24", "203.0.113.13", Some("198.51.100.13"));
        check_rebased("2001:db8:aa:bb::/64", "2001:db8::13", Some("2001:db8:aa:bb::13"));
    }

    #[test]
    fn the_shortest_and_the_longest_prefix_are_no_special_case() {
        check_rebased("0.0.0.0/0", "203.0.113.13", Some("203.0.113.13"));
        check_rebased("198.51.100.1/32", "203.0.113.13", Some("198.51.100.1"));
        check_rebased("::/0", "2001:db8::13", Some("2001:db8::13"));
    }

    #[test]
    fn a_prefix_says_nothing_about_the_other_family() {
        check_rebased("0.0.0.0/0", "2001:db8::1", None);
    }

    #[test]
    fn host_bits_are_noticed() {
        let is_network = |text: &str| text.parse::<Subnet>().unwrap().is_network_address();
        assert!(is_network("0.0.0.0/0") && is_network("::/0"));
        assert!(is_network("192.0.2.1/32") && is_network("2001:db8::/32"));
        assert!(!is_network("192.0.2.1/24") && !is_network("2001:db8::1/64"));
    }

    #[test]
    fn a_length_beyond_the_family_is_no_subnet() {
        assert_eq!("203.0.113.0/33".parse::<Subnet>(), Err(NotASubnet));
        assert_eq!("2001:db8::/129".parse::<Subnet>(), Err(NotASubnet));
        assert_eq!("203.0.113.0".parse::<Subnet>(), Err(NotASubnet));
    }
}
