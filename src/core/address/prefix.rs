//! Prefix and suffix: the IPv6 address of another machine of the link, made from one of ours.
//!
//! Pure: which of our addresses gives the prefix is `choice`'s work, and whether the result
//! may be published is `address`'s knowledge.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::Addresses;
use super::choice::KernelAddress;

/// The length of the prefix of nearly every link, and the only one that EUI-64 knows (RFC 4291,
/// section 2.5.4).
pub const USUAL_LENGTH: u8 = 64;

/// The length of the shortest prefix that counts as delegated: a shorter one is a provider's, or a
/// filter's.
pub const SHORTEST_DELEGATED: u8 = 32;

/// A prefix of IPv6.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Prefix {
    /// Its address; the bits after its length do not count.
    pub address: Ipv6Addr,
    /// How many bits it has.
    pub length: u8,
}

/// Another machine of the link, whose address is made from ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Neighbour {
    /// The machine's part of the address.
    pub suffix: Suffix,
    /// How many bits are taken from our address; `None` is the length of our address's prefix, or of
    /// the delegated prefix where that leaves no room.
    pub prefix_length: Option<u8>,
}

/// The part of an address that identifies the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suffix {
    /// Made from the number of its network card (EUI-64: RFC 4291, appendix A).
    Mac([u8; 6]),
    /// Written in the configuration; the bits of the prefix are zero.
    Written(Ipv6Addr),
}

/// Why a prefix and a suffix make no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Misfit {
    /// The address is IPv4; prefix and suffix exist only in IPv6.
    Ipv4,
    /// The suffix begins before the prefix ends.
    Overlap {
        /// The suffix as an address.
        suffix: Ipv6Addr,
        /// The length of the prefix.
        length: u8,
    },
    /// The prefix is too long for the suffix, and no delegated one is known that leaves room.
    NoRoom {
        /// The length of the prefix.
        length: u8,
        /// The length of the longest prefix that leaves room.
        longest: u8,
    },
    /// The prefix is shorter than expected.
    Short {
        /// The length of the prefix.
        length: u8,
        /// The least length that was expected.
        expected: u8,
    },
}

impl Suffix {
    /// The suffix as an address, after a prefix of zeros.
    pub fn as_address(self) -> Ipv6Addr {
        match self {
            Self::Mac(mac) => {
                let mut eui64 = [0, 0, 0, 0xff, 0xfe, 0, 0, 0];
                eui64[..3].copy_from_slice(&mac[..3]);
                eui64[5..].copy_from_slice(&mac[3..]);
                // EUI-64 inverts the bit that tells a world-wide number from a local one.
                eui64[0] ^= 0x02;
                Ipv6Addr::from_bits(u64::from_be_bytes(eui64).into())
            }
            Self::Written(address) => address,
        }
    }

    /// Checks that the suffix begins after a prefix of `length` bits.
    pub fn check_room(self, length: u8) -> Result<(), Misfit> {
        let suffix = self.as_address();
        if length > self.room() { Err(Misfit::Overlap { suffix, length }) } else { Ok(()) }
    }

    /// The length of the longest prefix that leaves room for the suffix.
    fn room(self) -> u8 {
        match self {
            Self::Mac(_) => USUAL_LENGTH,
            // At most 128.
            Self::Written(suffix) => {
                u8::try_from(suffix.to_bits().leading_zeros()).unwrap_or(u8::MAX)
            }
        }
    }
}

impl Neighbour {
    /// The neighbour's address, made from `ours`, an address of this machine on the same link;
    /// `delegated` are the prefixes that the network got from the provider.
    ///
    /// | prefix-length | room in the prefix of `ours` | bits taken from `ours`                       |
    /// |---------------|------------------------------|----------------------------------------------|
    /// | written       |                              | as written                                   |
    /// | no            | yes                          | as many as that prefix has                   |
    /// | no            | no, but in its /64           | 64, if `ours` lies in a delegated prefix     |
    /// | no            | no, nor in its /64           | those of the longest delegated one with room |
    pub fn address(&self, ours: &KernelAddress, delegated: &[Prefix]) -> Result<IpAddr, Misfit> {
        let IpAddr::V6(address) = ours.address else { return Err(Misfit::Ipv4) };
        let length = ours.prefix_length;
        let expected = self.prefix_length.unwrap_or(USUAL_LENGTH);
        if length < expected {
            return Err(Misfit::Short { length, expected });
        }
        let room = self.suffix.room();
        let taken = match self.prefix_length {
            Some(written) => written,
            None if length <= room => length,
            None => self.default_length(address, delegated).unwrap_or(length),
        };
        if taken > room {
            return Err(Misfit::NoRoom { length: taken, longest: room.min(USUAL_LENGTH) });
        }
        let prefix = address.to_bits() & mask(taken).to_bits();
        Ok(Ipv6Addr::from_bits(prefix | self.suffix.as_address().to_bits()).into())
    }

