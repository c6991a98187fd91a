//! PHP-FPM.
//!
//! Its files are in the grammar of php.ini. A relative path begins at the prefix that was compiled in, or given.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::getopt::{self, Argument};
use super::reading::{Reading, host, lines, number, parent, path_of, started_in};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, LogFormat, LogPurpose, Purpose, StatusPage};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "php-fpm", foresee, read };

/// What the master writes over its arguments, before its file's path.
const TITLE: &[u8] = b"php-fpm: master process (";
/// How lines of an access log are written unless told.
const ACCESS_FORMAT: &str = "%R - %u %t \"%m %r\" %s";
const MOST_POOLS: usize = 200;
/// How deep the service itself lets files include files.
const DEEPEST: usize = 4;

/// How it was started.
struct Start {
    /// The candidates of the main file, the likeliest first.
    files: Vec<PathBuf>,
    by: &'static str,
    prefix: PathBuf,
    /// Where its own log is unless told: `log` lies there.
    state: PathBuf,
}

/// A pool, and what it is told, in the order of its file.
struct Pool {
    name: Vec<u8>,
    settings: Vec<(Vec<u8>, Vec<u8>)>,
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let start = Start::of(launch);
    let mut wanted = Vec::new();
    for file in start.files {
        for pools in ["pool.d", "php-fpm.d"] {
            wanted.push(Wanted::Include(parent(&file).join(pools).join("*.conf")));
        }
        wanted.push(Wanted::Read(file));
    }
    wanted
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let start = Start::of(launch);
    let mut files = Files { reading: Reading::new(launch, source, DEEPEST), start, pools: Vec::new(), at: 0 };
    files.pools.push(Pool { name: b"global".to_vec(), settings: Vec::new() });
    let paths = std::mem::take(&mut files.start.files);
    let by = files.start.by;
    let last = paths.len().saturating_sub(1);
    for (place, path) in paths.iter().enumerate() {
        let text = if place == last {
            files.reading.file(path, by, None)
        } else {
            files.reading.file_if_there(path, by)
        };
        if let Some(text) = text {
            files.take(path, &text);
            files.finish();
            break;
        }
        if !files.reading.found.faults.is_empty() {
            break;
        }
    }
    files.reading.found
}

impl Start {
    fn of(launch: &Launch) -> Self {
        let bin = launch.program.parent().filter(|bin| bin.ends_with("sbin") || bin.ends_with("bin"));
        let built = bin.and_then(Path::parent).filter(|prefix| prefix.as_os_str().len() > 1);
        let built = built.unwrap_or(Path::new("/usr")).to_owned();
        let (mut file, mut prefix) = (None, None);
        for argument in
            getopt::parse(&launch.arguments, b"cdgpy", &["fpm-config", "prefix", "php-ini", "pid"])
        {
            match argument {
                Argument::Short(b'y', value) | Argument::Long(b"fpm-config", Some(value)) => {
                    file = Some(value);
                }
                Argument::Short(b'p', value) | Argument::Long(b"prefix", Some(value)) => prefix = Some(value),
                _ => {}
            }
        }
        let here = started_in(launch);
        let prefix = prefix.map(|prefix| here.join(path_of(prefix)));
        let state = match &prefix {
            Some(prefix) => prefix.clone(),
            None if built == Path::new("/usr") => "/var".into(),
            None => built.join("var"),
        };
        let title = launch.arguments.first().and_then(|title| title.strip_prefix(TITLE));
        let title = title.and_then(|title| title.strip_suffix(b")"));
        let (files, by) = match (file, title) {
            (Some(file), _) => (vec![here.join(path_of(file))], "argument -y"),
            (None, Some(path)) => (vec![here.join(path_of(path))], "process title"),
            (None, None) => (usual(launch, &built, prefix.as_deref()), "compiled-in default"),
        };
        Self { files, by, prefix: prefix.unwrap_or(built), state }
    }

    /// A path as the service completes it; a pool may have a prefix of its own.
    fn path(&self, prefix: Option<&[u8]>, path: &[u8]) -> PathBuf {
        let own = prefix.map(path_of);
        own.as_deref().unwrap_or(&self.prefix).join(path_of(path))
    }
}

