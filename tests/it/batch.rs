//! Several operations in one entry: each as if it were alone, all under one budget and one deadline.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use portolan::{Batch, ErrorKind, FileKind, GlobOptions, Limit, Operation, Outcome, ReadOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::{Inside, files};

type Told = Result<Outcome, ErrorKind>;

#[track_caller]
fn batch(c: &Inside, batch: &Batch) -> Vec<Told> {
    let outcomes = files().batch(&c.process, batch).unwrap_or_else(|error| panic!("{error}"));
    outcomes.into_iter().map(|outcome| outcome.map_err(|error| error.kind())).collect()
}

fn refused(c: &Inside, batch: &Batch) -> Option<ErrorKind> {
    files().batch(&c.process, batch).err().map(|error| error.kind())
}

/// What an outcome says, without what tells one request from another.
fn shown(told: &Told) -> String {
    match told {
        Ok(Outcome::Stat(stat)) => format!("{stat:?}"),
        Ok(Outcome::Content(content)) => format!("{content:?}"),
        Ok(Outcome::Matches(matches)) => format!("{matches:?}"),
        Ok(Outcome::Included(included)) => format!("{included:?}"),
        Ok(other) => panic!("{other:?}"),
        Err(kind) => format!("{kind:?}"),
    }
}

fn bytes(told: &Told) -> &[u8] {
    match told {
        Ok(Outcome::Content(content)) => &content.bytes,
        other => panic!("{other:?}"),
    }
}

/// The paths of a glob, and why there are not all.
fn paths(told: &Told) -> (Vec<&str>, Option<ErrorKind>) {
    match told {
        Ok(Outcome::Matches(matches)) => (
            matches.entries.iter().map(|entry| entry.path.to_str().unwrap()).collect(),
            matches.incomplete.as_ref().map(portolan_files::Error::kind),
        ),
        other => panic!("{other:?}"),
    }
}

