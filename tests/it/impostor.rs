//! What the library does with a helper that lies, hangs or dies: an error of the right kind, in time, and no more
//! memory than the caller allowed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portolan::{ErrorKind, Files, GlobOptions, Process, ReadOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{binary, command, run};
use crate::inside::Inside;
use crate::oracle;
use crate::scratch::Scratch;

const TIMEOUT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_millis(250);

/// The frames, written by hand after `docs/protocol.md`, and a server whose every child answers with what the test
/// wrote. `MNT` is the mount namespace to stand in.
const FRAMES: &str = r#"
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static uint32_t sequence;
static void put(const void *bytes, size_t length) {
    while (length) {
        ssize_t n = write(1, bytes, length);
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
static void stat_(void) { char s[72] = {1}; frame(6, s, 72); }
static void end(uint64_t bytes, uint64_t entries) {
    char e[32] = {0};
    memcpy(e, &bytes, 8); memcpy(e + 8, &entries, 8); memcpy(e + 16, &bytes, 8);
    frame(4, e, 32);
}
static char zeroes[65536];
static long now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }
static int introduced;
/* Comes back in each child; kills those that take too long, and tells of those that a signal ended. */
static void serve(int s) {
    static struct { pid_t pid; char id[8]; long until; } all[256]; int count = 0;
    if (!introduced) send(s, "PORTOLAN\3\0", 10, 0);
    for (;;) {
        static char request[131072], control[64];
        struct iovec part = {request, sizeof request};
        struct msghdr m = {0, 0, &part, 1, control, sizeof control};
        struct pollfd p = {s, POLLIN};
        int status;
        for (int i = 0; i < count; i++) {
            if (now() > all[i].until) kill(all[i].pid, SIGKILL);
            if (waitpid(all[i].pid, &status, WNOHANG) <= 0) continue;
            char news[16] = {0}; memcpy(news, all[i].id, 8); memcpy(news + 8, &status, 4);
            if (WIFSIGNALED(status)) send(s, news, 16, MSG_NOSIGNAL);
            all[i--] = all[--count];
        }
        if (poll(&p, 1, 5) == 0) continue;
        if (recvmsg(s, &m, 0) <= 0) _exit(0);
        int fds[3]; memcpy(fds, control + 16, sizeof fds);
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(fds[2], 1);
            for (int fd = 3; fd < 100; fd++) close(fd);
            return;
        }
        uint32_t timeout; memcpy(&timeout, request + 16, 4);
        all[count].pid = child; all[count].until = now() + timeout + 40; memcpy(all[count++].id, request + 8, 8);
        for (int i = 0; i < 3; i++) close(fds[i]);
    }
}
static int given;
int main(int argc, char **argv) {
    (void)frame; (void)hello; (void)stat_; (void)end; (void)zeroes;
    for (int fd = 3; fd < 4096; fd++) if (dup2(fd, fd) == fd) given++;
    if (argc > 2 && !strcmp(argv[1], "serve")) { AT_START; serve(atoi(argv[2])); }
"#;

/// A container to ask about, and helpers compiled for the occasion.
struct Stage {
    c: Inside,
    scratch: Scratch,
}

impl Stage {
    fn new(name: &str) -> Self {
        Self { c: Inside::start(&World::new(name).file("/app/file", "0123456789")), scratch: Scratch::new() }
    }

    /// A helper that answers every request with this.
    #[track_caller]
    fn helper(&self, body: &str) -> PathBuf {
        self.compile("", body)
    }

    /// A helper that does this instead of serving.
    #[track_caller]
    fn server(&self, body: &str) -> PathBuf {
        self.compile(body, "")
    }

    #[track_caller]
    fn compile(&self, at_start: &str, body: &str) -> PathBuf {
        let frames = FRAMES.replace("AT_START", at_start);
        self.scratch.file("impostor.c", &format!("{frames}{body}\nreturn 0; }}\n"));
        let mnt = format!("-DMNT={}UL", oracle::namespace(self.c.pid(), "mnt"));
        let mut cc = Command::new("cc");
        cc.current_dir(self.scratch.path()).args(["-w", &mnt, "-o", "impostor", "impostor.c"]);
        run(&mut cc, b"").done();
        self.scratch.join("impostor")
    }

    /// How a read through this helper ends, which it must in time, and the same by the command.
    #[track_caller]
    fn read(&self, helper: &Path, timeout: Duration) -> Result<Vec<u8>, ErrorKind> {
        let files = Files::with_helper(helper).unwrap();
        let start = Instant::now();
        let outcome = files.read(&self.c.process, "/app/file", &ReadOptions::default().timeout(timeout));
        let took = start.elapsed();
        assert!(took < timeout + LATE, "{took:?}: {outcome:?}");
        // On a busy machine one that was killed may need a moment to be gone.
        while files.stuck() > 0 {
            assert!(
                start.elapsed() < timeout + Duration::from_secs(10),
                "a helper that is killed is also collected"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        outcome.map(|content| content.bytes).map_err(|error| error.kind())
    }

    #[track_caller]
    fn refuses(&self, helper: &Path, kind: ErrorKind, words: &str) {
        // What must not be a timeout gets the time that even a busy machine needs to start a program.
        let timeout = if kind == ErrorKind::Timeout { TIMEOUT } else { PATIENCE };
        assert_eq!(self.read(helper, timeout), Err(kind));
        // With an address space that holds the command and little else.
        let mut cat = Command::new("sh");
        cat.args(["-c", "ulimit -v 100000; exec \"$0\" \"$@\""]).arg(binary());
        cat.args(["cat", &self.c.target(), "/app/file", "--timeout-ms", &timeout.as_millis().to_string()]);
        let ran = run(cat.env("PORTOLAN_HELPER", helper), b"");
        assert!(ran.failed(1).contains(words), "{ran:?}");
        assert!(ran.took < timeout + LATE + LATE, "{ran:?}");
    }
}

const BROKEN: &str = "broke the protocol";

#[test]
fn an_endless_stream_of_anything_breaks_the_protocol() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("endless");
    let yes = stage.helper("for (;;) put(\"y\\n\", 2);");
    stage.refuses(&yes, ErrorKind::Protocol, BROKEN);
    let zeroes = stage.helper("for (;;) put(zeroes, 65536);");
    stage.refuses(&zeroes, ErrorKind::Protocol, BROKEN);
    let hellos = stage.helper("for (;;) hello();");
    stage.refuses(&hellos, ErrorKind::Protocol, BROKEN);
}

#[test]
fn more_data_or_paths_than_were_asked_for_break_the_protocol() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("flood");
    let data = stage.helper("hello(); for (;;) frame(2, zeroes, 65536);");
    stage.refuses(&data, ErrorKind::Protocol, BROKEN);
    let empty = stage.helper("hello(); for (;;) frame(2, zeroes, 0);");
    stage.refuses(&empty, ErrorKind::Protocol, BROKEN);
    let paths = stage.helper("hello(); for (;;) frame(3, \"\\1/etc/x\", 7);");
    stage.refuses(&paths, ErrorKind::Protocol, BROKEN);
    let glob = |helper: &Path| {
        let files = Files::with_helper(helper).unwrap();
        let outcome = files.glob(&stage.c.process, "/etc/*", &GlobOptions::default().timeout(PATIENCE));
        outcome.map(drop).map_err(|error| error.kind())
    };
    let paths = stage.helper("hello(); for (;;) frame(3, \"\\1/etc/x\", 7);");
    assert_eq!(glob(&paths), Err(ErrorKind::Protocol));
    let data = stage.helper("hello(); frame(2, zeroes, 10); end(10, 0);");
    assert_eq!(glob(&data), Err(ErrorKind::Protocol));
}

#[test]
fn frames_that_are_not_what_they_should_be_break_the_protocol() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("frames");
    for body in [
        "put(\"garbage garbage garbage\", 23);",
        "frame(2, \"x\", 1); end(1, 0);",
        "hello(); end(1, 0);",
        "hello(); frame(2, \"x\", 1); end(2, 0);",
        "hello(); sequence = 7; end(0, 0);",
        "hello(); frame(10, \"x\", 1);",
        "hello(); frame(9, \"x\", 1);",
        "hello(); stat_(); frame(9, zeroes, 16);",
        "hello(); frame(2, \"x\", 1); end(1, 0);",
        "hello(); frame(7, zeroes, 32);",
        "hello(); frame(4, zeroes, 31);",
        "hello(); hello();",
        "hello(); uint32_t long_ = 65537; put(&long_, 4); put(\"\\2\\0\\0\\0\\1\\0\\0\\0\", 8); pause();",
        "hello(); frame(5, \"\\143\\5\\2\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\", 16);",
    ] {
        let helper = stage.helper(body);
        assert_eq!(stage.read(&helper, PATIENCE), Err(ErrorKind::Protocol), "{body}");
    }
    let version = stage.helper("char h[40] = \"PORTOLAN\\1\\0\\7\"; frame(1, h, 40); end(0, 0);");
    stage.refuses(&version, ErrorKind::Protocol, BROKEN);
}

