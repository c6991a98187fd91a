//! Monitors of whole systems: LXC with LXD and Incus, systemd-nspawn, libvirt.

use super::Monitor;
use super::arguments::{Argument, Arguments, base};
use crate::cgroup::Runtime;
use crate::evidence::label;

/// The rest of `[lxc monitor] LXCPATH NAME`, the title that the monitor gives itself. The path may have blanks, the
/// name has none; the room of the old command line behind it is filled with NUL.
pub(super) fn lxc(title: &[u8]) -> Option<Monitor> {
    let title = title.split(|b| *b == 0).next()?;
    let at = title.iter().rposition(|b| *b == b' ')?;
    let (path, name) = title.split_at_checked(at)?;
    let name = label::name(name.get(1..)?)?;
    let what = match path {
        _ if path.windows(6).any(|w| w == b"/incus") => "the LXC monitor of Incus",
        _ if path.windows(4).any(|w| w == b"/lxd") => "the LXC monitor of LXD",
        _ => "an LXC monitor",
    };
    // LXC knows a container by its name alone.
    let monitor = Monitor { directory: label::path(path), ..Monitor::new(Runtime::Lxc, what) };
    Some(Monitor { id: Some(name.clone()), name: Some(name), ..monitor })
}

/// Long options of systemd-nspawn that take the next argument as their value (`systemd-nspawn(1)`).
const VALUED: &[&[u8]] = &[
    b"directory",
    b"template",
    b"user",
    b"machine",
    b"hostname",
    b"uuid",
    b"slice",
    b"register",
    b"property",
    b"bind",
    b"bind-ro",
    b"bind-user",
    b"tmpfs",
    b"overlay",
    b"overlay-ro",
    b"inaccessible",
    b"setenv",
    b"capability",
    b"drop-capability",
    b"ambient-capability",
    b"network-interface",
    b"network-macvlan",
    b"network-ipvlan",
    b"network-veth-extra",
    b"network-bridge",
    b"network-zone",
    b"network-namespace-path",
    b"port",
    b"chdir",
    b"console",
    b"settings",
    b"image",
    b"oci-bundle",
    b"root-hash",
    b"root-hash-sig",
    b"verity-data",
    b"pivot-root",
    b"kill-signal",
    b"personality",
    b"rlimit",
    b"oom-score-adjust",
    b"cpu-affinity",
    b"resolv-conf",
    b"timezone",
    b"link-journal",
    b"load-credential",
    b"set-credential",
    b"selinux-context",
    b"selinux-apifs-context",
    b"notify-ready",
    b"no-new-privileges",
    b"private-users-ownership",
    b"suppress-sync",
    b"system-call-filter",
];

/// Short options that take a value, in the same argument or in the next.
const VALUED_SHORT: &[u8] = b"DuLMSZipE";

/// The machine's name; where none is given, systemd-nspawn takes that of its directory or image.
pub(super) fn nspawn(mut arguments: Arguments<'_>) -> Option<Monitor> {
    let (mut machine, mut directory, mut image, mut ephemeral) = (None, None, None, false);
    // The first word that is no option is the command inside.
    while let Some(argument) = nspawn_argument(&mut arguments) {
        match argument {
            Argument::Option(b"M" | b"machine", value) => machine = Some(value),
            Argument::Option(b"D" | b"directory", value) => directory = Some(value),
            Argument::Option(b"i" | b"image", value) => image = Some(value),
            Argument::Option(b"x" | b"ephemeral", _) => ephemeral = true,
            Argument::Option(..) => {}
            Argument::Word(_) => break,
        }
    }
    let of_directory = directory.map(base).filter(|_| !ephemeral);
    let of_image = image.map(base).map(|file| file.strip_suffix(b".raw").unwrap_or(file));
    let name = machine.or(of_directory).or(of_image.filter(|_| !ephemeral)).and_then(label::name);
    let mut monitor = Monitor::new(Runtime::SystemdNspawn, "a systemd-nspawn");
    monitor.directory = directory.and_then(label::path);
    monitor.id = name.clone();
    monitor.name = name;
    Some(monitor)
}

/// The next argument by the rules of `getopt_long(3)`, with the last of several short options in one.
fn nspawn_argument<'a>(arguments: &mut Arguments<'a>) -> Option<Argument<'a>> {
    let mut ahead = arguments.clone();
    let word = ahead.word()?;
    let Some(shorts) = word.strip_prefix(b"-").filter(|o| !o.is_empty() && !o.starts_with(b"-")) else {
        return arguments.argument(|option| VALUED.contains(&option));
    };
    *arguments = ahead;
    // What takes a value ends the argument.
    match shorts.iter().position(|b| VALUED_SHORT.contains(b)) {
        None if shorts.contains(&b'x') => Some(Argument::Option(b"x", b"")),
        None => Some(Argument::Option(shorts, b"")),
        Some(at) => {
            let (_, from) = shorts.split_at_checked(at)?;
            let (option, value) = from.split_at_checked(1)?;
            let value = if value.is_empty() { arguments.word()? } else { value };
            Some(Argument::Option(option, value))
        }
    }
}

/// `libvirt_lxc --name NAME ...`.
pub(super) fn libvirt(mut arguments: Arguments<'_>) -> Option<Monitor> {
    const VALUED: &[&[u8]] = &[b"name", b"console", b"veth", b"security", b"handshake", b"n", b"c", b"v"];
    while let Some(argument) = arguments.argument(|option| VALUED.contains(&option)) {
        if let Argument::Option(b"name" | b"n", value) = argument {
            let name = label::name(value)?;
            let monitor = Monitor::new(Runtime::LibvirtLxc, "a monitor of libvirt's LXC driver");
            return Some(Monitor { id: Some(name.clone()), name: Some(name), ..monitor });
        }
    }
    None
}
