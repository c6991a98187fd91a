//! S64 to S70: the helper as one that lies, and an agent that is short of everything.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use portolan::{ErrorKind, Limit};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::programs::{fuse, wait_fuse};
use super::scene::{Ask, Scene};
use crate::command::run;
use crate::inside::Inside;
use crate::oracle;
use crate::scratch::Scratch;

/// A helper that answers with frames made by hand. `MNT` is the mount namespace to stand in; `out` is the pipe of the
/// answer, `control` the socket to the library.
const FRAMES: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
static uint32_t sequence;
static int out, control;
static char zeroes[65536];
static void put(const void *bytes, size_t length) {
    while (length) {
        ssize_t n = write(out, bytes, length);
        if (n <= 0) _exit(0);
        bytes = (const char *)bytes + n; length -= n;
    }
}
static void frame(uint8_t kind, const void *payload, uint32_t length) {
    char all[12 + 65536];
    memcpy(all, &length, 4); all[4] = kind; all[5] = all[6] = all[7] = 0;
    memcpy(all + 8, &sequence, 4); sequence++;
    memcpy(all + 12, payload, length);
    put(all, 12 + length);
}
static void hello(void) {
    char h[40] = "PORTOLAN\3\0\7";
    uint64_t mnt = MNT; h[16] = 4; memcpy(h + 32, &mnt, 8);
    frame(1, h, 40);
}
static void stat_of(uint64_t size) {
    char s[72] = {1, 0, 0, 0, (char)0xa4, (char)0x81};
    memcpy(s + 16, &size, 8); s[52] = 1;
    frame(6, s, 72);
}
static void end(uint64_t bytes, uint64_t size) {
    char e[32] = {0};
    memcpy(e, &bytes, 8); memcpy(e + 16, &size, 8);
    frame(4, e, 32);
}
static void whole(const char *text) { hello(); stat_of(strlen(text)); frame(2, text, strlen(text)); end(strlen(text), strlen(text)); }
static void pass_descriptors(const char *text, size_t length) {
    char room[CMSG_SPACE(3 * sizeof(int))] = {0};
    struct iovec part = {(void *)text, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    int fds[3] = {open("/", O_RDONLY), open("/", O_PATH), open("/etc/passwd", O_RDONLY)};
    rights->cmsg_level = SOL_SOCKET; rights->cmsg_type = SCM_RIGHTS; rights->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(rights), fds, sizeof fds);
    sendmsg(control, &message, MSG_NOSIGNAL);
}
static void answer(void);
int main(int argc, char **argv) {
    control = atoi(argv[argc - 1]);
    send(control, "PORTOLAN\3\0", 10, 0);
    for (;;) {
        static char request[131072];
        char room[CMSG_SPACE(16 * sizeof(int))];
        struct iovec part = {request, sizeof request};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
        if (recvmsg(control, &message, 0) <= 0) return 0;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        if (!rights) continue;
        memcpy(&out, CMSG_DATA(rights) + 2 * sizeof(int), sizeof(int));
        if (fork() == 0) { prctl(PR_SET_PDEATHSIG, SIGKILL); answer(); _exit(0); }
        close(out);
    }
}
"#;

/// A container, and helpers that are made for it.
struct Stage {
    scene: Scene,
    scratch: Scratch,
}

impl Stage {
    fn new(name: &str) -> Self {
        let scene = Scene::start(&World::new(name).file("/app/file", "0123456789"));
        Self { scene, scratch: Scratch::new() }
    }

    #[track_caller]
    fn helper(&self, answer: &str) -> PathBuf {
        self.scratch.file("helper.c", &format!("{FRAMES}static void answer(void) {{ {answer} }}\n"));
        let mnt = format!("-DMNT={}UL", oracle::namespace(self.scene.c.pid(), "mnt"));
        let mut cc = Command::new("cc");
        cc.current_dir(self.scratch.path()).args(["-w", &mnt, "-o", "helper", "helper.c"]);
        run(&mut cc, b"").done();
        self.scratch.join("helper")
    }

