//! What comes out is what is inside, byte for byte.

use portolan::ReadOptions;
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use crate::inside::Inside;
use crate::oracle;

#[test]
fn text_and_binary_and_empty_files_come_byte_for_byte() {
    require!(Need::Root, Need::Overlay);
    let binary: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let c = Inside::start(
        &World::new("content")
            .file("/app/text", "port 6379\n")
            .file("/app/binary", &binary)
            .file("/app/empty", ""),
    );
    c.gives("/app/text", b"port 6379\n");
    c.gives("/app/binary", &binary);
    c.gives("/app/empty", b"");
    for path in ["/app/text", "/app/binary", "/etc/passwd", "/usr/bin/env"] {
        let oracle = oracle::nsenter(c.pid(), &["-m", "-r"], &["cat", path]);
        c.gives(path, &oracle);
    }
}

#[test]
fn a_file_of_proc_has_no_size_and_is_read_all_the_same() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("proc"));
    let content = c.read("/proc/sys/kernel/hostname", &ReadOptions::default()).unwrap();
    // The host name is that of the reader's UTS namespace, so only its shape is looked at.
    assert!(content.bytes.ends_with(b"\n") && content.size == 0 && !content.truncated, "{content:?}");
    let status = c.read("/proc/1/status", &ReadOptions::default()).unwrap();
    assert!(status.bytes.starts_with(b"Name:\tsleep\n"), "{status:?}");
}

#[test]
fn a_file_that_only_its_owner_may_read_is_read() {
    require!(Need::Root, Need::Overlay);
    let c =
        Inside::start(&World::new("private").file("/app/closed/secret", "for 1234 only\n").prepare(
            "chown -R 1234:1234 /app/closed; chmod 0600 /app/closed/secret; chmod 0700 /app/closed",
        ));
    c.gives("/app/closed/secret", b"for 1234 only\n");
}

#[test]
fn a_change_inside_shows_at_the_next_read() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("change").file("/app/file", "one"));
    c.gives("/app/file", b"one");
    c.shell("echo two >/app/file.new; mv /app/file.new /app/file");
    c.gives("/app/file", b"two\n");
}
