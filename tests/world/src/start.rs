//! Making a container: the parent's side.

use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::child::{ARMED, Report, STATUS};
use crate::container::{Container, poll_readable};
use crate::error::WorldError;
use crate::keeper::Keeper;
use crate::namespace::Namespace;
use crate::plan::{self, Ends};
use crate::spawner;
use crate::step::Step;
use crate::sys;
use crate::user::User;
use crate::world::World;

/// The longest that a prepare script may take: a hanging one must not hang the tests.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn start(world: &World) -> Result<Container, WorldError> {
    let io = |doing: &'static str| {
        move |source: io::Error| WorldError::Io { name: world.name.clone(), doing: doing.to_owned(), source }
    };
    check(world).map_err(|why| WorldError::Invalid { name: world.name.clone(), why })?;
    let user = find_user(world)?;

    let log = new_log(&world.name).map_err(io("making its log"))?;
    let (reports, report) = io::pipe().map_err(io("making a pipe"))?;
    let (go_end, go) = io::pipe().map_err(io("making a pipe"))?;
    let lower = match world.owners {
        Some(_) => {
            Some(sys::open_tree(c"/", false).map_err(|errno| io("cloning the root mount")(errno.into()))?)
        }
        None => None,
    };
    let ends = Ends {
        log: log.try_clone().map_err(io("sharing its log"))?.into(),
        report,
        go: go_end,
        lower: lower.as_ref().map(OwnedFd::try_clone).transpose().map_err(io("sharing its lower layer"))?,
    };
    let plan = plan::plan(world, &user, ends).map_err(io("planning"))?;

    let (pid, pidfd, steps) =
        spawner::spawn(plan, clone_flags(world)).map_err(|errno| io("cloning a process")(errno.into()))?;
    // From here on, leaving early drops the container, which ends it.
    let variables = plan::environment(world, &User::root());
    let mut container = Container::new(&world.name, pid, pidfd, log, variables, world.owners.is_some());
    if !world.has_own(Namespace::Pid) {
        container.keep(Keeper::new(world, pid).map_err(io("starting its keeper"))?);
    }
    if let (Some(owners), Some(lower)) = (world.owners, lower) {
        write_maps(pid, owners).map_err(io("writing its id maps"))?;
        shift(pid, &lower).map_err(io("shifting the owners of its files"))?;
    }
    // Only now is it let go on, so that nothing of it escapes the keeper.
    await_command(container, reports, go, &steps)
}

fn check(world: &World) -> Result<(), String> {
    let name = &world.name;
    if name.is_empty() || name.len() > 64 || name.contains(['/', '\0', ' ']) {
        return Err("its name is no hostname".to_owned());
    }
    if world.command.first().is_none_or(String::is_empty) {
        return Err("its command is empty".to_owned());
    }
    if !world.has_own(Namespace::Mount) {
        if !world.contents.is_empty() {
            return Err("its files would be written to the host, whose mounts it shares".to_owned());
        }
        if world.chroot {
            return Err("there is no root to change to among the host's mounts".to_owned());
        }
    }
    match world.contents.iter().find(|(path, _)| !path.starts_with('/')) {
        Some((path, _)) => Err(format!("{path} is no absolute path")),
        None => Ok(()),
    }
}

fn find_user(world: &World) -> Result<User, WorldError> {
    let Some(wanted) = &world.user else { return Ok(User::root()) };
    let name = world.name.clone();
    match User::find(wanted) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(WorldError::Invalid { name, why: format!("there is no user {wanted}") }),
        Err(source) => Err(WorldError::Io { name, doing: "looking its user up".to_owned(), source }),
    }
}

/// Appends, so that streams opened anew through `/dev/stdout` do not overwrite each other where they start.
fn new_log(name: &str) -> io::Result<File> {
    let log = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
    fcntl(&log, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(log.into())
}

fn clone_flags(world: &World) -> u64 {
    let own = Namespace::ALL.into_iter().filter(|namespace| world.has_own(*namespace));
    let flags = own.fold(0, |flags, namespace| flags | namespace.clone_flag());
    match world.owners {
        Some(_) => flags | u64::from(libc::CLONE_NEWUSER.unsigned_abs()),
        None => flags,
    }
}

fn write_maps(pid: i32, (first, count): (u32, u32)) -> io::Result<()> {
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{pid}/{map}"), format!("0 {first} {count}\n"))?;
    }
    Ok(())
}

/// The child holds a copy of the descriptor, and so sees the same mount.
fn shift(pid: i32, lower: &OwnedFd) -> io::Result<()> {
    let namespace = File::open(format!("/proc/{pid}/ns/user"))?;
    Ok(sys::map_owners(lower.as_fd(), namespace.as_fd())?)
}

/// Follows the child's reports. Their end says that the exec has closed its end of the pipe.
fn await_command(
    container: Container,
    mut reports: PipeReader,
    mut go: PipeWriter,
    steps: &[Step],
) -> Result<Container, WorldError> {
    let name = || container.name().to_owned();
    let io = |source| WorldError::Io { name: name(), doing: "awaiting its command".to_owned(), source };
    loop {
        if !poll_readable(reports.as_fd(), LIMIT).map_err(io)? {
            let (what, log) = ("running its command".to_owned(), container.log());
            return Err(WorldError::Timeout { name: name(), what, limit: LIMIT, log });
        }
        let mut report: Report = [0; 12];
        match reports.read_exact(&mut report) {
            Ok(()) => {}
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(container),
            Err(source) => return Err(io(source)),
        }
        let [number, kind, value] = numbers(report);
        if kind == ARMED {
            go.write_all(b"g").map_err(io)?;
            continue;
        }
        let log = container.log();
        if kind == STATUS {
            return Err(WorldError::Prepare { name: name(), status: ExitStatus::from_raw(value), log });
        }
        let step = usize::try_from(number).ok().and_then(|number| steps.get(number));
        let step = step.map_or_else(|| "an unknown step".to_owned(), Step::to_string);
        return Err(WorldError::Setup {
            name: name(),
            step,
            source: io::Error::from_raw_os_error(value),
            log,
        });
    }
}

fn numbers([a, b, c, d, e, f, g, h, i, j, k, l]: Report) -> [i32; 3] {
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(i32::from_ne_bytes)
}
