//! Names of network interfaces, as the configuration writes them and the kernel knows them.

use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes: `IFNAMSIZ` without its NUL.
const LONGEST: usize = 15;

/// The name of an interface, as the Linux kernel bounds it (`dev_valid_name`). It does not prove that
/// the interface exists.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InterfaceName {
    /// UTF-8, padded with NULs, which no name contains.
    bytes: [u8; LONGEST],
}

impl InterfaceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(LONGEST);
        std::str::from_utf8(&self.bytes[..length]).unwrap_or_default()
    }
}

/// Why a text is not the name of an interface, in words that follow it.
impl FromStr for InterfaceName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let foreign = |c: char| matches!(c, '/' | ':' | '\0') || c.is_whitespace();
        let is_foreign = text.is_empty() || text.contains(foreign) || matches!(text, "." | "..");
        let mut bytes = [0; LONGEST];
        match bytes.get_mut(..text.len()) {
            Some(room) if !is_foreign => room.copy_from_slice(text.as_bytes()),
            _ => {
                return Err(
                    "is not the name of an interface; `homing address` lists the ones there are",
                );
            }
        }
        Ok(Self { bytes })
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_kernel_would_take() {
        for name in ["eth0", "wan.2", "br-lan", "a23456789012345", "ü-wan", "..."] {
            let parsed: InterfaceName = name.parse().unwrap();
            assert_eq!((parsed.as_str(), parsed.to_string()), (name, name.to_owned()));
        }
        for wrong in ["", ".", "..", "a/b", "eth0:1", "a b", "a\tb", "a\0b", "a234567890123456"] {
            assert!(wrong.parse::<InterfaceName>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_ordered_as_their_texts() {
        let name = |text: &str| text.parse::<InterfaceName>().unwrap();
        assert!(name("wan") < name("wan2") && name("wan2") < name("wbn"));
        assert_ne!(name("wan"), name("wan2"));
    }
}
