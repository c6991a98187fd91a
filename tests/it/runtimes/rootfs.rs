//! What lies in a container: busybox, a configuration with includes, and a page.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub(crate) const CONFIG: &str = "name = inside\ninclude conf.d/*.conf\n";
/// `/etc/passwd` inside, so that it cannot be taken for the host's.
pub(crate) const PASSWD: &str = "root:x:0:0:inside:/:/bin/sh\n";
pub(crate) const PAGE: &str = "the page of the inside\n";

/// A shell that is there in a tree with [`programs`] and on the host.
pub(crate) const SH: &str = "/bin/sh";

/// Files as a service has them: `/etc/app` with two includes and two absolute symbolic links, and `/srv/www`.
pub(crate) fn files(root: &Path) {
    let etc = root.join("etc");
    fs::create_dir_all(etc.join("app/conf.d")).unwrap();
    fs::create_dir_all(root.join("srv/www")).unwrap();
    for (path, text) in [
        ("etc/passwd", PASSWD),
        ("etc/app/app.conf", CONFIG),
        ("etc/app/conf.d/a.conf", "a = 1\n"),
        ("etc/app/conf.d/b.conf", "b = 2\n"),
        ("etc/app/conf.d/c.conf.disabled", "c = 3\n"),
        ("srv/www/index.html", PAGE),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    symlink("/etc/app/app.conf", etc.join("app/current.conf")).unwrap();
    symlink("/etc/passwd", etc.join("app/users")).unwrap();
}

/// A whole root file system of one program.
pub(crate) fn programs(root: &Path) {
    for directory in ["bin", "dev", "proc", "sys", "tmp", "run", "usr"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let busybox = ["/usr/bin/busybox", "/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    fs::copy(busybox.unwrap(), root.join("bin/busybox")).unwrap();
    for name in ["sh", "sleep"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
}

/// A shell script that serves the page on the loopback, which it brings up first: a new network namespace has it
/// down. The web server takes the shell's place.
pub(crate) fn serve(www: &str, port: u16) -> String {
    format!("busybox ifconfig lo 127.0.0.1 up && exec {}", httpd(www, port).join(" "))
}

/// The web server alone.
pub(crate) fn httpd(www: &str, port: u16) -> [String; 7] {
    ["busybox", "httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h", www].map(str::to_owned)
}

/// A port that nobody on the host listens on, and that the kernel gives to nobody who asks for any.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 8000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if !is_open_on_host(port) {
            return port;
        }
    }
}

/// Whether the host's own loopback answers on a port.
pub(crate) fn is_open_on_host(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1)).is_ok()
}
