//! The main job on real services: `make demo`.
//!
//! Three containers that listen on nothing but their own loopback are started from the programs installed on this
//! host, and then charted, read and dialed. Every step is an example of its own, which is run here as anybody could.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]
#![allow(clippy::arithmetic_side_effects, reason = "of port numbers that are written below")]

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use portolan_world::{Container, World};

type Outcome<T> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let start = Instant::now();
    let (redis_port, web_port, postgres_port) = (free_port(6379)?, free_port(8080)?, free_port(5432)?);

    title("Three containers start, each with a network of its own in which there is nothing but a loopback");
    // Side by side: PostgreSQL has to make its data directory first.
    let (redis, web, postgres) = std::thread::scope(|scope| {
        let redis = scope.spawn(|| redis(redis_port).map_err(|e| e.to_string()));
        let web = scope.spawn(|| nginx(web_port).map_err(|e| e.to_string()));
        let postgres = scope.spawn(|| postgres(postgres_port).map_err(|e| e.to_string()));
        (redis.join(), web.join(), postgres.join())
    });
    let died = |_| "a starting thread panicked".to_owned();
    let (redis, web, postgres) = (redis.map_err(died)??, web.map_err(died)??, postgres.map_err(died)??);
    let docker = docker::start();
    for container in [&redis, &web, &postgres] {
        println!("{} runs, its first process is {} here", container.name(), container.pid());
    }
    docker.tell();

    title("The chart of this host: no runtime was asked, no container had to help");
    example("chart", &[])?;

    let target = |container: &Container| format!("pid:{}", container.pid());
    title("nginx's configuration, and the files that it includes, as they are inside");
    example("read_config", &[&target(&web), "/etc/demo-nginx/nginx.conf"])?;

    let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port)).to_string();
    title("Redis: PING, with the password from its configuration");
    let address = loopback(redis_port);
    beside(&address, "redis_ping", &[&target(&redis), &address, "/etc/demo-redis.conf"])?;

    title("PostgreSQL: SELECT version()");
    let address = loopback(postgres_port);
    beside(&address, "postgres_version", &[&target(&postgres), &address, "postgres"])?;

    title("nginx: its page");
    let address = loopback(web_port);
    beside(&address, "http_get", &[&target(&web), &format!("http://{address}/")])?;

    println!(
        "\nThe same by hand, while containers run: target/release/portolan scan, cat, glob, dial (see --help)"
    );
    drop((redis, web, postgres, docker));
    title(&format!("All is removed again. That took {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

fn redis(port: u16) -> Outcome<Container> {
    let config = format!("bind 127.0.0.1\nport {port}\nrequirepass only-inside\nsave \"\"\ndir /tmp\n");
    let container = World::new("redis")
        .file("/etc/demo-redis.conf", config)
        .command(["redis-server", "/etc/demo-redis.conf"])
        .start()?;
    container.wait_listening(port, PATIENCE)?;
    Ok(container)
}

fn nginx(port: u16) -> Outcome<Container> {
    let status = port + 1;
    let container = World::new("web")
        .file(
            "/etc/demo-nginx/nginx.conf",
            "daemon off;\npid /run/nginx.pid;\nerror_log /run/error.log;\nevents {}\n\
             http {\n    access_log /run/access.log;\n    include conf.d/*.conf;\n}\n",
        )
        .file(
            "/etc/demo-nginx/conf.d/site.conf",
            format!("server {{\n    listen 127.0.0.1:{port};\n    location / {{ return 200 \"hello from inside\\n\"; }}\n}}\n"),
        )
        .file(
            "/etc/demo-nginx/conf.d/status.conf",
            format!("server {{\n    listen 127.0.0.1:{status};\n    location /status {{ stub_status; }}\n}}\n"),
        )
        .command(["nginx", "-c", "/etc/demo-nginx/nginx.conf"])
        .start()?;
    container.wait_listening(port, PATIENCE)?;
    Ok(container)
}

fn postgres(port: u16) -> Outcome<Container> {
    let programs = postgres_programs()?;
    let initdb = programs.join("initdb");
    // PostgreSQL refuses to run as root, and its data directory must be its own.
    let container = World::new("postgres")
        .prepare(format!(
            "install -d -o postgres -g postgres -m 0700 /srv/pg /run/pg\n\
             setpriv --reuid postgres --regid postgres --init-groups {} -D /srv/pg -A trust --no-sync --no-instructions",
            initdb.display()
        ))
        .user("postgres")
        .workdir("/srv/pg")
        .command([
            programs.join("postgres").display().to_string().as_str(),
            "-D",
            "/srv/pg",
            "-p",
            &port.to_string(),
            "-k",
            "/run/pg",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ])
        .start()?;
    container.wait_listening(port, PATIENCE)?;
    Ok(container)
}

/// Debian keeps the programs of each version in a directory of its own.
fn postgres_programs() -> Outcome<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|path| path.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().ok_or_else(|| "PostgreSQL's initdb is not installed".into())
}

/// The usual port, or another if somebody listens there on this host: the refusal must be the container's.
fn free_port(usual: u16) -> Outcome<u16> {
    for port in [usual, usual + 10_000, usual + 20_000] {
        if [port, port + 1].iter().all(|p| TcpListener::bind(("127.0.0.1", *p)).is_ok()) {
            return Ok(port);
        }
    }
    Err(format!("ports {usual}, {} and {} are taken on this host", usual + 10_000, usual + 20_000).into())
}

fn title(text: &str) {
    println!("\n== {text}");
}

/// Runs an example, and then what the host itself gets from the same address.
fn beside(address: &str, name: &str, arguments: &[&str]) -> Outcome<()> {
    print!("inside:   ");
    example(name, arguments)?;
    print!("the host: ");
    example("from_host", &[address])
}

fn example(name: &str, arguments: &[&str]) -> Outcome<()> {
    // What was printed so far must come first.
    std::io::Write::flush(&mut std::io::stdout())?;
    let beside = std::env::current_exe()?.with_file_name(name);
    let status = Command::new(&beside)
        .args(arguments)
        .status()
        .map_err(|e| format!("{}: {e}; build it by `cargo build --release --examples`", beside.display()))?;
    if status.success() { Ok(()) } else { Err(format!("the example {name} failed: {status}").into()) }
}

/// A container of Docker's beside the others, where an engine runs.
mod docker {
    use std::process::{Command, Output, Stdio};

    /// The container and image that are removed at the end, or why there are none.
    pub(super) enum Guest {
        Runs { container: String, image: String },
        None(String),
    }

    impl Guest {
        pub(super) fn tell(&self) {
            match self {
                Self::Runs { container, .. } => println!("{container} runs: docker run --network none"),
                Self::None(why) => println!("no Docker container beside them: {why}"),
            }
        }
    }

    impl Drop for Guest {
        fn drop(&mut self) {
            if let Self::Runs { container, image } = self {
                let _ = docker(&["rm", "--force", container]);
                let _ = docker(&["rmi", "--force", image]);
            }
        }
    }

    pub(super) fn start() -> Guest {
        try_start().unwrap_or_else(Guest::None)
    }

    fn try_start() -> Result<Guest, String> {
        docker(&["version", "--format", "{{.Server.Version}}"])
            .map_err(|_| "no Docker engine runs here".to_owned())?;
        let name = format!("portolan-demo-{}", std::process::id());
        // An image made of the host's own `sleep` and what it loads: nothing is fetched.
        let script = "tar --create --dereference --directory / $(ldd /bin/sleep | grep -o '/[^ ]*') bin/sleep 2>/dev/null \
                      | timeout 30 docker import - \"$1\"";
        let import = Command::new("sh").args(["-c", script, "sh", &name]).stderr(Stdio::null()).output();
        succeeded(import).map_err(|e| format!("an image could not be made: {e}"))?;
        let guest = Guest::Runs { container: name.clone(), image: name.clone() };
        let run = ["run", "--detach", "--network", "none", "--name", &name, &name, "/bin/sleep", "60"];
        docker(&run).map_err(|e| format!("it did not start: {e}"))?;
        Ok(guest)
    }

    /// Within some seconds: an engine that hangs must not hold the demo up.
    fn docker(arguments: &[&str]) -> Result<(), String> {
        succeeded(Command::new("timeout").args(["20", "docker"]).args(arguments).output())
    }

    fn succeeded(result: std::io::Result<Output>) -> Result<(), String> {
        let output = result.map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it failed").to_owned())
    }
}