#[test]
fn a_helper_that_says_nothing_or_too_little_in_time_is_given_up() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("silent");
    let silent = stage.helper("for (;;) pause();");
    stage.refuses(&silent, ErrorKind::Timeout, "deadline");
    let after_hello = stage.helper("hello(); for (;;) pause();");
    stage.refuses(&after_hello, ErrorKind::Timeout, "deadline");
    let dribble = stage.helper("hello(); for (;;) { frame(2, \"x\", 1); usleep(20000); }");
    stage.refuses(&dribble, ErrorKind::Timeout, "deadline");
    let byte_by_byte = stage.helper("for (;;) { put(\"\\50\", 1); usleep(400000); }");
    stage.refuses(&byte_by_byte, ErrorKind::Timeout, "deadline");
    let closed = stage.helper("hello(); close(1); for (;;) pause();");
    stage.refuses(&closed, ErrorKind::HelperDied, "died");
}

#[test]
fn a_helper_that_ends_without_its_last_frame_has_died() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("dying");
    let at_once = stage.helper("_exit(0);");
    stage.refuses(&at_once, ErrorKind::HelperDied, "died");
    let failing = stage.helper("_exit(41);");
    stage.refuses(&failing, ErrorKind::HelperDied, "died");
    let killed = stage.helper("hello(); __builtin_trap();");
    stage.refuses(&killed, ErrorKind::HelperDied, "signal");
    let truncated = stage.helper("hello(); put(\"\\12\\0\\0\\0\\2\\0\\0\\0\\1\\0\\0\\0half\", 16);");
    stage.refuses(&truncated, ErrorKind::HelperDied, "died");
    let no_end = stage.helper("hello(); frame(2, \"0123456789\", 10);");
    stage.refuses(&no_end, ErrorKind::HelperDied, "died");
}

