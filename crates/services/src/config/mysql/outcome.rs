//! What follows from a server's options.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::option_files::Told;
use super::options::Options;
use super::{Flavour, Server};
use crate::config::reading::{Reading, host, number, path_of};
use crate::configuration::{ListenAddress, LogPurpose, Purpose};
use crate::launch::Launch;

/// Settings that are passed on, by their names with `_`.
const SETTINGS: &[&str] = &[
    "basedir",
    "character_set_server",
    "default_storage_engine",
    "innodb_buffer_pool_size",
    "log_bin",
    "long_query_time",
    "max_connections",
    "performance_schema",
    "pid_file",
    "plugin_load_add",
    "read_only",
    "server_id",
    "skip_name_resolve",
    "super_read_only",
    "user",
    "wsrep_cluster_address",
    "wsrep_cluster_name",
];
const PORT: u16 = 3306;

/// Where the data are: as told, or where the builds of distributions and of the official images have them.
pub(super) fn data_directory(launch: &Launch, options: &Options) -> Option<PathBuf> {
    let told = options.text("datadir").filter(|told| !told.is_empty()).map(path_of);
    let prefix = launch.program.parent()?;
    let default = match prefix.as_os_str().as_bytes() {
        b"/usr/sbin" | b"/usr/bin" | b"/usr/libexec" => Some(PathBuf::from("/var/lib/mysql")),
        b"/usr/local/mysql/bin" => Some(PathBuf::from("/usr/local/mysql/data")),
        _ => None,
    };
    match told {
        Some(told) if told.is_absolute() => Some(told),
        Some(told) => {
            options.text("basedir").map(|base| path_of(base).join(told)).filter(|path| path.is_absolute())
        }
        None => default,
    }
}

pub(super) fn of(reading: &mut Reading<'_>, options: &Options, server: &Server) {
    let data = data_directory(reading.launch, options);
    reading.found.data_directory.clone_from(&data);
    for name in SETTINGS {
        if let Some(text) = options.text(name) {
            reading.set(name, text);
        } else if let Some(on) = options.on(name) {
            reading.set(name, if on { b"ON" } else { b"OFF" });
        }
    }
    for name in ["skip_networking", "skip_grant_tables", "require_secure_transport"] {
        if let Some(on) = options.on(name) {
            reading.set(name, if on { b"ON" } else { b"OFF" });
        }
    }
    if let Some(series) = &server.series {
        reading.set("version of data", series.as_bytes());
    }
    listens(reading, options, server, data.as_deref());
    if options.on("require_secure_transport") == Some(true) {
        reading.found.access.tls = Some(true);
    }
    if options.on("skip_grant_tables") == Some(true) {
        reading.found.access.password = Some(false);
    }
    logs(reading, options, server, data.as_deref());
    // What SET PERSIST writes, and the server reads after all other files.
    if server.flavour == Flavour::MySql
        && let Some(data) = &data
        && options.on("persisted_globals_load") != Some(false)
    {
        let before = reading.found.files.len();
        reading.mention(&data.join("mysqld-auto.cnf"), "persisted settings");
        if reading.found.files.len() > before {
            reading
                .fault(Some((&data.join("mysqld-auto.cnf"), 0)), "what was set with SET PERSIST is not read");
        }
    }
}

fn listens(reading: &mut Reading<'_>, options: &Options, server: &Server, data: Option<&Path>) {
    let networking = options.on("skip_networking") != Some(true);
    // Clients ask for TLS after the first packet, on the same port.
    let plain = Some(false);
    if networking {
        let told = options.text("port").and_then(number::<u16>).filter(|port| *port > 0);
        let of_variable = || reading.launch.variable("MYSQL_TCP_PORT").and_then(number::<u16>);
        let port = told.or_else(of_variable).unwrap_or(PORT);
        let bind = options.text("bind_address").unwrap_or(b"*");
        for address in addresses(bind, port) {
            reading.listen(address, plain, Purpose::Service);
        }
        if let Some(extra) = options.text("extra_port").and_then(number::<u16>).filter(|port| *port > 0) {
            for address in addresses(bind, extra) {
                reading.listen(address, plain, Purpose::Admin);
            }
        }
        if let Some(admin) = options.text("admin_address").filter(|admin| !admin.is_empty()) {
            let port = options.text("admin_port").and_then(number::<u16>).unwrap_or(33062);
            for address in addresses(admin, port) {
                reading.listen(address, plain, Purpose::Admin);
            }
        }
        let provider = options.text("wsrep_provider").is_some_and(|provider| provider != b"none");
        if provider && options.on("wsrep_on") != Some(false) {
            reading.listen(ListenAddress::Inet(None, 4567), None, Purpose::Cluster);
        }
    }
    let socket = options.text("socket").filter(|socket| !socket.is_empty()).map(path_of);
    let socket = match (socket, data) {
        (Some(socket), Some(data)) => Some(data.join(socket)),
        (Some(socket), None) => Some(socket).filter(|socket| socket.is_absolute()),
        // Debian's builds have it there, and their files in /etc/mysql.
        (None, _) => reading
            .found
            .files
            .iter()
            .any(|file| file.path.starts_with("/etc/mysql"))
            .then(|| "/run/mysqld/mysqld.sock".into()),
    };
    if let Some(socket) = socket {
        reading.listen(ListenAddress::Unix(socket), plain, Purpose::Service);
    }
    x_protocol(reading, options, server, networking);
}

