//! Which modules a server has, and what follows for its configuration's conditions.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeSet;

/// The modules of a server so far.
#[derive(Debug)]
pub(super) struct Modules {
    /// The names of their source files (`mod_ssl.c`) and of their structures (`ssl_module`).
    known: BTreeSet<Vec<u8>>,
    /// Whether any was loaded: a server that loads none has all of them compiled in, and which is not known.
    pub(super) loads: bool,
}

/// What every build has.
const ALWAYS: &[&str] = &["core", "so", "http"];

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// It cannot be known; this is assumed.
    Perhaps(bool),
}

impl Holds {
    pub(super) fn assumed(self) -> bool {
        matches!(self, Self::Yes | Self::Perhaps(true))
    }

    fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Perhaps(assumed) => Self::Perhaps(!assumed),
        }
    }
}

impl Modules {
    /// Those compiled in, by their short names.
    pub(super) fn new(compiled_in: &[&str]) -> Self {
        let mut modules =
            Self { known: BTreeSet::from([b"core.c".to_vec(), b"http_core.c".to_vec()]), loads: false };
        for name in ALWAYS.iter().chain(compiled_in) {
            modules.add(format!("{name}_module").as_bytes(), format!("mod_{name}.so").as_bytes());
        }
        modules
    }

    /// `LoadModule structure file`.
    pub(super) fn load(&mut self, structure: &[u8], file: &[u8]) {
        self.loads = true;
        let name = file.rsplit(|b| *b == b'/').next().unwrap_or(file);
        self.add(structure, name);
    }

    fn add(&mut self, structure: &[u8], file: &[u8]) {
        let stem = file.strip_suffix(b".so").unwrap_or(file);
        let short = structure.strip_suffix(b"_module").unwrap_or(structure);
        self.known.insert(structure.to_vec());
        // A module's name is that of its source file, which is the name of the library, with exceptions.
        if let Some(process_model) = short.strip_prefix(b"mpm_") {
            self.known.insert([process_model, b".c"].concat());
        } else if stem.starts_with(b"libphp") {
            self.known.insert([b"mod_", short, b".c"].concat());
        } else if stem == b"mod_ldap" {
            self.known.insert(b"util_ldap.c".to_vec());
        } else {
            self.known.insert([stem, b".c"].concat());
            self.known.insert([stem, b".cpp"].concat());
            if !stem.starts_with(b"mod_") {
                self.known.insert([b"mod_", short, b".c"].concat());
            }
        }
    }

    /// `<IfModule>`, without the `!`.
    pub(super) fn has(&self, name: &[u8]) -> Holds {
        match self.known.contains(name) {
            true => Holds::Yes,
            false if self.loads => Holds::No,
            false => Holds::Perhaps(false),
        }
    }

    /// `<IfDirective>`: whether a module has this directive.
    pub(super) fn has_directive(&self, name: &[u8]) -> Holds {
        let name = name.to_ascii_lowercase();
        let owner = OWNERS.iter().find(|(start, _)| name.starts_with(start.as_bytes()));
        match owner {
            Some((_, "")) => Holds::Yes,
            Some((_, module)) => self.has(format!("{module}_module").as_bytes()),
            None => Holds::Perhaps(true),
        }
    }

    /// `<IfSection>`: whether there is a section of this name.
    pub(super) fn has_section(&self, name: &[u8]) -> Holds {
        let core =
            ["directory", "directorymatch", "files", "filesmatch", "if", "limit", "limitexcept", "location"];
        let more =
            ["locationmatch", "virtualhost", "ifmodule", "ifdefine", "iffile", "ifdirective", "ifsection"];
        let mut names = core.iter().chain(&more);
        if names.any(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
            return Holds::Yes;
        }
        match name.to_ascii_lowercase().as_slice() {
            b"proxy" | b"proxymatch" => self.has(b"proxy_module"),
            b"macro" => self.has(b"macro_module"),
            b"ifversion" => self.has(b"version_module"),
            b"requireany" | b"requireall" | b"requirenone" => self.has(b"authz_core_module"),
            _ => Holds::Perhaps(true),
        }
    }

    /// The process model, where one is loaded.
    pub(super) fn process_model(&self) -> Option<&[u8]> {
        self.known.iter().find_map(|known| known.strip_prefix(b"mpm_")?.strip_suffix(b"_module"))
    }
}