    /// What the agent says after a read of 10000 bytes at most through a helper that answers like this.
    #[track_caller]
    fn answer(&self, answer: &str, timeout: Duration) -> serde_json::Value {
        let ask = Ask::read("/app/file").prefix(10_000).timeout(timeout);
        self.scene.ask_all(&ask.helper(&self.helper(answer)))
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn s64_names_of_any_bytes_come_each_once_and_forge_nothing() {
    require!(Need::Root, Need::Overlay);
    let longest = "n".repeat(255);
    let names: [&[u8]; 8] =
        [b"a\nOK 1 shadow\n", b"a\xff\x80b", b"\x1b[2J", b"-rf", b"*", b"a b", b"'\"\\", longest.as_bytes()];
    let script = r#"
        cd /names
        : >"$(printf 'a\nOK 1 shadow\nx')"; mv "$(printf 'a\nOK 1 shadow\nx')" "$NEWLINE"
        : >"$(printf 'a\377\200b')"; : >"$(printf '\033[2J')"; : >./-rf; : >'*'; : >'a b'; : >"'\"\\""#;
    let world = World::new("s64").env("NEWLINE", "a\nOK 1 shadow\n").file(format!("/names/{longest}"), "");
    let scene = Scene::start(&world.prepare(script));
    let mut expected = names.map(|name| [b"/names/", name].concat()).to_vec();
    expected.sort();
    assert_eq!(scene.ask(&Ask::glob("/names/*")).entries(), expected);
    for name in names {
        let path = [b"/names/", name].concat();
        scene.ask(&Ask::read(std::ffi::OsStr::from_bytes(&path))).gives(b"");
        let path = [&path, &b"-not"[..]].concat();
        let told = scene.ask(&Ask::read(std::ffi::OsStr::from_bytes(&path)));
        told.refused_as(&[ErrorKind::NotFound, ErrorKind::NameTooLong]);
        let words = told.field("text").as_str().unwrap();
        assert!(!words.contains(char::is_control), "{words:?}");
    }
}

#[test]
fn s65_forged_frames_end_the_request_and_take_no_memory() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("s65");
    for answer in [
        "for (;;) put(\"y\\n\", 2);",
        "for (;;) put(zeroes, 65536);",
        "for (;;) hello();",
        "hello(); stat_of(10); for (;;) frame(2, zeroes, 65536);",
        "hello(); stat_of(10); for (;;) frame(2, zeroes, 0);",
        "hello(); for (;;) frame(3, \"\\1/etc/x\", 7);",
        "hello(); sequence = 7; stat_of(10);",
        "uint32_t long_ = 0xffffffff; hello(); put(&long_, 4); put(\"\\2\\0\\0\\0\\1\\0\\0\\0\", 8); pause();",
        "hello(); stat_of(10); frame(2, \"x\", 1); end(2, 10);",
        "whole(\"0123456789\"); put(\"more\", 4);",
    ] {
        let told = stage.answer(answer, PATIENCE);
        let kind = told["told"][0]["kind"].as_str();
        // Of a whole answer with something after it either may be seen first.
        let trailing = answer.starts_with("whole") && told["told"][0]["bytes"] == "0123456789";
        assert!(kind == Some("Protocol") || trailing, "{answer}: {}", told["told"]);
        let memory = told["memory"].as_u64().unwrap();
        assert!(memory < 8 * 1024, "{answer}: {memory} KiB more");
    }
    let told = stage.answer("hello(); put(\"\\12\\0\\0\\0\\2\\0\\0\\0\\1\\0\\0\\0half\", 16);", PATIENCE);
    assert_eq!(told["told"][0]["kind"], "HelperDied", "{}", told["told"]);
    assert_eq!(
        stage.answer("whole(\"true\");", PATIENCE)["told"][0]["bytes"],
        "true",
        "or this shows nothing"
    );
}

#[test]
fn s66_a_helper_that_dribbles_is_given_up_at_the_one_deadline() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("s66");
    for answer in [
        "for (;;) pause();",
        "for (;;) { put(\"\\50\", 1); usleep(100000); }",
        "hello(); stat_of(9999); for (;;) { frame(2, \"x\", 1); usleep(10000); }",
    ] {
        let told = stage.answer(answer, SHORT);
        assert_eq!(told["told"][0]["kind"], "Timeout", "{answer}: {}", told["told"]);
    }
}