/// MySQL's second protocol, which is on since 8.0 unless it is told otherwise.
fn x_protocol(reading: &mut Reading<'_>, options: &Options, server: &Server, networking: bool) {
    if server.flavour != Flavour::MySql || options.on("mysqlx") == Some(false) {
        return;
    }
    let major = server.series.as_deref().and_then(|series| series.split('.').next()?.parse::<u32>().ok());
    let told = options.given("mysqlx_port")
        || options.given("mysqlx_socket")
        || options.given("mysqlx_bind_address");
    if !told && major.is_none_or(|major| major < 8) {
        return;
    }
    if networking {
        let port = options.text("mysqlx_port").and_then(number::<u16>).unwrap_or(33060);
        for address in addresses(options.text("mysqlx_bind_address").unwrap_or(b"*"), port) {
            reading.listen(address, Some(false), Purpose::Service);
        }
    }
    if let Some(socket) = options.text("mysqlx_socket").filter(|socket| socket.starts_with(b"/")) {
        reading.listen(ListenAddress::Unix(path_of(socket)), Some(false), Purpose::Service);
    }
}

/// Addresses between commas, each perhaps with the network namespace behind a slash.
fn addresses(text: &[u8], port: u16) -> Vec<ListenAddress> {
    let parts = text.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty());
    let one = |part: &[u8]| host(part.split(|b| *b == b'/').next().unwrap_or(part), port);
    let addresses: Vec<ListenAddress> = parts.take(64).map(one).collect();
    if addresses.is_empty() { vec![ListenAddress::Inet(None, port)] } else { addresses }
}

fn logs(reading: &mut Reading<'_>, options: &Options, server: &Server, data: Option<&Path>) {
    // Names that are not told are those of the host, which the process's variables may tell.
    let base = options.text("log_basename").or_else(|| reading.launch.variable("HOSTNAME"));
    let base = base.filter(|base| !base.is_empty() && !base.contains(&b'/')).map(<[u8]>::to_vec);
    let mut add = |told: Option<&[u8]>, ending: &str, purpose: LogPurpose| {
        let told = told.filter(|told| !told.is_empty()).map(path_of);
        let (path, pattern) = match (told, &base) {
            (Some(told), _) => (told, false),
            (None, Some(base)) => (path_of(&[base, ending.as_bytes()].concat()), false),
            (None, None) => (PathBuf::from(format!("*{ending}")), true),
        };
        let path = data.map(|data| data.join(&path)).unwrap_or(path);
        if path.is_absolute() {
            reading.log(path, purpose, None, pattern);
        }
    };
    if options.given("log_error") && options.text("log_error") != Some(b"stderr") {
        let told = options.text("log_error").map(|told| {
            let name = told.rsplit(|b| *b == b'/').next().unwrap_or(told);
            // A name without an ending is given one.
            if name.is_empty() || name.contains(&b'.') { told.to_vec() } else { [told, b".err"].concat() }
        });
        add(told.as_deref(), ".err", LogPurpose::Error);
    }
    let output = options.text("log_output").unwrap_or(b"FILE").to_ascii_uppercase();
    if output.split(|b| *b == b',').any(|kind| kind.trim_ascii() == b"FILE") {
        if options.on("slow_query_log") == Some(true) {
            add(options.text("slow_query_log_file"), "-slow.log", LogPurpose::Slow);
        }
        if options.text("general_log").is_some_and(|told| told.contains(&b'/')) {
            // Before there was another option for it, it named the file.
            add(options.text("general_log"), ".log", LogPurpose::General);
        } else if options.on("general_log") == Some(true) {
            add(options.text("general_log_file"), ".log", LogPurpose::General);
        }
    }
    if server.flavour == Flavour::MariaDb && options.on("server_audit_logging") == Some(true) {
        let file = options.text("server_audit_file_path").unwrap_or(b"server_audit.log");
        add(Some(file), "", LogPurpose::General);
    }
}

/// What clients of this host would use: their groups of the same files, Debian's own account, and what the official
/// images were started with.
pub(super) fn credentials(reading: &mut Reading<'_>, files: &[Told]) {
    clients(reading, files);
    let debian = Path::new("/etc/mysql/debian.cnf");
    if let Ok(text) = reading.source.read(debian) {
        let mut file = super::OptionFiles::default();
        file.text(&text, debian);
        clients(reading, &file.told);
    }
    for name in ["MARIADB", "MYSQL"] {
        reading.secret_variable(&format!("{name}_ROOT_PASSWORD"), Some(b"root"));
        let user = reading.launch.variable(&format!("{name}_USER"));
        if user.is_some() {
            reading.secret_variable(&format!("{name}_PASSWORD"), user);
        }
    }
}

/// What a group of clients says of its account.
#[derive(Default)]
struct Account<'a> {
    user: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
}

/// The passwords of clients' groups, each group of a file with its user.
fn clients(reading: &mut Reading<'_>, files: &[Told]) {
    let mut groups: BTreeMap<(&Path, &[u8]), Account<'_>> = BTreeMap::new();
    for told in files {
        let clients =
            [&b"client"[..], b"client-server", b"client-mariadb", b"mysql", b"mysqladmin", b"mariadb-client"];
        if !clients.contains(&told.group.as_slice()) {
            continue;
        }
        let group = groups.entry((&told.file, &told.group)).or_default();
        match told.name.as_slice() {
            b"user" => group.user = told.value.as_deref(),
            b"password" => group.password = told.value.as_deref(),
            _ => {}
        }
    }
    for ((file, group), Account { user, password }) in groups {
        let Some(password) = password else { continue };
        let known = |user: Option<&[u8]>| {
            reading.found.credentials.iter().any(|known| known.user.as_deref().map(str::as_bytes) == user)
        };
        if user.is_some() && known(user) {
            continue;
        }
        let source = format!("[{}] of {}", String::from_utf8_lossy(group), file.display());
        reading.secret(source, user, password);
    }
}
