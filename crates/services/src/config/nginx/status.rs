//! Pages on which nginx tells its state: which locations they are, and who may see them.

use portolan_linux::error::Escaped;

use super::listen::Listening;
use super::tree::{Statement, named};
use crate::configuration::{Configuration, StatusPage};

/// What a location says to be such a page: nginx's own, then those of modules and relatives.
const KINDS: &[&str] = &[
    "stub_status",
    "vhost_traffic_status_display",
    "stream_server_traffic_status_display",
    "api",
    "status",
    "prometheus",
    "check_status",
    "req_status_show",
    "server_traffic_status_display",
];

/// What a block has from those around it.
#[derive(Debug, Clone, Copy, Default)]
struct Guard {
    /// `deny`, or `allow` for some.
    addresses: bool,
    /// `auth_basic` and the like.
    proof: bool,
}

impl Guard {
    /// Rules of a block replace those around it, each sort for itself.
    fn within(self, block: &[Statement]) -> Self {
        let says = |name: &'static str| named(block, name).next().is_some();
        let addresses = if says("allow") || says("deny") { says("deny") } else { self.addresses };
        let mut proof = self.proof;
        for name in ["auth_basic", "auth_request", "auth_jwt"] {
            for statement in named(block, name) {
                proof = statement.argument(0) != Some(b"off");
            }
        }
        Self { addresses, proof }
    }
}

/// Finds the pages of a server.
pub(super) struct Pages<'a> {
    listens: &'a [Listening],
    configuration: &'a mut Configuration,
    host: Option<String>,
    verified: bool,
    found: bool,
    /// Whether a location does anything else.
    others: bool,
}

impl<'a> Pages<'a> {
    /// Notes the pages of a server; whether it has any, and serves nothing else.
    pub(super) fn of(
        http: &[Statement],
        server: &[Statement],
        listens: &'a [Listening],
        configuration: &'a mut Configuration,
    ) -> bool {
        let verified = named(server, "ssl_verify_client").any(|s| s.argument(0) == Some(b"on"));
        let mut pages =
            Pages { listens, configuration, host: host(server), verified, found: false, others: false };
        let guard = Guard::default().within(http).within(server);
        pages.look(server, "/", guard);
        for location in named(server, "location") {
            pages.location(location, guard, 0);
        }
        // What is served from files is said for the server as a whole most of the time.
        pages.found && !pages.others && named(server, "root").next().is_none()
    }

    fn location(&mut self, location: &Statement, around: Guard, depth: usize) {
        let guard = around.within(&location.block);
        match path(location) {
            Some(path) => self.look(&location.block, &path, guard),
            None => match page(&location.block) {
                // No one path asks for it that could be told.
                Some(kind) => {
                    let arguments: Vec<String> =
                        location.arguments.iter().map(|argument| Escaped(argument).to_string()).collect();
                    let name = format!("{kind} location");
                    self.configuration.settings.insert(name, arguments.join(" "));
                }
                None => self.others |= serves(&location.block),
            },
        }
        if depth < 20 {
            for inner in named(&location.block, "location") {
                self.location(inner, guard, depth.saturating_add(1));
            }
        }
    }

    fn look(&mut self, block: &[Statement], path: &str, guard: Guard) {
        let Some(kind) = page(block) else {
            self.others |= serves(block);
            return;
        };
        self.found = true;
        // Nobody from outside gets to see it at all.
        if named(block, "internal").next().is_some() {
            return;
        }
        for listening in self.listens {
            let page = StatusPage {
                kind,
                listen: listening.address.clone(),
                path: path.to_owned(),
                host: self.host.clone(),
                tls: listening.tls,
                restricted: guard.addresses || guard.proof || self.verified,
            };
            if self.configuration.status.len() < MOST_PAGES && !self.configuration.status.contains(&page) {
                self.configuration.status.push(page);
            }
        }
    }
}

const MOST_PAGES: usize = 100;

/// What sort of page a block is.
fn page(block: &[Statement]) -> Option<&'static str> {
    for statement in block {
        if let Some(kind) = KINDS.iter().find(|kind| statement.is(kind))
            && statement.argument(0) != Some(b"off")
        {
            return Some(kind);
        }
        if statement.name.starts_with(b"content_by_lua") {
            // The library nginx-lua-prometheus: `prometheus:collect()`, whatever the object is called.
            let text = statement.argument(0).unwrap_or(&statement.lua);
            if text.windows(9).any(|part| part == b":collect(") {
                return Some("prometheus");
            }
        }
    }
    None
}

/// Whether a block answers requests with anything that clients come for.
fn serves(block: &[Statement]) -> bool {
    block.iter().any(|statement| {
        statement.name.ends_with(b"_pass")
            || statement.name.starts_with(b"content_by_")
            || ["root", "alias", "try_files", "js_content", "perl", "empty_gif", "flv", "mp4", "dav_methods"]
                .iter()
                .any(|name| statement.is(name))
    })
}

/// The path that asks for a location; `None` for a regular expression that is more than a text.
fn path(location: &Statement) -> Option<String> {
    match location.arguments.as_slice() {
        [modifier, path] => match modifier.as_slice() {
            b"=" | b"^~" => text(path),
            b"~" | b"~*" => literal(path),
            _ => None,
        },
        // The modifier may stand right before the path.
        [path] => match path.as_slice() {
            [b'=', path @ ..] | [b'^', b'~', path @ ..] => text(path),
            [b'~', b'*', path @ ..] | [b'~', path @ ..] => literal(path),
            [b'@', ..] => None,
            path => text(path),
        },
        _ => None,
    }
}

fn text(path: &[u8]) -> Option<String> {
    String::from_utf8(path.to_vec()).ok().filter(|path| path.starts_with('/'))
}

/// A text that an expression matches, where it is no more than one between anchors.
fn literal(expression: &[u8]) -> Option<String> {
    let inner = expression.strip_prefix(b"^")?;
    let inner = inner.strip_suffix(b"$").unwrap_or(inner);
    let inner = inner.strip_suffix(b"/?").unwrap_or(inner);
    let mut plain = Vec::new();
    let mut left = inner.iter();
    while let Some(byte) = left.next() {
        match byte {
            b'\\' => plain.push(*left.next().filter(|byte| !byte.is_ascii_alphanumeric())?),
            b'.' | b'*' | b'+' | b'?' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'|' | b'^' | b'$' => {
                return None;
            }
            byte => plain.push(*byte),
        }
    }
    text(&plain)
}

/// The first name of a server that is one, and no pattern.
fn host(server: &[Statement]) -> Option<String> {
    let names = named(server, "server_name").flat_map(|statement| &statement.arguments);
    let mut plain = names.filter(|name| {
        let letters = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
        !name.is_empty() && name.as_slice() != b"_" && name.iter().all(letters)
    });
    // ".example.com" is that host and all below it.
    plain.next().map(|name| String::from_utf8_lossy(name.strip_prefix(b".").unwrap_or(name)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_are_texts() {
        assert_eq!(literal(br"^/status$").as_deref(), Some("/status"));
        assert_eq!(literal(br"^/a\.b/?$").as_deref(), Some("/a.b"));
        for other in [&b"/status"[..], b"^/(a|b)$", br"^/\d$", b"^/a.*"] {
            assert_eq!(literal(other), None);
        }
    }
}