#[test]
fn a_server_that_never_serves_is_given_up_in_time() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("server");
    stage.refuses(&stage.server("for (;;) pause();"), ErrorKind::Timeout, "deadline");
    stage.refuses(&stage.server("_exit(41);"), ErrorKind::HelperDied, "exit status: 41");
    stage.refuses(&stage.server("__builtin_trap();"), ErrorKind::HelperDied, "signal");
    let says = |text: &str| stage.server(&format!("send(atoi(argv[2]), {text}, 0); for (;;) pause();"));
    stage.refuses(&says("\"garbage\", 7"), ErrorKind::Protocol, BROKEN);
    stage.refuses(&says("\"PORTOLAN\\1\\0\", 10"), ErrorKind::Protocol, "version 1");
    stage.refuses(&says("zeroes, 64"), ErrorKind::Protocol, BROKEN);
    // Ready, and then deaf or gone.
    stage.refuses(&says("\"PORTOLAN\\3\\0\", 10"), ErrorKind::Timeout, "deadline");
    let gone = stage.server("send(atoi(argv[2]), \"PORTOLAN\\3\\0\", 10, 0); usleep(1000); _exit(0);");
    assert_eq!(stage.read(&gone, PATIENCE), Err(ErrorKind::HelperDied));
}

#[test]
fn news_that_are_none_end_the_server_and_nothing_else() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("news");
    let news = "send(atoi(argv[2]), \"PORTOLAN\\3\\0\", 10, 0); for (;;) send(atoi(argv[2]), zeroes, 17, 0);";
    assert_eq!(stage.read(&stage.server(news), PATIENCE), Err(ErrorKind::HelperDied));
    // Of requests that nobody made: they cost no memory.
    let body = "send(atoi(argv[2]), \"PORTOLAN\\3\\0\", 10, 0); introduced = 1; if (fork()) { char n[16] = {0};
        for (uint64_t id = 1000; ; id++) { memcpy(n, &id, 8); if (send(atoi(argv[2]), n, 16, MSG_NOSIGNAL) < 0) _exit(0); } }";
    let flood = stage.compile(body, "hello(); stat_(); frame(2, \"true\", 4); end(4, 0);");
    assert_eq!(stage.read(&flood, PATIENCE).as_deref(), Ok(&b"true"[..]));
}