    /// How many bits to take from `address`, by the delegated prefix that it lies in.
    fn default_length(&self, address: Ipv6Addr, delegated: &[Prefix]) -> Option<u8> {
        let room = self.suffix.room();
        let lengths = delegated.iter().filter(|prefix| {
            let counts = (SHORTEST_DELEGATED..=USUAL_LENGTH.min(room)).contains(&prefix.length);
            counts && prefix.covers(address)
        });
        let longest = lengths.map(|prefix| prefix.length).max()?;
        // A suffix of at most 64 bits names no delegated network: it means the link's own.
        Some(if room >= USUAL_LENGTH { USUAL_LENGTH } else { longest })
    }

    /// Those of `ours` that make an address of `set`: the choice among `ours` treats them as set, so
    /// that the prefix in use stays.
    pub fn standing_for(
        &self,
        ours: &[KernelAddress],
        delegated: &[Prefix],
        set: &Addresses,
    ) -> Option<Addresses> {
        let is_set = |own: &&KernelAddress| {
            self.address(own, delegated).is_ok_and(|made| set.contains(made))
        };
        Addresses::new(ours.iter().filter(is_set).map(|own| own.address))
    }
}

impl Prefix {
    fn covers(self, address: Ipv6Addr) -> bool {
        let bits = mask(self.length).to_bits();
        self.address.to_bits() & bits == address.to_bits() & bits
    }
}

/// The bits of a prefix of `length`, as an address.
fn mask(length: u8) -> Ipv6Addr {
    let rest = 128_u32.saturating_sub(length.into());
    Ipv6Addr::from_bits(u128::MAX.checked_shl(rest).unwrap_or_default())
}

