//! An agent that is its own helper: `examples/own_helper.rs`.

use std::path::PathBuf;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::run;
use crate::inside::Inside;

/// The example, which cargo builds beside the tests; on its own for a run of this suite alone.
fn own_helper() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().parent().unwrap().join("examples/own_helper");
    if !example.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--offline", "--example", "own_helper"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        run(&mut cargo, b"").done();
    }
    example
}

#[test]
fn an_agents_own_binary_serves_as_the_helper() {
    require!(Need::Root, Need::Overlay);
    for world in [World::new("own"), World::new("own-shared").share_pid()] {
        let c = Inside::start(&world.file("/app/a", "first\n").file("/app/b", "second\n"));
        let mut agent = Command::new(own_helper());
        agent.args([&c.target(), "/app/a", "/app/b", "/app/none"]).env_remove("PORTOLAN_HELPER");
        // It gives up all that the separate binary does, or it would refuse (`strict`).
        let text = run(agent.env("AGENT_KEY", "s3cr3t"), b"").text();
        assert!(text.starts_with("first\nsecond\nread /app/none in the container"), "{text}");
        assert!(text.contains("not found"), "{text}");
    }
}