/// Where builds have their file, by the program's name: `php-fpm8.2` is Debian's, `php-fpm83` Alpine's.
fn usual(launch: &Launch, built: &Path, prefix: Option<&Path>) -> Vec<PathBuf> {
    if let Some(prefix) = prefix {
        return vec![prefix.join("etc/php-fpm.conf")];
    }
    let mut files = Vec::new();
    let version = launch.name().strip_prefix(b"php-fpm").unwrap_or(&[]);
    if !version.is_empty() && version.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        let version = String::from_utf8_lossy(version);
        if version.contains('.') {
            files.push(format!("/etc/php/{version}/fpm/php-fpm.conf").into());
        }
        files.push(format!("/etc/php{version}/php-fpm.conf").into());
        files.push(format!("/etc/php{version}/fpm/php-fpm.conf").into());
    }
    if built == Path::new("/usr") {
        files.push("/etc/php-fpm.conf".into());
        return files;
    }
    files.push(built.join("etc/php-fpm.conf"));
    // Remi's collections: /opt/remi/php82/root/usr/sbin/php-fpm.
    if let Some(collection) =
        built.to_str().and_then(|built| built.strip_prefix("/opt/")?.strip_suffix("/root/usr"))
    {
        files.push(format!("/etc/opt/{collection}/php-fpm.conf").into());
    }
    files
}

/// The files as they are read, one within the other.
struct Files<'a> {
    reading: Reading<'a>,
    start: Start,
    /// The first is `[global]`.
    pools: Vec<Pool>,
    /// The section that is open: it stays open over the end of a file.
    at: usize,
}