/// What is wrong with prefix and suffix, and what to write, as the rest of a sentence.
impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ipv4 => {
                f.write_str("a suffix needs an IPv6 interface address; write ipv4 = \"off\"")
            }
            Self::Overlap { suffix, length } => write!(
                f,
                "the suffix {suffix} reaches into the prefix, whose /{length} is {}",
                mask(length)
            ),
            Self::NoRoom { length, longest: USUAL_LENGTH } => write!(
                f,
                "the prefix is /{length}, which leaves no room for the suffix; write \
                    prefix-length = {USUAL_LENGTH}"
            ),
            Self::NoRoom { length, longest } => write!(
                f,
                "the prefix is /{length}, which leaves no room for the suffix, and the kernel \
                    shows no delegated prefix; write the delegated length as prefix-length, at \
                    most {longest}"
            ),
            Self::Short { length, expected } => write!(
                f,
                "the prefix is /{length}, but /{expected} was expected; write prefix-length = {length} if that is right"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::choice::Flags;
    use super::*;

    fn parsed(address: &str) -> Ipv6Addr {
        address.parse().unwrap()
    }

    fn written(suffix: &str, prefix_length: Option<u8>) -> Neighbour {
        Neighbour { suffix: Suffix::Written(parsed(suffix)), prefix_length }
    }

    fn with_mac(mac: [u8; 6], prefix_length: Option<u8>) -> Neighbour {
        Neighbour { suffix: Suffix::Mac(mac), prefix_length }
    }

    const MAC: [u8; 6] = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];
    /// Its EUI-64 begins with zeros.
    const LOCAL_MAC: [u8; 6] = [0x02, 0x00, 0x00, 0x33, 0x44, 0x55];

    fn own(address: &str, prefix_length: u8) -> KernelAddress {
        KernelAddress {
            address: address.parse().unwrap(),
            prefix_length,
            interface: "lan".to_owned(),
            index: 2,
            flags: Flags::default(),
            preferred: None,
            valid: None,
        }
    }

    /// Checks what becomes of `neighbour` where our address is `ours`, written with its length.
    #[track_caller]
    fn check(ours: &str, neighbour: Neighbour, expect: Result<&str, Misfit>) {
        let (address, length) = ours.split_once('/').unwrap();
        let made = neighbour.address(&own(address, length.parse().unwrap()), &[]);
        assert_eq!(made, expect.map(|address| parsed(address).into()), "{ours}");
    }

    #[test]
    fn the_prefix_is_ours_and_the_rest_is_the_neighbours() {
        let ours = "2a00:1:2:3:aaaa:bbbb:cccc:dddd/64";
        check(ours, written("::1:2:3:4", None), Ok("2a00:1:2:3:1:2:3:4"));
        check(ours, written("::1", Some(64)), Ok("2a00:1:2:3::1"));
    }

    #[test]
    fn a_mac_becomes_the_eui_64_of_rfc_4291() {
        check("2a00:1:2:3::9/64", with_mac(MAC, None), Ok("2a00:1:2:3:211:22ff:fe33:4455"));
        check("2a00:1:2:3::9/64", with_mac(LOCAL_MAC, None), Ok("2a00:1:2:3:0:ff:fe33:4455"));
        // The example of the RFC: the bit of a world-wide number is set.
        let rfc = [0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde];
        assert_eq!(Suffix::Mac(rfc).as_address(), parsed("::3656:78ff:fe9a:bcde"));
    }

    #[test]
    fn a_length_that_is_written_counts_in_place_of_the_addresss_own() {
        check("2a00:1:2:3::9/128", written("::5", Some(64)), Ok("2a00:1:2:3::5"));
        // Another link of the same delegated prefix.
        check("2a00:1:2:3456::9/64", written("::12:0:0:0:5", Some(56)), Ok("2a00:1:2:3412::5"));
        check(
            "2a00:1:2:3400::9/56",
            with_mac(MAC, Some(56)),
            Ok("2a00:1:2:3400:211:22ff:fe33:4455"),
        );
        check("2a00:1:2:3:4::9/80", written("::5", None), Ok("2a00:1:2:3:4::5"));
        check("2a00::5/127", written("::1", Some(127)), Ok("2a00::5"));
    }

    #[test]
    fn a_prefix_that_leaves_no_room_is_told() {
        let no_room = |length| Err(Misfit::NoRoom { length, longest: 64 });
        check("2a00::9/128", written("::5", None), no_room(128));
        check("2a00::9/80", written("::1:2:3:4", None), no_room(80));
        check("2a00::9/65", with_mac(LOCAL_MAC, None), no_room(65));
        let told =
            "the prefix is /128, which leaves no room for the suffix; write prefix-length = 64";
        assert_eq!(Misfit::NoRoom { length: 128, longest: 64 }.to_string(), told);
        let above = written("::12:0:0:0:5", None);
        check("2a00::9/64", above, Err(Misfit::NoRoom { length: 64, longest: 59 }));
        let told = Misfit::NoRoom { length: 64, longest: 59 }.to_string();
        assert!(
            told.ends_with("write the delegated length as prefix-length, at most 59"),
            "{told}"
        );
    }

    /// Checks what becomes of `neighbour` beside `ours` where these prefixes are delegated.
    #[track_caller]
    fn check_delegated(ours: &str, neighbour: Neighbour, delegated: &[&str], expect: Option<&str>) {
        let split = |text: &str| -> (String, u8) {
            let (address, length) = text.split_once('/').unwrap();
            (address.to_owned(), length.parse().unwrap())
        };
        let prefix = |text: &&str| {
            let (address, length) = split(text);
            Prefix { address: parsed(&address), length }
        };
        let delegated: Vec<_> = delegated.iter().map(prefix).collect();
        let (address, length) = split(ours);
        let made = neighbour.address(&own(&address, length), &delegated);
        assert_eq!(made.ok(), expect.map(|address| parsed(address).into()), "{ours}");
    }

    #[test]
    fn a_delegated_prefix_makes_room() {
        let (suffix, subnet) = (written("::5", None), written("::12:0:0:0:5", None));
        let ours = "2a00:1:2:34ff::9/64";
        check_delegated(ours, subnet, &["2a00:1:2:3400::/56"], Some("2a00:1:2:3412::5"));
        // The nearest one that leaves room.
        let nested = ["2a00:1:2::/48", "2a00:1:2:3400::/56", "2a00:1:2:34f0::/60"];
        check_delegated(ours, subnet, &nested, Some("2a00:1:2:3412::5"));
        check_delegated(ours, written("::1234:0:0:0:5", None), &nested, Some("2a00:1:2:1234::5"));
        // The suffix names no network, so it is the one of our own address.
        let lease = "2a00:1:2:3407::9/128";
        check_delegated(lease, suffix, &["2a00:1:2:3400::/56"], Some("2a00:1:2:3407::5"));
        let mac = with_mac(MAC, None);
        let expect = "2a00:1:2:3407:211:22ff:fe33:4455";
        check_delegated(lease, mac, &["2a00:1:2:3407::/64"], Some(expect));
    }

    #[test]
    fn a_prefix_that_is_not_delegated_to_us_makes_no_room() {
        let subnet = written("::12:0:0:0:5", None);
        for other in ["2a00:1:3::/48", "2a00::/16", "::/0", "2a00:1:2:3400::/60"] {
            check_delegated("2a00:1:2:3400::9/64", subnet, &[other], None);
        }
        let lease = "2a00:1:2:3400::9/128";
        check_delegated(lease, written("::5", None), &["2a00:1:2:3400::9/128"], None);
        // What is written, or fits, needs none.
        let written_length = written("::12:0:0:0:5", Some(48));
        let delegated = ["2a00:1:2:3400::/56"];
        check_delegated("2a00:1:2:34ff::9/64", written_length, &delegated, Some("2a00:1:2:12::5"));
        let fits = written("::5", None);
        check_delegated("2a00:1:2:34ff::9/64", fits, &delegated, Some("2a00:1:2:34ff::5"));
        check_delegated("2a00:1:2:34ff::9/80", fits, &delegated, Some("2a00:1:2:34ff::5"));
    }

    #[test]
    fn a_prefix_that_is_too_short_is_told() {
        let short = |length, expected| Err(Misfit::Short { length, expected });
        check("2a00::9/56", written("::5", None), short(56, 64));
        check("2a00::9/56", with_mac(MAC, None), short(56, 64));
        check("2a00::9/60", written("::5", Some(62)), short(60, 62));
        check("2a00::9/0", written("::5", Some(1)), short(0, 1));
        check("8.8.8.8/24", written("::5", Some(1)), Err(Misfit::Ipv4));
        let told =
            "the prefix is /56, but /64 was expected; write prefix-length = 56 if that is right";
        assert_eq!(Misfit::Short { length: 56, expected: 64 }.to_string(), told);
    }

    #[test]
    fn a_suffix_inside_the_prefix_is_shown_beside_it() {
        let told = |suffix: Suffix, length| suffix.check_room(length).unwrap_err().to_string();
        assert_eq!(
            told(Suffix::Written(parsed("::1:0:0:0:5")), 64),
            "the suffix ::1:0:0:0:5 reaches into the prefix, whose /64 is ffff:ffff:ffff:ffff::"
        );
        assert_eq!(
            told(Suffix::Mac(LOCAL_MAC), 65),
            "the suffix ::ff:fe33:4455 reaches into the prefix, whose /65 is ffff:ffff:ffff:ffff:8000::"
        );
        assert_eq!(Suffix::Written(parsed("::1:0:0:0:5")).check_room(63), Ok(()));
        assert_eq!(Suffix::Mac(MAC).check_room(64), Ok(()));
        assert!(Suffix::Written(parsed("2a00::5")).check_room(1).is_ok());
        assert!(Suffix::Written(parsed("2a00::5")).check_room(3).is_err());
    }

    #[test]
    fn ours_stand_for_what_is_set_by_them() {
        let ours = [own("2a00:1::9", 64), own("2a00:2::9", 64), own("2a00:2::8", 128)];
        let set = |address: &str| Addresses::from(address.parse::<IpAddr>().unwrap());
        let neighbour = written("::5", None);
        let standing = |address: &str| neighbour.standing_for(&ours, &[], &set(address));
        assert_eq!(standing("2a00:2::5"), Some(set("2a00:2::9")));
        assert_eq!(standing("2a00:3::5"), None);
    }
}