/// Path, bytes or error, of each file of an include.
fn included(told: &Told) -> Vec<(&str, Result<&[u8], ErrorKind>)> {
    match told {
        Ok(Outcome::Included(included)) => included
            .files
            .iter()
            .map(|file| {
                let content = file.content.as_ref();
                let content = content.map(|content| content.bytes.as_slice());
                (file.path.to_str().unwrap(), content.map_err(portolan_files::Error::kind))
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn too_large(size: u64) -> ErrorKind {
    ErrorKind::Limit(Limit::Bytes { size })
}

/// Every kind of operation, on what is there and on what is not.
fn mixture(c: &Inside) -> Batch {
    let renamed = files().batch(&c.process, &Batch::new().stat("/app/file.1")).unwrap();
    let Ok(Outcome::Stat(stat)) = &renamed[0] else { panic!("{renamed:?}") };
    let lines = Operation::Lines { lines: 2, max_bytes: 1000 };
    let (device, inode) = (stat.device, stat.inode);
    let renamed = Operation::Renamed { device, inode, offset: 4, max_bytes: 1000 };
    let missing = Operation::Renamed { device, inode: 1, offset: 0, max_bytes: 1000 };
    Batch::new()
        .stat("/app/file")
        .read("/app/file")
        .read("/none")
        .glob("/app/*")
        .read("/app/fifo")
        .include("/app/file*")
        .read("/app/large")
        .operation(lines, "/app/file")
        .read("/proc/1/exe")
        .operation(renamed, "/app/file")
        .glob("/app/[")
        .operation(missing, "/app/file")
        .read("app/relative")
        .stat("/none")
        .read(OsStr::from_bytes(b"/app/nul\0"))
        .stat("/app")
        .glob("/app/none*")
        .read("/app/loop")
        .operation(Operation::Read { max_bytes: 3, offset: 4, prefix: true }, "/app/file")
        .operation(Operation::Read { max_bytes: 3, offset: u64::MAX, prefix: true }, "/app/file")
        .read("/app/file")
}

fn world(name: &str) -> World {
    World::new(name)
        .file("/app/file", "one\ntwo\nthree\n")
        .file("/app/file.1", "old\nolder\n")
        .file("/app/large", vec![b'x'; 300_000])
        .link("/app/loop", "loop")
        .prepare("mkfifo /app/fifo")
}

#[test]
fn each_operation_is_answered_as_if_it_were_alone() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&world("batch"));
    let told = batch(&c, &mixture(&c));
    assert_eq!(told.len(), 21);
    let (read, glob) = (ReadOptions::default(), GlobOptions::default());
    let same = |at: usize, path: &[u8]| {
        let path = OsStr::from_bytes(path);
        assert_eq!(shown(&told[at]), shown(&c.read(path, &read).map(Outcome::Content)), "{at}");
    };
    same(1, b"/app/file");
    same(2, b"/none");
    same(4, b"/app/fifo");
    same(6, b"/app/large");
    same(8, b"/proc/1/exe");
    same(12, b"app/relative");
    same(14, b"/app/nul\0");
    same(17, b"/app/loop");
    same(20, b"/app/file");
    for (at, pattern) in [(3, "/app/*"), (10, "/app/["), (16, "/app/none*")] {
        assert_eq!(shown(&told[at]), shown(&c.expand(pattern, &glob).map(Outcome::Matches)), "{pattern}");
    }
    // That they are not all the same for want of an answer.
    assert_eq!(bytes(&told[20]), b"one\ntwo\nthree\n");
    for (at, kind) in [
        (2, ErrorKind::NotFound),
        (4, ErrorKind::NotRegular(FileKind::Fifo)),
        (6, too_large(300_000)),
        (8, ErrorKind::MagicLink),
        (10, ErrorKind::InvalidInput),
        (11, ErrorKind::NotFound),
        (12, ErrorKind::InvalidInput),
        (13, ErrorKind::NotFound),
        (14, ErrorKind::InvalidInput),
        (17, ErrorKind::SymlinkLoop),
        (19, ErrorKind::InvalidInput),
    ] {
        assert_eq!(told[at].as_ref().err(), Some(&kind), "{at}");
    }
    assert_eq!(bytes(&told[7]), b"two\nthree\n");
    assert_eq!(bytes(&told[9]), b"older\n");
    assert_eq!(bytes(&told[18]), b"two");
    let both = [("/app/file", Ok(&b"one\ntwo\nthree\n"[..])), ("/app/file.1", Ok(b"old\nolder\n"))];
    assert_eq!(included(&told[5]), both);

    // What `stat` says, by the program of that name.
    let stat = |at: usize| match &told[at] {
        Ok(Outcome::Stat(s)) => {
            format!("{:x} {} {} {} {} {}", s.mode, s.user, s.group, s.size, s.inode, s.links)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(stat(0), c.shell("stat -c '%f %u %g %s %i %h' /app/file"));
    assert_eq!(stat(15), c.shell("stat -c '%f %u %g %s %i %h' /app"));
}

#[test]
fn errors_name_what_they_are_about() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("batch-errors").file("/app/file", "x"));
    let outcomes = files().batch(&c.process, &Batch::new().stat("/one").read("/two").glob("/[")).unwrap();
    for (outcome, words) in outcomes.into_iter().zip(["look at /one", "read /two", "expand /["]) {
        let error = outcome.map(drop).unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
        assert!(words.as_bytes().ends_with(error.path()), "{error}");
    }
}

#[test]
fn tasks_are_told_the_same() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&world("batch-async"));
    let mixture = mixture(&c);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcomes = runtime.block_on(files().batch_async(&c.process, &mixture)).unwrap();
    let told: Vec<Told> = outcomes.into_iter().map(|o| o.map_err(|error| error.kind())).collect();
    let (all, blocking) = (told.iter().map(shown), batch(&c, &mixture));
    assert!(all.eq(blocking.iter().map(shown)));
    let empty = runtime.block_on(files().batch_async(&c.process, &Batch::new()));
    assert_eq!(empty.unwrap_err().kind(), ErrorKind::InvalidInput);
    let wrong = runtime.block_on(files().batch_async(&c.process, &Batch::new().read("x"))).unwrap();
    assert_eq!(wrong[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
    // Several at once, from one task.
    let options = ReadOptions::default();
    runtime.block_on(async {
        let (one, two) = tokio::join!(
            files().batch_async(&c.process, &mixture),
            files().read_async(&c.process, "/app/file", &options)
        );
        assert_eq!((one.unwrap().len(), two.unwrap().bytes.as_slice()), (21, &b"one\ntwo\nthree\n"[..]));
    });
}

#[test]
fn all_operations_share_one_budget_of_bytes() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("bytes").file("/app/ten", "0123456789").file("/app/empty", "");
    let c = Inside::start(&world);
    let ten = |times: usize| (0..times).fold(Batch::new(), |batch, _| batch.read("/app/ten"));
    let told = batch(&c, &ten(4).read("/app/empty").stat("/app/ten").max_bytes(25));
    assert_eq!((bytes(&told[0]), bytes(&told[1])), (&b"0123456789"[..], &b"0123456789"[..]));
    // Five are left, and stay so: nothing was taken of them.
    assert_eq!(told[2].as_ref().err(), Some(&too_large(10)));
    assert_eq!(told[3].as_ref().err(), Some(&too_large(10)));
    assert_eq!(bytes(&told[4]), b"");
    assert!(matches!(&told[5], Ok(Outcome::Stat(stat)) if stat.size == 10));

    let prefix = Operation::Read { max_bytes: 100, offset: 0, prefix: true };
    let told = batch(&c, &ten(2).operation(prefix, "/app/ten").read("/app/ten").max_bytes(25));
    assert_eq!(bytes(&told[2]), b"01234");
    assert_eq!(told[3].as_ref().err(), Some(&too_large(10)));

    let lines = Operation::Lines { lines: 5, max_bytes: 100 };
    let told = batch(&c, &ten(2).operation(lines, "/app/ten").max_bytes(23));
    assert_eq!(bytes(&told[2]), b"789");
    let told = batch(&c, &ten(1).include("/app/t*").max_bytes(15));
    assert_eq!(included(&told[1]), [("/app/ten", Err(too_large(10)))]);
    let told = batch(&c, &ten(3).max_bytes(30));
    assert_eq!(told.iter().filter(|one| one.is_ok()).count(), 3);
}

#[test]
fn all_operations_share_one_budget_of_entries() {
    require!(Need::Root, Need::Overlay);
    let world = ["a", "b", "c"].iter().fold(World::new("entries"), |w, n| w.file(format!("/app/{n}"), *n));
    let c = Inside::start(&world);
    let over = Some(ErrorKind::Limit(Limit::Entries));
    let all = Batch::new().glob("/app/*").glob("/app/*").glob("/app/*").read("/app/a");
    let told = batch(&c, &all.clone().max_entries(5));
    assert_eq!(paths(&told[0]), (vec!["/app/a", "/app/b", "/app/c"], None));
    // Which two of them is not promised.
    let (two, why) = paths(&told[1]);
    assert!(two.len() == 2 && two.iter().all(|path| paths(&told[0]).0.contains(path)), "{two:?}");
    assert_eq!(why, over);
    assert_eq!(paths(&told[2]), (vec![], over));
    assert_eq!(bytes(&told[3]), b"a");
    let told = batch(&c, &all.max_entries(9));
    assert!((0..3).all(|at| paths(&told[at]).1.is_none()));
    let told = batch(&c, &Batch::new().include("/app/*").glob("/app/*").max_entries(4));
    assert_eq!(included(&told[0]).len(), 3);
    assert_eq!((paths(&told[1]).0.len(), paths(&told[1]).1), (1, over));
    let told =
        batch(&c, &Batch::new().operation(Operation::Glob { max_entries: 1 }, "/app/*").glob("/app/*"));
    assert_eq!((paths(&told[0]).0.len(), paths(&told[0]).1), (1, over));
    assert_eq!((paths(&told[1]).0.len(), paths(&told[1]).1), (3, None));
}

#[test]
fn what_was_done_before_the_deadline_is_kept() {
    require!(Need::Root, Need::Overlay);
    let script = "mkdir -p /deep; cd /deep; seq 1 300 | xargs mkdir; \
                  for n in *; do (cd $n; seq 1 300 | xargs mkdir); done";
    let c = Inside::start(&World::new("deadline").file("/app/file", "x").prepare(script));
    let endless = "/{deep,deep,deep,deep,deep,deep,deep,deep}/**/**/no-such-file";
    let all = Batch::new()
        .read("/app/file")
        .stat("/app/file")
        .glob(endless)
        .read("/app/file")
        .stat("/app/file")
        .glob("/app/*")
        .include("/app/*")
        .read("relative");
    let told = batch(&c, &all.timeout(Duration::from_millis(600)));
    assert_eq!(bytes(&told[0]), b"x");
    assert!(matches!(&told[1], Ok(Outcome::Stat(stat)) if stat.size == 1));
    // A search keeps what it found, here nothing, and says that there may be more.
    let late = |at: usize| match &told[at] {
        Ok(Outcome::Matches(matches)) => matches.incomplete.as_ref().map(portolan_files::Error::kind),
        Ok(Outcome::Included(all)) => all.incomplete.as_ref().map(portolan_files::Error::kind),
        other => other.as_ref().err().copied(),
    };
    for at in 2..7 {
        assert_eq!(late(at), Some(ErrorKind::Timeout), "{at}");
    }
    assert_eq!(told[7].as_ref().err(), Some(&ErrorKind::InvalidInput), "of its own kind all the same");
}

#[test]
fn an_include_reads_what_a_server_would() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    let script = "cd /etc/nginx/conf.d; mkdir dir.conf; mkfifo pipe.conf; ln -s ../sites/site.conf link.conf
                  ln -s none dangling.conf; ln -s loop.conf loop.conf; ln -s /proc/1/exe magic.conf
                  ln -s dir.conf to-dir.conf";
    let closed = crate::scratch::Scratch::new();
    let secret = closed.file("secret", "the host's");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let c = Inside::start(
        &World::new("include")
            .user_namespace()
            .file("/etc/nginx/conf.d/a.conf", "a\n")
            .file("/etc/nginx/conf.d/empty.conf", "")
            .file("/etc/nginx/conf.d/large.conf", vec![b'#'; 204_801])
            .file("/etc/nginx/conf.d/z.conf", "z\n")
            .file("/etc/nginx/conf.d/other.txt", "not meant\n")
            .file("/etc/nginx/conf.d/.hidden.conf", "hidden\n")
            .file("/etc/nginx/sites/site.conf", "site\n")
            .bind(&secret, "/etc/nginx/conf.d/closed.conf")
            .prepare(script),
    );
    let told =
        batch(&c, &Batch::new().include("/etc/nginx/conf.d/*.conf").read("/etc/nginx/sites/site.conf"));
    let dir = ErrorKind::NotRegular(FileKind::Directory);
    let expected: Vec<(&str, Result<&[u8], ErrorKind>)> = vec![
        ("a", Ok(b"a\n")),
        ("closed", Err(ErrorKind::PermissionDenied)),
        ("dangling", Err(ErrorKind::NotFound)),
        ("dir", Err(dir)),
        ("empty", Ok(b"")),
        ("large", Err(too_large(204_801))),
        ("link", Ok(b"site\n")),
        ("loop", Err(ErrorKind::SymlinkLoop)),
        ("magic", Err(ErrorKind::MagicLink)),
        ("pipe", Err(ErrorKind::NotRegular(FileKind::Fifo))),
        ("to-dir", Err(dir)),
        ("z", Ok(b"z\n")),
    ];
    let got = included(&told[0]);
    let names: Vec<&str> = got.iter().map(|(path, _)| *path).collect();
    let whole: Vec<String> =
        expected.iter().map(|(name, _)| format!("/etc/nginx/conf.d/{name}.conf")).collect();
    assert_eq!(names, whole);
    for ((path, got), (_, expected)) in got.iter().zip(&expected) {
        assert_eq!(got, expected, "{path}");
    }
    assert_eq!(bytes(&told[1]), b"site\n");
    let Ok(Outcome::Included(all)) = &told[0] else { panic!() };
    let kind = |at: usize| all.files[at].kind;
    assert_eq!((kind(0), kind(3), kind(6)), (FileKind::Regular, FileKind::Directory, FileKind::Symlink));
    assert!(all.incomplete.is_none());

    // The first bytes of a large one, when that is asked for.
    let prefix = Operation::Include { max_entries: 100, max_bytes: 7, prefix: true };
    let told = batch(&c, &Batch::new().operation(prefix, "/etc/nginx/conf.d/l[a-n]*.conf"));
    assert_eq!(included(&told[0])[0].1, Ok(&b"#######"[..]));
    let told = batch(&c, &Batch::new().include("/etc/nginx/conf.d/*.conf").max_entries(2));
    let Ok(Outcome::Included(two)) = &told[0] else { panic!() };
    let limit = two.incomplete.as_ref().map(portolan_files::Error::kind);
    assert_eq!((two.files.len(), limit), (2, Some(ErrorKind::Limit(Limit::Entries))));
}