#[test]
fn a_whole_answer_counts_even_if_the_helper_lingers() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("lingering");
    let lingers = stage.helper("hello(); stat_(); frame(2, \"true\", 4); end(4, 0); for (;;) pause();");
    let start = Instant::now();
    let outcome =
        Files::with_helper(&lingers).unwrap().read(&stage.c.process, "/app/file", &ReadOptions::default());
    assert_eq!(outcome.unwrap().bytes, b"true");
    assert!(start.elapsed() < LATE + LATE, "{:?}", start.elapsed());
    let ran = run(command(["cat", &stage.c.target(), "/app/file"]).env("PORTOLAN_HELPER", &lingers), b"");
    assert_eq!(ran.done(), b"true");
}

#[test]
fn an_answer_from_another_mount_namespace_is_not_believed() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("elsewhere");
    let body = "stat_(); frame(2, \"host\", 4); end(4, 0);";
    let here = stage.helper(&format!("hello(); {body}"));
    assert_eq!(stage.read(&here, PATIENCE).as_deref(), Ok(&b"host"[..]));
    // The number of the first mount namespace of a host, or of none at all.
    let hello = "char h[40] = \"PORTOLAN\\3\\0\\7\"; uint64_t mnt = 4026531841UL; memcpy(h + 32, &mnt, 8);";
    let elsewhere = stage.helper(&format!("{hello} frame(1, h, 40); {body}"));
    stage.refuses(&elsewhere, ErrorKind::TargetChanged, "changed its namespaces");
}

#[test]
fn its_environment_and_descriptors_are_not_the_callers() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let stage = Stage::new("given");
    // It answers with its environment and with how many descriptors above the standard ones it was started with.
    let body = r#"
        extern char **environ; char text[4096] = "environment:"; size_t length;
        for (char **e = environ; *e; e++) { strncat(text, *e, 512); strcat(text, ";"); }
        strcat(text, " descriptors:");
        while (given--) strcat(text, "x");
        length = strlen(text);
        hello(); stat_(); frame(2, text, length); end(length, 0);"#;
    let helper = stage.helper(body);
    let mut cat = command(["cat", &stage.c.target(), "/app/file"]);
    cat.env("PORTOLAN_HELPER", &helper).env("AGENT_KEY", "s3cr3t");
    // The socket of the requests.
    assert_eq!(run(&mut cat, b"").text(), "environment: descriptors:x");
    assert!(Process::open(stage.c.pid()).unwrap().is_alive());
}
