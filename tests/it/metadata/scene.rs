//! A container by its control group alone, and servers that answer whatever a test wants.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portolan::Inventory;

use super::chart;
use crate::runtimes::group::Group;

/// A process in a control group as Docker makes it, which is all that it takes to be a container.
#[derive(Debug)]
pub(super) struct Lone {
    pub(super) id: String,
    child: Child,
    _group: Group,
}

impl Lone {
    pub(super) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = format!("{:032x}{:032x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let group = Group::new(&format!("docker-{id}.scope"));
        let mut command = Command::new("sh");
        command.args(["-c", &group.script(), "sleep", "100000"]);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let lone = Self { id, child, _group: group };
        let start = Instant::now();
        while !lone.is_charted() {
            assert!(start.elapsed() < Duration::from_secs(5), "it is no container: {lone:?}");
            thread::sleep(Duration::from_millis(10));
        }
        lone
    }

    fn is_charted(&self) -> bool {
        chart().containers.iter().any(|c| c.id == self.id && c.init.pid == self.pid())
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// The chart of this container alone: others' come and go while a test runs.
    #[track_caller]
    pub(super) fn chart(&self) -> Inventory {
        let mut chart = chart();
        chart.containers.retain(|c| c.id == self.id);
        assert_eq!(chart.containers.len(), 1, "{chart:?}");
        chart
    }
}

impl Drop for Lone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket that a thread of this test serves; each connection has a thread of its own.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) path: PathBuf,
}

impl Server {
    /// `answer` is given the path that was asked for, and the stream.
    pub(super) fn start(
        path: PathBuf,
        answer: impl Fn(&str, &mut UnixStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), answer) = (stream, Arc::clone(&answer)) else { return };
                thread::spawn(move || {
                    if let Some(asked) = request(&stream) {
                        answer(&asked, &mut stream);
                    }
                });
            }
        });
        Self { path }
    }
}

/// The path of a request, once all its headers are read.
fn request(stream: &UnixStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    lines.map_while(Result::ok).find(|line| line.is_empty())?;
    first.split(' ').nth(1).map(str::to_owned)
}

/// An answer with a length.
pub(super) fn give(stream: &mut UnixStream, body: &str) {
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

pub(super) const VERSION: &str = r#"{"ApiVersion":"1.41","Components":[{"Name":"Engine"}]}"#;

/// What an honest daemon says of a container.
pub(super) fn inspected(id: &str, pid: i32) -> String {
    format!(
        r#"{{"Id":"{id}","Name":"/told","State":{{"Pid":{pid},"Status":"running"}},"Config":{{"Labels":{{"a":"b"}}}}}}"#
    )
}

/// Serves a container as an honest daemon would.
pub(super) fn honest(id: &str, pid: i32) -> impl Fn(&str, &mut UnixStream) + Send + Sync + 'static {
    let (wanted, body) = (format!("/containers/{id}/json"), inspected(id, pid));
    move |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        asked if asked.ends_with(&wanted) => give(stream, &body),
        _ => drop(write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{{}}")),
    }
}

/// A server of another user's, a program because a thread has no user of its own.
#[derive(Debug)]
pub(super) struct UsersServer(Child);

impl UsersServer {
    /// Answers whatever is asked about with what an honest daemon would say of this container.
    pub(super) fn start(user: u32, path: &Path, id: &str, pid: i32) -> Self {
        const PROGRAM: &str = r#"
import http.server, socketserver, sys
path, version, body = sys.argv[1:]
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def address_string(self):
        return "unix"
    def log_message(self, *args):
        pass
    def do_GET(self):
        text = (version if self.path == "/version" else body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server(path, Answer).serve_forever()
"#;
        let mut command = Command::new("setpriv");
        let user = user.to_string();
        command.args([
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
            "/usr/bin/python3",
            "-c",
            PROGRAM,
        ]);
        command.arg(path).args([VERSION, &inspected(id, pid)]);
        let server = Self(command.stdin(Stdio::null()).spawn().unwrap());
        let start = Instant::now();
        while UnixStream::connect(path).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "{} is not served", path.display());
            thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for UsersServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A user's directory in `/run/user`, gone when it is dropped; `/run/user` too, if it was not there.
#[derive(Debug)]
pub(super) struct RunUser {
    pub(super) path: PathBuf,
    made_top: bool,
}

impl RunUser {
    pub(super) fn new(user: u32) -> Self {
        let top = Path::new("/run/user");
        let made_top = !top.exists();
        if made_top {
            fs::create_dir(top).unwrap();
        }
        let path = top.join(user.to_string());
        fs::create_dir(&path).unwrap();
        chown(&path, Some(user), Some(user)).unwrap();
        Self { path, made_top }
    }
}

impl Drop for RunUser {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        if self.made_top {
            let _ = fs::remove_dir("/run/user");
        }
    }
}