#[test]
fn a_batch_has_1_to_1024_operations_and_128_kib() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("sizes").file("/app/file", "x"));
    let many = |count: usize| (0..count).fold(Batch::new(), |batch, _| batch.read("/app/file"));
    let told = batch(&c, &many(1024));
    assert_eq!(told.len(), 1024);
    let mut helpers = told.iter().map(|one| match one {
        Ok(Outcome::Content(content)) => (content.bytes.clone(), content.helper),
        other => panic!("{other:?}"),
    });
    // One entry: they all read through the same process, which said once where it stands.
    let first = helpers.next().unwrap();
    assert_eq!(first.0, b"x");
    assert_eq!(first.1.mount_namespace, crate::oracle::namespace(c.pid(), "mnt"));
    assert!(helpers.all(|one| one == first));

    assert_eq!(refused(&c, &many(1025)), Some(ErrorKind::InvalidInput));
    assert_eq!(refused(&c, &Batch::new()), Some(ErrorKind::InvalidInput));
    let long = format!("/{}", "x/".repeat(2000));
    let longer = |count: usize| (0..count).fold(Batch::new(), |batch, _| batch.stat(&long));
    assert!(batch(&c, &longer(32)).iter().all(|one| one.as_ref().is_err_and(|e| *e == ErrorKind::NotFound)));
    assert_eq!(refused(&c, &longer(33)), Some(ErrorKind::InvalidInput));
    // Nothing but nonsense does not even need a helper.
    let told = batch(&c, &Batch::new().read("x").glob("/["));
    assert!(told.iter().all(|one| one.as_ref().is_err_and(|e| *e == ErrorKind::InvalidInput)));
    c.container.kill();
    assert_eq!(refused(&c, &many(3)), Some(ErrorKind::TargetGone));
}

#[test]
fn operations_see_what_happens_between_them_in_one_root() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("growing").file("/app/file", "0123456789"));
    // One file under many names and offsets: the pieces make the whole again.
    let pieces = (0..10).fold(Batch::new(), |batch, at| {
        batch.operation(Operation::Read { max_bytes: 1, offset: at, prefix: true }, "/app/../app/./file")
    });
    let told = batch(&c, &pieces);
    let whole: Vec<u8> = told.iter().flat_map(|one| bytes(one).to_vec()).collect();
    assert_eq!(whole, b"0123456789");
}
