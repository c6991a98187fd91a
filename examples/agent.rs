//! An agent: finds every PostgreSQL, Redis, nginx, memcached and MariaDB of this host, in containers or not, collects
//! ten metrics of each from inside, and prints them in Prometheus' text format.
//!
//! ```sh
//! sudo PORTOLAN_POSTGRESQL=monitor:secret cargo run --release --example agent -- --once
//! ```
//!
//! `--credentials FILE` has the same as lines, `postgresql monitor:secret`; a password alone is `redis :secret`. With
//! `--use-found-credentials`, those of the services' own configurations are used where none were given. It goes on every
//! 15 seconds, or `--interval SECONDS`. A container may claim to be anything: give users that may do nothing else.
//!
//! A service that does not answer in time is `portolan_up 0`, and holds up no other. Connections are born in the network
//! of the service's own process, or not at all.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use mysql_async::{OptsBuilder, prelude::Queryable as _};
use portolan::configuration::ExposeSecret as _;
use portolan::{Dialer, EndpointAddress, Escaped, Host, Inventory, Process, Service, Survey, Surveyor};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, aio::MultiplexedConnection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

type Error = Box<dyn std::error::Error + Send + Sync>;
/// Numbers by their names, in the service's own words.
type Values = HashMap<String, f64>;
/// User and password; an empty user is the service's usual one.
type Login = (String, String);

/// For one service, from the first packet to the last metric.
const DEADLINE: Duration = Duration::from_secs(3);

/// What is asked of each kind, in its own words; `+` marks what only grows. Of nginx, three are seen from outside.
const WANTED: &str = "\
postgresql numbackends xact_commit+ xact_rollback+ blks_read+ blks_hit+ tup_returned+ tup_fetched+ tup_inserted+ \
    deadlocks+ temp_bytes+
redis uptime_in_seconds connected_clients blocked_clients used_memory total_connections_received+ \
    total_commands_processed+ keyspace_hits+ keyspace_misses+ expired_keys+ evicted_keys+
nginx active accepts+ handled+ requests+ reading writing waiting processes endpoints answer_seconds
memcached uptime curr_items bytes limit_maxbytes curr_connections total_connections+ cmd_set+ get_hits+ get_misses+ \
    evictions+
mariadb Uptime Threads_connected Threads_running Connections+ Questions+ Slow_queries+ Aborted_connects+ \
    Bytes_received+ Bytes_sent+ Innodb_buffer_pool_reads+";

fn main() -> Result<(), Error> {
    let options = Options::read()?;
    let host = Host::new();
    // Both keep what did not change, so that a look at the same host again costs little.
    let (mut scanner, mut surveyor) = (host.scanner(), Surveyor::new(Default::default()));
    let runtime = tokio::runtime::Runtime::new()?;
    loop {
        let start = Instant::now();
        let chart = scanner.scan()?;
        let survey = surveyor.survey(&chart, host.files().ok());
        print!("{}", runtime.block_on(scrape(&chart, survey, &options)));
        let Some(pause) = options.every else { return Ok(()) };
        std::thread::sleep(pause.saturating_sub(start.elapsed()));
    }
}

/// All services at once; gives the text of all metrics.
async fn scrape(chart: &Inventory, survey: Survey, options: &Options) -> String {
    let mut tasks = Vec::new();
    for service in survey.services.into_iter().filter(|service| wanted(&service.kind).next().is_some()) {
        let (labels, login) = (labels(chart, &service), options.login(&service));
        let (kind, on_host) = (service.kind.clone(), service.netns == chart.host.net);
        let task = tokio::spawn(async move {
            let late = |_| Err(format!("no answer within {DEADLINE:?}").into());
            tokio::time::timeout(DEADLINE, collect(&service, on_host, login)).await.unwrap_or_else(late)
        });
        tasks.push((kind, labels, task));
    }
    // All samples of one metric stand together.
    let mut families: BTreeMap<String, String> = BTreeMap::new();
    for (kind, labels, task) in tasks {
        let mut put = |name: String, sort, value: f64| {
            let family = families.entry(name.clone()).or_insert_with(|| format!("# TYPE {name} {sort}\n"));
            family.push_str(&format!("{name}{{{labels}}} {value}\n"));
        };
        let told = |e: &Error| eprintln!("agent: {labels}: {}", Escaped(e.to_string().as_bytes()));
        let answer = task.await.unwrap_or_else(|error| Err(error.into())).inspect_err(told);
        put("portolan_up".to_owned(), "gauge", f64::from(u8::from(answer.is_ok())));
        let values = answer.unwrap_or_default();
        for (name, grows) in wanted(&kind) {
            let Some(value) = values.get(name) else { continue };
            let (end, sort) = if grows { ("_total", "counter") } else { ("", "gauge") };
            put(format!("{kind}_{}{end}", name.to_lowercase()), sort, *value);
        }
    }
    families.into_values().collect()
}

