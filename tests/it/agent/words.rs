//! What the services of a container say of themselves, through their own programs, which are run inside.

use std::collections::HashMap;
use std::process::Command;

use crate::runtimes::tool::{told, tool};

/// Numbers by their names in lower case, as the agent calls them.
pub(super) type Words = HashMap<String, f64>;

#[track_caller]
pub(super) fn of(kind: &str, pid: i32) -> Words {
    match kind {
        "redis" => {
            pairs(inside(pid, "redis-cli").args(["-a", "re-s3cr3t", "--no-auth-warning", "info"]), ':')
        }
        "mariadb" => pairs(
            inside(pid, "mariadb")
                .args(["--no-defaults", "-h127.0.0.1", "-umonitor", "-pmy-s3cr3t", "-BN"])
                .args(["-e", "SHOW GLOBAL STATUS"]),
            '\t',
        ),
        "memcached" => memcached(pid),
        "nginx" => nginx(pid),
        "postgresql" => postgresql(pid),
        other => panic!("{other}"),
    }
}

/// A program in the container's network, and with its files.
fn inside(pid: i32, program: &str) -> Command {
    let mut command = tool("nsenter");
    command.args(["--target", &pid.to_string(), "--net", "--mount", program]);
    command
}

#[track_caller]
fn pairs(command: &mut Command, between: char) -> Words {
    let text = told(command);
    let number = |line: &str| {
        let (name, value) = line.split_once(between)?;
        Some((name.to_lowercase(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(number).collect()
}

#[track_caller]
fn memcached(pid: i32) -> Words {
    const ASK: &str = "
import socket
memcached = socket.create_connection(('127.0.0.1', 11211))
memcached.sendall(b'stats\\r\\nquit\\r\\n')
for line in memcached.makefile():
    print(line.strip().removeprefix('STAT '))";
    pairs(inside(pid, "python3").args(["-c", ASK]), ' ')
}

#[track_caller]
fn nginx(pid: i32) -> Words {
    let text = told(inside(pid, "curl").args(["-sf", "http://127.0.0.1:8080/told"]));
    let line = text.lines().nth(2).unwrap_or_else(|| panic!("{text}"));
    let numbers = line.split_whitespace().map(|word| word.parse().unwrap());
    ["accepts", "handled", "requests"].map(str::to_owned).into_iter().zip(numbers).collect()
}

#[track_caller]
fn postgresql(pid: i32) -> Words {
    const ASK: &str = "SELECT sum(xact_commit) xact_commit, sum(xact_rollback) xact_rollback, \
        sum(blks_read) blks_read, sum(blks_hit) blks_hit, sum(tup_returned) tup_returned, \
        sum(tup_fetched) tup_fetched, sum(tup_inserted) tup_inserted, sum(deadlocks) deadlocks, \
        sum(temp_bytes) temp_bytes FROM pg_stat_database";
    let mut psql = inside(pid, "psql");
    psql.env("PGPASSWORD", "pg-s3cr3t").args(["-h127.0.0.1", "-Umonitor", "postgres", "-xtA", "-c", ASK]);
    pairs(&mut psql, '|')
}