#[test]
fn s67_what_a_helper_writes_elsewhere_is_not_heard() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("s67");
    // Standard error, and the request's own descriptors.
    let flood = "for (int i = 0; i < 2000; i++) write(2, zeroes, 65536);
                 for (int fd = 3; fd < 64; fd++) if (fd != out && fd != control) { write(fd, \"x\", 1); close(fd); }
                 whole(\"true\");";
    assert_eq!(stage.answer(flood, PATIENCE)["told"][0]["bytes"], "true");
    // Lies on the control socket: deaths of requests that nobody made, and messages that are none.
    for lies in [
        "send(control, zeroes, 64, 0);",
        "for (int i = 0; i < 2000; i++) send(control, zeroes, 16, MSG_DONTWAIT);",
    ] {
        let told = stage.answer(&format!("{lies} whole(\"true\");"), PATIENCE);
        let one = &told["told"][0];
        assert!(one["bytes"] == "true" || one["kind"] == "HelperDied", "{lies}: {one}");
    }
}

#[test]
fn s68_an_agent_without_descriptors_is_told_so_and_recovers() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(&World::new("s68").file("/app/file", "read"));
    for ask in [Ask::read("/app/file"), Ask::glob("/app/*"), Ask::read("/app/file").pid_namespace()] {
        scene.ask(&ask.exhausted()).refused(ErrorKind::Limit(Limit::Descriptors));
        scene.ask(&Ask::read("/app/file")).gives(b"read");
    }
}

#[test]
fn s69_good_containers_are_answered_among_bad_ones() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let scene = Scene::start(&World::new("s69"));
    let good: Vec<Inside> = (0..16)
        .map(|number| Inside::start(&World::new(format!("s69-good-{number}")).file("/app/file", "read")))
        .collect();
    let bad: Vec<Inside> =
        (0..4).map(|number| Inside::start(&fuse(&format!("s69-bad-{number}"), "LOOKUP"))).collect();
    for c in &bad {
        wait_fuse(c, "LOOKUP");
    }
    let mut asks = Vec::new();
    for round in 0..10 {
        for (number, c) in good.iter().enumerate() {
            asks.push(Ask::read("/app/file").of(c.pid()));
            if let Some(bad) = bad.get(number).filter(|_| round < 2) {
                asks.push(Ask::read("/hang/file").of(bad.pid()).any_file_system().timeout(SHORT));
            }
        }
    }
    // Two for each bad one are stuck; they are in their servers' hands.
    let told = scene.together(&asks, 8, 8);
    let mut slowest = Duration::ZERO;
    for told in &told {
        match told.kind() {
            None => {
                told.gives(b"read");
                slowest = slowest.max(told.took());
            }
            Some(kind) => assert!(kind == "Timeout" || kind == "Busy", "{}", told.shown()),
        }
    }
    assert_eq!(told.iter().filter(|told| told.kind().is_none()).count(), 160);
    assert!(slowest < SHORT, "a good one waited for {slowest:?}");
    drop(bad);
}

#[test]
fn s70_descriptors_that_a_helper_passes_are_not_taken() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("s70");
    let open = |answer: &str| stage.answer(answer, PATIENCE);
    let plain = open("whole(\"true\");");
    let passed =
        open("for (int i = 0; i < 50; i++) pass_descriptors(zeroes, 16); usleep(50000); whole(\"true\");");
    assert_eq!(passed["told"][0]["bytes"], "true", "{}", passed["told"]);
    assert_eq!(plain["open"], passed["open"], "descriptors of the agent");
}