/// The numbers that are asked of a kind, and whether they only grow.
fn wanted(kind: &str) -> impl Iterator<Item = (&'static str, bool)> {
    let line = WANTED.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let names = line.unwrap_or_default().split_whitespace();
    names.map(|name| name.strip_suffix('+').map_or((name, false), |name| (name, true)))
}

fn labels(chart: &Inventory, service: &Service) -> String {
    let container = chart.containers.iter().find(|c| Some(&c.id) == service.container.as_ref());
    let name = container.map(|c| c.name.as_ref().or(c.hostname.as_ref()).unwrap_or(&c.id));
    let pod = container.and_then(|c| c.pod.as_ref()).map(|pod| pod.name.as_ref().unwrap_or(&pod.uid));
    let version = service.version.as_ref().map(|version| &version.text);
    let pid = service.process.pid.to_string();
    let values = [Some(&service.name), name, pod, version, Some(&pid)];
    let labels = ["service", "container", "pod", "version", "pid"].into_iter().zip(values);
    let quoted = |value: &String| value.replace('\\', r"\\").replace('"', r#"\""#);
    let labels = labels.filter_map(|(name, value)| Some((name, quoted(value?))));
    labels.map(|(name, value)| format!("{name}=\"{value}\"")).collect::<Vec<_>>().join(",")
}

async fn collect(service: &Service, on_host: bool, login: Option<Login>) -> Result<Values, Error> {
    let process = Process::reopen(service.process)?;
    // Where the service itself shares the host's network, the host's address is its own.
    let dialer = if on_host { Dialer::allowing_host_network(process)? } else { Dialer::new(process)? };
    let best = &service.endpoints.first().ok_or("it listens nowhere")?.address;
    match service.kind.as_str() {
        "postgresql" => postgresql(open(&dialer, best).await?, login).await,
        "redis" => redis(open(&dialer, best).await?, login).await,
        "nginx" => nginx(&dialer, service).await,
        "memcached" => {
            let text = ask(open(&dialer, best).await?, "stats\r\nquit\r\n").await?;
            Ok(numbers(text.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '))))
        }
        _ => mariadb(&dialer, best, login).await,
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn open(dialer: &Dialer, address: &EndpointAddress) -> Result<Box<dyn Stream>, Error> {
    match address {
        EndpointAddress::Tcp(address) => Ok(Box::new(dialer.connect_async(*address, DEADLINE).await?)),
        EndpointAddress::Unix(path) => Ok(Box::new(dialer.unix_async(path, DEADLINE).await?)),
        other => Err(format!("it is reached at {other} only").into()),
    }
}

async fn postgresql(stream: Box<dyn Stream>, login: Option<Login>) -> Result<Values, Error> {
    let (user, password) = login.unwrap_or_default();
    let mut config = tokio_postgres::Config::new();
    config.user(if user.is_empty() { "postgres" } else { &user }).password(password).dbname("postgres");
    let (client, connection) = config.connect_raw(stream, tokio_postgres::NoTls).await?;
    let names: Vec<&str> = wanted("postgresql").map(|(name, _)| name).collect();
    let sums: Vec<String> = names.iter().map(|name| format!("sum({name})::float8")).collect();
    let query = format!("SELECT ARRAY[{}] FROM pg_stat_database", sums.join(", "));
    // The connection is driven here, and ends with us.
    let row = tokio::select! {
        row = client.query_one(&query, &[]) => row?,
        end = connection => return Err(end.err().map_or("it hung up".into(), Into::into)),
    };
    Ok(names.into_iter().map(str::to_owned).zip(row.try_get::<_, Vec<f64>>(0)?).collect())
}

async fn redis(stream: Box<dyn Stream>, login: Option<Login>) -> Result<Values, Error> {
    let mut info = RedisConnectionInfo::default();
    if let Some((user, password)) = login {
        info = info.set_password(password);
        info = if user.is_empty() { info } else { info.set_username(user) };
    }
    let limits = AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE));
    let (mut client, driver) = MultiplexedConnection::new_with_config(&info, stream, limits).await?;
    let text: String = tokio::select! {
        text = async { redis::cmd("INFO").query_async(&mut client).await } => text?,
        () = driver => return Err("it hung up".into()),
    };
    Ok(numbers(text.lines().filter_map(|line| line.split_once(':'))))
}

async fn nginx(dialer: &Dialer, service: &Service) -> Result<Values, Error> {
    let page = service.configuration.status.iter().find(|page| page.kind == "stub_status" && !page.tls);
    let page = page.ok_or("its configuration has no stub_status")?;
    let address = page.listen.dial_address().ok_or("its stub_status is at a name")?;
    let start = Instant::now();
    let host = page.host.as_deref().unwrap_or("localhost");
    let request = format!("GET {} HTTP/1.0\r\nHost: {host}\r\n\r\n", page.path);
    let text = ask(open(dialer, &address).await?, &request).await?;
    let is_good = |(head, _): &(&str, &str)| head.split(' ').nth(1) == Some("200");
    let (_, body) = text.split_once("\r\n\r\n").filter(is_good).ok_or("it does not show its stub_status")?;
    // Its words are `Active connections: 1 server accepts handled requests 5 5 9 Reading: 0 Writing: 1 Waiting: 0`.
    let names = ["active", "accepts", "handled", "requests", "reading", "writing", "waiting"];
    let mut values =
        numbers(names.into_iter().zip(body.split_whitespace().filter(|w| w.parse::<f64>().is_ok())));
    values.insert("processes".to_owned(), service.processes.len() as f64);
    values.insert("endpoints".to_owned(), service.endpoints.len() as f64);
    values.insert("answer_seconds".to_owned(), start.elapsed().as_secs_f64());
    Ok(values)
}

/// Its client takes no stream: it is given a Unix socket that leads to one.
async fn mariadb(dialer: &Dialer, best: &EndpointAddress, login: Option<Login>) -> Result<Values, Error> {
    let tunnel = dialer.tunnel(best.tcp().ok_or("it listens on no port")?).start()?;
    let place = OptsBuilder::default().socket(Some(tunnel.address().to_string())).prefer_socket(false);
    let (user, password) = login.unwrap_or_default();
    let mut client = mysql_async::Conn::new(place.user(Some(user)).pass(Some(password))).await?;
    let rows: Vec<(String, String)> = client.query("SHOW GLOBAL STATUS").await?;
    client.disconnect().await?;
    Ok(numbers(rows.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// For services that hang up after their answer.
async fn ask(mut stream: Box<dyn Stream>, request: &str) -> Result<String, Error> {
    let mut text = String::new();
    stream.write_all(request.as_bytes()).await?;
    // Whoever answers may be hostile, and never end.
    stream.take(1 << 16).read_to_string(&mut text).await?;
    Ok(text)
}

fn numbers<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> Values {
    words.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect()
}

struct Options {
    every: Option<Duration>,
    use_found: bool,
    logins: HashMap<String, Login>,
}

impl Options {
    fn read() -> Result<Self, Error> {
        let arguments: Vec<String> = std::env::args().collect();
        let is_given = |name: &str| arguments.iter().any(|argument| argument == name);
        let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
        let mut given = value("--credentials").map(std::fs::read_to_string).transpose()?.unwrap_or_default();
        for kind in WANTED.lines().filter_map(|line| line.split(' ').next()) {
            let login = std::env::var(format!("PORTOLAN_{}", kind.to_uppercase()));
            given.extend(login.map(|login| format!("\n{kind} {login}")));
        }
        let login = |line: &str| {
            let (kind, login) = line.split_once(' ')?;
            let (user, password) = login.split_once(':')?;
            Some((kind.to_owned(), (user.to_owned(), password.to_owned())))
        };
        let seconds = value("--interval").map_or(Ok(15), |seconds| seconds.parse())?;
        let every = (!is_given("--once")).then(|| Duration::from_secs(seconds));
        let logins = given.lines().filter_map(login).collect();
        Ok(Self { every, use_found: is_given("--use-found-credentials"), logins })
    }

    fn login(&self, service: &Service) -> Option<Login> {
        let found = service.configuration.credentials.first().filter(|_| self.use_found);
        let found = found.map(|c| (c.user.clone().unwrap_or_default(), c.secret.expose_secret().to_owned()));
        self.logins.get(&service.kind).cloned().or(found)
    }
}