impl Files<'_> {
    fn take(&mut self, path: &Path, text: &[u8]) {
        if !self.reading.enter(path, None) {
            return;
        }
        for (number, line) in lines(text) {
            let line = line.trim_ascii();
            let place = Some((path, number));
            if line.is_empty() || line.starts_with(b";") || line.starts_with(b"#") {
                continue;
            }
            if let Some(rest) = line.strip_prefix(b"[") {
                let name = rest.split(|b| *b == b']').next().unwrap_or(rest).trim_ascii();
                self.section(name, place);
                continue;
            }
            let Some(equals) = line.iter().position(|b| *b == b'=') else {
                self.reading.fault(place, "it is no setting");
                continue;
            };
            let (key, value) = line.split_at_checked(equals).unwrap_or((line, b""));
            let key = key.trim_ascii();
            let Some(value) = self.value(value.strip_prefix(b"=").unwrap_or(value)) else {
                let message = "a variable is not known, which the service had when it started";
                self.reading.fault(place, message);
                continue;
            };
            if key == b"include" {
                let pattern = self.start.path(None, &value);
                for (path, text) in self.reading.matches(&pattern, "included", place) {
                    self.take(&path, &text);
                }
            } else if let Some(pool) = self.pools.get_mut(self.at) {
                pool.settings.push((key.to_vec(), value));
            }
        }
        self.reading.leave();
    }

    fn section(&mut self, name: &[u8], place: Option<(&Path, u32)>) {
        let name = if name.eq_ignore_ascii_case(b"global") { b"global" } else { name };
        self.at = match self.pools.iter().position(|pool| pool.name == name) {
            Some(at) => at,
            None if self.pools.len() < MOST_POOLS => {
                self.pools.push(Pool { name: name.to_vec(), settings: Vec::new() });
                self.pools.len().saturating_sub(1)
            }
            None => {
                self.reading.fault(place, "it has too many pools; this one is left out");
                usize::MAX
            }
        };
    }

    /// A value without quotes, comment and variables. None where one of them is not known: the service overwrites them
    /// with its title.
    fn value(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut left = text.trim_ascii();
        let quote = left.first().copied().filter(|b| matches!(b, b'"' | b'\''));
        if quote.is_some() {
            left = left.get(1..).unwrap_or(&[]);
        }
        while let Some((first, rest)) = left.split_first() {
            left = rest;
            match (*first, quote) {
                (byte, Some(quote)) if byte == quote => return Some(value),
                (b'\\', Some(b'"')) if matches!(left.first(), Some(b'"' | b'\\')) => {
                    value.extend(left.first());
                    left = left.get(1..).unwrap_or(&[]);
                }
                (b';', None) => break,
                (b'$', None | Some(b'"')) if left.starts_with(b"{") => {
                    let end = left.iter().position(|b| *b == b'}').unwrap_or(left.len());
                    let name = std::str::from_utf8(left.get(1..end).unwrap_or(&[])).unwrap_or("");
                    let known = if value.len() < LONGEST { self.reading.launch.variable(name) } else { None };
                    value.extend_from_slice(known?);
                    left = left.get(end.saturating_add(1)..).unwrap_or(&[]);
                }
                (byte, _) => value.push(byte),
            }
        }
        Some(value.trim_ascii_end().to_vec())
    }

    fn finish(&mut self) {
        let pools = std::mem::take(&mut self.pools);
        let mut pools = pools.iter();
        if let Some(global) = pools.next() {
            let log = global.get("error_log").unwrap_or_else(|| b"log/php-fpm.log".to_vec());
            if log != b"syslog" {
                self.reading.log(self.start.state.join(path_of(&log)), LogPurpose::Error, None, false);
            }
            if let Some(pid) = global.get("pid") {
                let pid = self.start.state.join(path_of(&pid));
                self.reading.set("pid", pid.as_os_str().as_bytes());
            }
        }
        for pool in pools {
            self.pool(pool);
        }
    }

    fn pool(&mut self, pool: &Pool) {
        let prefix = pool.get("prefix");
        let path = |start: &Start, path: &[u8]| start.path(prefix.as_deref(), path);
        let shown = String::from_utf8_lossy(&pool.name).into_owned();
        for name in ["user", "pm", "pm.max_children", "clear_env", "chroot"] {
            if let Some(value) = pool.get(name) {
                self.reading.set(&format!("{shown}.{name}"), &value);
            }
        }
        let address = |start: &Start, text: &[u8]| match address(text) {
            Some(address) => address,
            None => ListenAddress::Unix(path(start, text)),
        };
        let Some(listen) = pool.get("listen").map(|listen| address(&self.start, &listen)) else {
            self.reading.fault(None, format_args!("the pool {shown} listens nowhere"));
            return;
        };
        self.reading.listen(listen.clone(), Some(false), Purpose::Service);
        let told = pool.get("pm.status_listen").filter(|told| !told.is_empty());
        let status = told.map(|told| address(&self.start, &told));
        let restricted = pool.get("listen.allowed_clients").is_some_and(|clients| !clients.is_empty());
        for (kind, name, query, listen) in [
            ("pm.status_path", "pm.status_path", "?json", status.as_ref().unwrap_or(&listen)),
            ("ping.path", "ping.path", "", &listen),
        ] {
            let Some(path) = pool.get(name).filter(|path| path.starts_with(b"/")) else { continue };
            let page = StatusPage {
                kind,
                listen: listen.clone(),
                path: format!("{}{query}", String::from_utf8_lossy(&path)),
                host: None,
                tls: false,
                restricted: restricted && !matches!(listen, ListenAddress::Unix(_)),
            };
            self.reading.found.status.push(page);
        }
        if let Some(status) = status {
            self.reading.listen(status, Some(false), Purpose::Status);
        }
        if let Some(log) = pool.get("access.log") {
            let text = pool.get("access.format").map(|text| String::from_utf8_lossy(&text).into_owned());
            let name = if text.is_some() { "access.format" } else { "default" }.to_owned();
            let format = LogFormat { name, text: text.or_else(|| Some(ACCESS_FORMAT.to_owned())) };
            self.reading.log(path(&self.start, &log), LogPurpose::Access, Some(format), false);
        }
        // Without a time, nothing is slow.
        let slow = pool.get("request_slowlog_timeout").unwrap_or_default();
        if let Some(log) = pool.get("slowlog")
            && slow.iter().any(|b| matches!(b, b'1'..=b'9'))
        {
            self.reading.log(path(&self.start, &log), LogPurpose::Slow, None, false);
        }
        for kind in ["php_admin_value[error_log]", "php_value[error_log]"] {
            if let Some(log) = pool.get(kind).filter(|log| log.starts_with(b"/")) {
                self.reading.log(path_of(&log), LogPurpose::Error, None, false);
                break;
            }
        }
    }
}

/// A value with variables becomes no longer than this by them, about.
const LONGEST: usize = 64 * 1024;

impl Pool {
    /// What a setting was last set to, with the pool's name in it.
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let (_, value) = self.settings.iter().rev().find(|(key, _)| key == name.as_bytes())?;
        let mut whole = Vec::with_capacity(value.len());
        let mut left = value.as_slice();
        while let Some((first, rest)) = left.split_first() {
            if let Some(rest) = left.strip_prefix(b"$pool").filter(|_| whole.len() < LONGEST) {
                whole.extend_from_slice(&self.name);
                left = rest;
            } else {
                whole.push(*first);
                left = rest;
            }
        }
        Some(whole)
    }
}

