//! A container's `hosts` (`hosts(5)`), which may be hostile.

use std::collections::HashMap;
use std::net::IpAddr;

/// More bytes than these are not looked at.
const BYTES: usize = 1024 * 1024;
/// More addresses of one name than these are not kept.
const ADDRESSES: usize = 16;

/// Which addresses the file gives to names.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// What cannot be read is passed over, line by line.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = text.get(..BYTES).unwrap_or(text);
        let mut hosts = Self::default();
        for line in text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for name in words {
                let known = hosts.0.entry(key(name)).or_default();
                if known.len() < ADDRESSES && !known.contains(&address) {
                    known.push(address);
                }
            }
        }
        hosts
    }

    pub(super) fn get(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(&key(name)).map(Vec::as_slice)
    }
}

fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_line_has_its_address() {
        let hosts = Hosts::parse(
            b"127.0.0.1\tlocalhost\n# 10.0.0.1 no\n10.0.0.2 DB db.local # 10.0.0.3\n::1 db\n10.0.0.2 db\n\
              fe80::1%eth0 scoped\nx y\n\xff\xff z\n10.0.0.9",
        );
        let all = |name| hosts.get(name).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(all("db"), Some(vec!["10.0.0.2".into(), "::1".into()]));
        assert_eq!(all("DB.Local."), Some(vec!["10.0.0.2".into()]));
        for name in ["no", "scoped", "y", "z", "#", "", "10.0.0.3"] {
            assert_eq!(all(name), None, "{name}");
        }
    }

    #[test]
    fn a_hostile_text_is_cut() {
        let text: String = (0..60_000).map(|n| format!("10.0.{}.{} a\n", n / 256 % 256, n % 256)).collect();
        assert_eq!(Hosts::parse(text.as_bytes()).get("a").map(<[_]>::len), Some(ADDRESSES));
        let mut late = vec![b'#'; BYTES];
        late.extend(b"\n10.0.0.1 late\n");
        assert_eq!(Hosts::parse(&late).get("late"), None);
    }
}
