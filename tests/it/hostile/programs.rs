//! The programs that hostile containers run.

use portolan_world::World;

use crate::inside::Inside;

/// A FUSE server on `/hang`, mounted by the program itself; its argument lists the requests that it never answers, by
/// their names. "INIT" among them is one that does not even read: then whoever waits can be killed. It says each
/// request that comes. There is one file, `file`, in one directory.
const FUSE: &str = r#"
import ctypes, os, struct, sys, time
NAMES = {1: 'LOOKUP', 2: 'FORGET', 3: 'GETATTR', 14: 'OPEN', 15: 'READ', 17: 'STATFS', 18: 'RELEASE', 22: 'GETXATTR',
         25: 'FLUSH', 26: 'INIT', 27: 'OPENDIR', 28: 'READDIR', 29: 'RELEASEDIR', 36: 'INTERRUPT', 52: 'STATX'}
hanging = sys.argv[1].split(',')
fuse = os.open('/hang-device', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
assert ctypes.CDLL(None, use_errno=True).mount(b'none', b'/hang', b'fuse', 0, options) == 0, ctypes.get_errno()
print('mounted', flush=True)
while 'INIT' in hanging: time.sleep(1000)
def attributes(node):
    mode, size = (0o40755, 0) if node == 1 else (0o100644, 10)
    return struct.pack('<6Q10I', node, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
def entries():
    for name, node, kind in ((b'file', 2, 8), (b'other', 3, 8)):
        yield struct.pack('<QQII', node, node, len(name), kind) + name + bytes(-len(name) % 8)
while True:
    request = os.read(fuse, 1 << 20)
    length, number, unique, node = struct.unpack_from('<IIQQ', request)
    name = NAMES.get(number, str(number))
    print('request', name, flush=True)
    if name in hanging or name in ('FORGET', '42', 'INTERRUPT'): continue
    error, body = 0, b''
    if name == 'INIT':
        body = struct.pack('<IIIIHHIIHHI7I', 7, 31, 0, 0, 64, 48, 4096, 1, 0, 0, 0, *[0] * 7)
    elif name == 'LOOKUP':
        node = {b'file': 2, b'other': 3}.get(request[40:].rstrip(b'\0'))
        if node: body = struct.pack('<4Q2I', node, 0, 0, 0, 0, 0) + attributes(node)
        else: error = -2
    elif name == 'GETATTR': body = struct.pack('<QII', 0, 0, 0) + attributes(node)
    elif name in ('OPEN', 'OPENDIR'): body = struct.pack('<QII', node, 0, 0)
    elif name in ('READ', 'READDIR'):
        offset, size = struct.unpack_from('<QI', request, 48)
        if name == 'READ': body = b'from fuse\n'[offset:offset + size]
        elif offset == 0: body = b''.join(entries())
    elif name == 'STATFS': body = bytes(80)
    elif name not in ('FLUSH', 'RELEASE', 'RELEASEDIR'): error = -38
    os.write(fuse, struct.pack('<IiQ', 16 + len(body), error, unique) + body)
"#;

/// The content of its file.
pub(super) const FUSE_FILE: &[u8] = b"from fuse\n";

/// A container with that server, which never answers these requests.
pub(super) fn fuse(name: &str, hanging: &str) -> World {
    let world = World::new(name).prepare("mkdir /hang; mknod /hang-device c 10 229");
    fuse_on(world, hanging)
}

pub(super) fn fuse_on(world: World, hanging: &str) -> World {
    world.file("/app/file", "not hanging").command(["python3", "-c", FUSE, hanging])
}

/// Waits until the server of such a container answers what it answers.
#[track_caller]
pub(super) fn wait_fuse(c: &Inside, hanging: &str) {
    c.wait_log(if hanging == "INIT" { "mounted" } else { "request INIT" });
}

/// Exchanges the paths of its arguments, each with the next, again and again.
pub(super) const EXCHANGE: &str = r"
import ctypes, sys
libc = ctypes.CDLL(None)
pairs = [(a.encode(), b.encode()) for a, b in zip(sys.argv[1::2], sys.argv[2::2])]
for a, b in pairs: assert libc.renameat2(-100, a, -100, b, 2) == 0
print('exchanging', flush=True)
while True:
    for a, b in pairs: libc.renameat2(-100, a, -100, b, 2)
";

/// Tries everything on the processes of its arguments, or on every helper that it sees, and prints for each what the
/// kernel said: an errno, or 0 where it was allowed.
pub(super) const ATTACK: &str = r"
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def helpers():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if open('/proc/%s/comm' % pid).read() == 'portolan-helper\n': yield pid
        except OSError: pass
def attempt(function, *arguments):
    try: function(*arguments)
    except OSError as error: return error.errno
    return 0
def call(function, *arguments):
    done = function(*(ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments))
    if done < 0: raise OSError(ctypes.get_errno(), '')
    return done
def get_descriptor(pid):
    call(libc.syscall, 438, call(libc.syscall, 434, pid, 0), 0, 0)
def read_memory(pid):
    class Part(ctypes.Structure): _fields_ = [('at', ctypes.c_void_p), ('length', ctypes.c_size_t)]
    buffer = ctypes.create_string_buffer(16)
    own, other = Part(ctypes.addressof(buffer), 16), Part(0x400000, 16)
    call(libc.process_vm_readv, pid, ctypes.byref(own), 1, ctypes.byref(other), 1, 0)
told = {}
for pid in sys.argv[1:] or helpers():
    at, number = '/proc/%s/' % pid, int(pid)
    told[pid] = {
        'exe': attempt(os.open, at + 'exe', os.O_RDONLY), 'exe-path': attempt(os.open, at + 'exe', os.O_PATH),
        'exe-write': attempt(os.open, at + 'exe', os.O_WRONLY),
        'mem': attempt(os.open, at + 'mem', os.O_RDWR), 'maps': attempt(lambda: open(at + 'maps').read()),
        'environ': attempt(lambda: open(at + 'environ').read()), 'root': attempt(os.listdir, at + 'root'),
        'cwd': attempt(os.listdir, at + 'cwd'), 'fd': attempt(os.open, at + 'fd/0', os.O_RDONLY),
        'ptrace': attempt(call, libc.ptrace, 0x4206, number, 0, 0), 'pidfd_getfd': attempt(get_descriptor, number),
        'vm': attempt(read_memory, number), 'signal': attempt(os.kill, number, 0),
    }
print(json.dumps(told))
";

/// The capabilities that a container of Docker has.
pub(super) const LIKE_DOCKER: &str = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,\
     +net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";