/// Whose directives begin so; the first that fits counts. An empty name is the core.
const OWNERS: &[(&str, &str)] = &[
    ("sslproxy", "ssl"),
    ("ssl", "ssl"),
    ("proxyhtml", "proxy_html"),
    ("proxyexpress", "proxy_express"),
    ("proxy", "proxy"),
    ("balancer", "proxy"),
    ("rewrite", "rewrite"),
    ("requestheader", "headers"),
    ("header", "headers"),
    ("expires", "expires"),
    ("customlog", "log_config"),
    ("logformat", "log_config"),
    ("transferlog", "log_config"),
    ("forensiclog", "log_forensic"),
    ("extendedstatus", ""),
    ("deflate", "deflate"),
    ("brotli", "brotli"),
    ("directoryindex", "dir"),
    ("alias", "alias"),
    ("scriptalias", "alias"),
    ("redirect", "alias"),
    ("setenvif", "setenvif"),
    ("setenv", "env"),
    ("remoteip", "remoteip"),
    ("md", "md"),
    ("h2", "http2"),
    ("include", ""),
    ("listen", ""),
    ("serverroot", ""),
    ("documentroot", ""),
    ("errorlog", ""),
    ("define", ""),
    ("protocols", ""),
];

/// `<IfVersion>`, without the `!`: an operator and a version. Every server that is still met is a 2.4; where its last
/// number decides, it is assumed to be the newest.
pub(super) fn version(operator: &[u8], version: &[u8]) -> Holds {
    let (operator, version) = match operator {
        b"=" | b"==" | b">" | b">=" | b"<" | b"<=" => (operator, version),
        // `~`, and `= /regular expression/`.
        b"~" => return Holds::Perhaps(true),
        other => (&b"="[..], other),
    };
    let Ok(text) = std::str::from_utf8(version) else { return Holds::Perhaps(true) };
    let mut numbers = text.split('.').map(|number| number.parse::<u32>().ok());
    let (Some(Some(major)), minor, patch) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Holds::Perhaps(true);
    };
    let (Some(minor), Some(patch)) = (minor.unwrap_or(Some(0)), patch.unwrap_or(Some(0))) else {
        return Holds::Perhaps(true);
    };
    let order = (2, 4).cmp(&(major, minor));
    match (operator, order) {
        (b">" | b">=", Greater) | (b"<" | b"<=", Less) => Holds::Yes,
        // There is no 2.4.0 any more.
        (b">" | b">=", Equal) => {
            if patch == 0 {
                Holds::Yes
            } else {
                Holds::Perhaps(true)
            }
        }
        (b"<" | b"<=", Equal) => {
            if patch == 0 {
                Holds::No
            } else {
                Holds::Perhaps(false)
            }
        }
        (b"=" | b"==", Equal) => {
            if patch == 0 {
                Holds::No
            } else {
                Holds::Perhaps(false)
            }
        }
        _ => Holds::of(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_by_both_their_names() {
        let mut modules = Modules::new(&["log_config"]);
        for name in ["core.c", "core_module", "so_module", "mod_so.c", "http_core.c", "mod_log_config.c"] {
            assert_eq!(modules.has(name.as_bytes()), Holds::Yes, "{name}");
        }
        assert_eq!(modules.has(b"mod_ssl.c"), Holds::Perhaps(false));
        modules.load(b"mpm_event_module", b"modules/mod_mpm_event.so");
        modules.load(b"php7_module", b"/usr/lib/apache2/modules/libphp7.4.so");
        modules.load(b"ldap_module", b"modules/mod_ldap.so");
        modules.load(b"security2_module", b"mod_security2.so");
        for name in [
            "event.c",
            "util_ldap.c",
            "ldap_module",
            "mpm_event_module",
            "mod_php7.c",
            "security2_module",
            "mod_security2.c",
        ] {
            assert_eq!(modules.has(name.as_bytes()), Holds::Yes, "{name}");
        }
        for name in ["mod_mpm_event.c", "mod_ldap.c", "mod_ssl.c", "ssl_module", "php7.c"] {
            assert_eq!(modules.has(name.as_bytes()), Holds::No, "{name}");
        }
        assert_eq!(modules.process_model(), Some(&b"event"[..]));
        assert_eq!(modules.has_directive(b"SSLEngine"), Holds::No);
        assert_eq!(modules.has_directive(b"Listen"), Holds::Yes);
        assert_eq!(modules.has_directive(b"Whatever"), Holds::Perhaps(true));
    }

    #[test]
    fn versions() {
        for (operator, number, holds) in [
            (">=", "2.4", Holds::Yes),
            ("<", "2.4", Holds::No),
            (">", "2.3", Holds::Yes),
            ("<=", "2.2.99", Holds::No),
            ("<", "2.5", Holds::Yes),
            (">=", "2.4.10", Holds::Perhaps(true)),
            ("2.4.10", "", Holds::Perhaps(false)),
            ("=", "2.2", Holds::No),
            ("~", "^2", Holds::Perhaps(true)),
        ] {
            assert_eq!(version(operator.as_bytes(), number.as_bytes()), holds, "{operator} {number}");
        }
    }
}