/// A port alone, or whatever has a colon; all else is a path.
fn address(text: &[u8]) -> Option<ListenAddress> {
    match text.iter().rposition(|b| *b == b':') {
        Some(at) => {
            let (name, port) = text.split_at_checked(at)?;
            Some(host(name, number(port.get(1..)?)?))
        }
        None => Some(ListenAddress::Inet(None, number(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn pools_of_included_files() {
        let mut memory = Memory::of(&[
            (
                "/etc/php/8.2/fpm/php-fpm.conf",
                "; comment\n[global]\nerror_log = /var/log/php8.2-fpm.log\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n",
            ),
            (
                "/etc/php/8.2/fpm/pool.d/a.conf",
                "[www]\nuser = www-data ; who\nlisten = /run/php/$pool.sock\npm.status_path = /status\nping.path = '/ping'\n\
                 access.log = \"log/$pool-${HOST}.log\"\naccess.format = \"%R \\\"%r\\\"\"\nslowlog = /var/log/slow\n\
                 request_slowlog_timeout = 5s\nphp_admin_value[error_log] = /var/log/$pool.php.log\n",
            ),
            (
                "/etc/php/8.2/fpm/pool.d/b.conf",
                "[tcp]\nlisten=[::1]:9001\npm.status_listen = 9002\npm.status_path=/s\nslowlog=x\nprefix=/srv/tcp\n\
                 access.log=a.log\nlisten.allowed_clients=127.0.0.1\nbroken\n",
            ),
        ]);
        let launch = Launch::test(
            "/usr/sbin/php-fpm8.2",
            &["php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"],
            &[("HOST", "h")],
        );
        let found = read(&launch, &mut memory);
        assert_eq!(found.files.len(), 3);
        assert_eq!(found.files[0].by, "process title");
        let listens: Vec<String> = found.listens.iter().map(|listen| listen.address.to_string()).collect();
        assert_eq!(listens, ["unix:/run/php/www.sock", "[::1]:9001", "*:9002"]);
        let pages: Vec<String> =
            found.status.iter().map(|page| format!("{} {}", page.listen, page.path)).collect();
        assert_eq!(
            pages,
            ["unix:/run/php/www.sock /status?json", "unix:/run/php/www.sock /ping", "*:9002 /s?json"]
        );
        assert!(found.status[2].restricted && !found.status[0].restricted);
        let logs: Vec<&str> = found.logs.iter().map(|log| log.path.to_str().unwrap()).collect();
        assert_eq!(
            logs,
            [
                "/var/log/php8.2-fpm.log",
                "/usr/log/www-h.log",
                "/var/log/slow",
                "/var/log/www.php.log",
                "/srv/tcp/a.log"
            ]
        );
        assert_eq!(found.logs[1].format.as_ref().unwrap().text.as_deref(), Some("%R \"%r\""));
        assert_eq!(found.settings["www.user"], "www-data");
        assert_eq!(found.faults.len(), 1, "{:?}", found.faults);
        assert_eq!(found.faults[0].line, Some(9));
    }

    #[test]
    fn builds_are_told_by_the_program() {
        for (program, file) in [
            ("/usr/sbin/php-fpm8.2", "/etc/php/8.2/fpm/php-fpm.conf"),
            ("/usr/sbin/php-fpm83", "/etc/php83/php-fpm.conf"),
            ("/usr/sbin/php-fpm", "/etc/php-fpm.conf"),
            ("/usr/local/sbin/php-fpm", "/usr/local/etc/php-fpm.conf"),
        ] {
            let start = Start::of(&Launch::test(program, &["php-fpm"], &[]));
            assert_eq!(start.files[0], Path::new(file), "{program}");
        }
        let start = Start::of(&Launch::test("/usr/local/sbin/php-fpm", &["php-fpm", "-F"], &[]));
        assert_eq!(start.path(None, b"etc/php-fpm.d/*.conf"), Path::new("/usr/local/etc/php-fpm.d/*.conf"));
        assert_eq!(start.state, Path::new("/usr/local/var"));
    }

    #[test]
    fn circles_and_nonsense_end() {
        let mut memory = Memory::of(&[(
            "/etc/php-fpm.conf",
            "include=/etc/php-fpm.conf\n[\n=\n\0\n[]\nx=${\n[www]\nlisten=${NO}\n",
        )]);
        let found = read(&Launch::test("/usr/sbin/php-fpm", &["php-fpm"], &[]), &mut memory);
        assert!(!found.faults.is_empty());
        let found = read(&Launch::test("/usr/sbin/php-fpm", &["php-fpm"], &[]), &mut Memory::default());
        assert_eq!((found.files.len(), found.faults.len(), found.logs.len()), (0, 1, 0));
    }
}
