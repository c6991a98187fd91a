//! What to call a program that no rule knows, from what its interpreter runs.

use super::grammar::{Task, What};
use super::language::Language;
use super::running::file_name;

/// Names that every program has, so that they tell none from another.
const COMMON: &[&str] = &[
    "__main__",
    "app",
    "application",
    "asgi",
    "boot",
    "bootstrap",
    "cli",
    "entry",
    "entrypoint",
    "index",
    "init",
    "launch",
    "launcher",
    "main",
    "manage",
    "program",
    "run",
    "runner",
    "server",
    "service",
    "start",
    "startup",
    "worker",
    "wsgi",
];

/// Directories that every program has.
const PLACES: &[&str] = &[
    "bin",
    "build",
    "current",
    "dist",
    "lib",
    "libexec",
    "out",
    "public",
    "publish",
    "release",
    "releases",
    "sbin",
    "scripts",
    "src",
    "start",
    "target",
    "www",
    "node_modules",
    ".",
    "..",
    "",
];

/// No name is longer.
const LONGEST: usize = 64;

/// The name of what an interpreter runs; the directory is the process's own, where a relative path begins.
pub(super) fn of(task: &Task<'_>, directory: &[u8]) -> Option<Vec<u8>> {
    let command = task.rest.first().map(Vec::as_slice);
    let name = match (task.language, task.what.first()?) {
        (Language::Erlang, _) => return cut(release(task)?),
        (_, What::Class(class)) => of_class(class),
        (_, What::Module(module)) => match command {
            Some(application) if serves(module) && application.contains(&b':') => of_module(application),
            _ => of_module(module),
        },
        (_, What::Jar(jar)) => {
            let stem = stem(file_name(jar));
            let name = versionless(stem);
            // With a version it is what its makers call it.
            if common(name) && name == stem { of_place(jar, directory).unwrap_or(name) } else { name }
        }
        (_, What::Script(script)) => {
            let name = stem(file_name(script));
            if common(name) { of_place(script, directory).unwrap_or(name) } else { name }
        }
        (_, What::Text) => return None,
    };
    cut(name)
}

/// Whether a module serves another, which is named to it.
fn serves(module: &[u8]) -> bool {
    [&b"gunicorn"[..], b"uvicorn", b"hypercorn", b"daphne", b"waitress"].contains(&module)
}

fn cut(name: &[u8]) -> Option<Vec<u8>> {
    (!name.is_empty()).then(|| name.get(..LONGEST).unwrap_or(name).to_vec())
}

fn common(name: &[u8]) -> bool {
    COMMON.iter().any(|common| common.as_bytes().eq_ignore_ascii_case(name))
}

/// Without what follows the last dot.
fn stem(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'.') {
        Some(at) if at > 0 => name.get(..at).unwrap_or(name),
        _ => name,
    }
}

/// `billing-1.2.3-SNAPSHOT` without what follows the name: from the first dash before a digit.
fn versionless(name: &[u8]) -> &[u8] {
    let version = |pair: &[u8]| matches!(pair, [b'-' | b'_', b'0'..=b'9']) || pair == b"-v" || pair == b"-S";
    let at = name.windows(2).position(version).filter(|at| *at > 0);
    let name = at.and_then(|at| name.get(..at)).unwrap_or(name);
    let endings = [&b"-all"[..], b"-fat", b"-exec", b"-standalone", b"-boot"];
    endings.iter().find_map(|ending| name.strip_suffix(*ending)).unwrap_or(name)
}

/// The directory that a file lies in, as long as it is not one of those that every program has.
fn of_place<'a>(path: &'a [u8], directory: &'a [u8]) -> Option<&'a [u8]> {
    let mut names = path.rsplit(|b| *b == b'/').skip(1);
    let named = |name: &&[u8]| !PLACES.iter().any(|place| place.as_bytes() == *name);
    let own = names.find(named);
    if own.is_some() || path.starts_with(b"/") {
        return own;
    }
    directory.rsplit(|b| *b == b'/').find(named)
}

/// `com.acme.billing.Main` is `billing`, `com.acme.BillingServer` is itself.
fn of_class(class: &[u8]) -> &[u8] {
    let mut names = class.rsplit(|b| *b == b'.');
    let own = names.next().unwrap_or(class);
    // Scala and Kotlin mark what they make of objects and files.
    let own = own.strip_suffix(b"$").unwrap_or(own);
    let own = own.strip_suffix(b"Kt").unwrap_or(own);
    if common(own) { names.find(|name| !common(name)).unwrap_or(own) } else { own }
}

/// `shop.api.wsgi:application` is `shop`.
fn of_module(module: &[u8]) -> &[u8] {
    let module = module.split(|b| *b == b':').next().unwrap_or(module);
    module
        .split(|b| *b == b'.')
        .find(|name| !name.is_empty() && !common(name))
        .unwrap_or_else(|| module.split(|b| *b == b'.').next().unwrap_or(module))
}

/// An Erlang node's release, or the name of the node, or the module that was started.
fn release<'a>(task: &Task<'a>) -> Option<&'a [u8]> {
    let boots = |what: &What<'a>| match what {
        What::Script(path) => before(path, b"releases"),
        _ => None,
    };
    let of_node = || {
        let pairs = task.rest.iter().zip(task.rest.iter().skip(1));
        let mut named = pairs.filter(|(option, _)| matches!(option.as_slice(), b"-sname" | b"-name"));
        named.next().and_then(|(_, name)| name.split(|b| *b == b'@').next())
    };
    let module = || {
        task.what.iter().find_map(|what| match what {
            What::Module(name) if !matches!(*name, b"elixir" | b"start_cli") => Some(*name),
            _ => None,
        })
    };
    task.what.iter().find_map(boots).or_else(of_node).or_else(module)
}

/// The directory before this one in a path.
fn before<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    let mut names = path.rsplit(|b| *b == b'/');
    names.find(|name| *name == directory)?;
    names.find(|name| !PLACES.iter().any(|place| place.as_bytes() == *name))
}
