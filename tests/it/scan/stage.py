"""Processes that do as they are told, each in namespaces of its own: a host that changes.

The stage reads one order a line, as JSON, and answers each with one line. Actors are its children; all end with it.
"""
import ctypes, fcntl, json, os, signal, socket, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUTS, NEWPID, NEWNET, FILES = 0x20000, 0x4000000, 0x20000000, 0x40000000, 0x400
STREAM, DATAGRAM, PACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
FAMILIES = {
    'tcp4': (socket.AF_INET, STREAM, '127.0.0.1'), 'tcp4-any': (socket.AF_INET, STREAM, '0.0.0.0'),
    'tcp6': (socket.AF_INET6, STREAM, '::1'), 'tcp6-any': (socket.AF_INET6, STREAM, '::'),
    'udp4': (socket.AF_INET, DATAGRAM, '0.0.0.0'), 'udp6': (socket.AF_INET6, DATAGRAM, '::1'),
    'unix': (socket.AF_UNIX, STREAM, None), 'packets': (socket.AF_UNIX, PACKET, None),
    'odd': (socket.AF_UNIX, STREAM, None), 'odd-packets': (socket.AF_UNIX, PACKET, None),
    'path': (socket.AF_UNIX, STREAM, None),
    'device': (socket.AF_INET, STREAM, '0.0.0.0'), 'device6': (socket.AF_INET6, DATAGRAM, '::'),
    'multipath': (socket.AF_INET, STREAM, '127.0.0.1'), 'multipath6': (socket.AF_INET6, STREAM, '::'),
}
MULTIPATH = 262


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), 'refused')


def die_with_parent():
    check(libc.prctl(1, signal.SIGKILL, 0, 0, 0))


def loopback_up():
    with socket.socket(socket.AF_INET, DATAGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack('16sH22x', b'lo', 1))


def child(work):
    """Forks; the child says that it is ready, or executes another program, and dies with us."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        die_with_parent()
        try:
            work(lambda: os.write(tell, b'x'))
        finally:
            os._exit(1)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    return pid


class Actor:
    def __init__(self, channel):
        self.channel, self.held, self.children, self.threads, self.flying = channel, {}, {}, {}, {}

    def listen(self, key, family, name):
        domain, kind, host = FAMILIES[family]
        s = socket.socket(domain, kind, MULTIPATH if family.startswith('multipath') else 0)
        if domain == socket.AF_INET6 and host == '::':
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if family.startswith('device'):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo')
        if host:
            s.bind((host, 0))
        elif family == 'path':
            s.bind('/tmp/' + name)
            os.unlink('/tmp/' + name)
        else:
            s.bind(b'\0' + name.encode() + (b'\n\0\xff\x1b[2J' if family.startswith('odd') else b''))
        if kind != DATAGRAM:
            s.listen(8)
        self.held[key] = s

    def close(self, key):
        self.held.pop(key).close()

    def connect(self, key, other):
        """A connection to one of our own, both ends of it ours."""
        s = self.held[key]
        c = socket.socket(s.family, s.type)
        c.connect(s.getsockname())
        self.held[other] = c
        self.held[other + '-accepted'] = s.accept()[0]

    def duplicate(self, key, other):
        """The same socket by another number, above those that are looked at first."""
        self.held[other] = socket.socket(fileno=fcntl.fcntl(self.held[key], fcntl.F_DUPFD_CLOEXEC, 40))

    def fly(self, key):
        """Sends a socket that nobody receives."""
        ends = socket.socketpair(socket.AF_UNIX, PACKET)
        s = self.held.pop(key)
        socket.send_fds(ends[0], [b'x'], [s.fileno()])
        s.close()
        self.flying[key] = ends

    def land(self, key):
        ends = self.flying.pop(key)
        _, fds, _, _ = socket.recv_fds(ends[1], 1, 1)
        for end in ends:
            end.close()
        self.held[key] = socket.socket(fileno=fds[0])

    def leave(self, key, name):
        """Listens in a network that it leaves."""
        home = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        try:
            check(libc.unshare(NEWNET))
            self.listen(key, 'unix', name)
            check(libc.setns(home, NEWNET))
        finally:
            os.close(home)

    def give(self, key, keep):
        s = self.held[key] if keep else self.held.pop(key)
        return s

    def fork(self, key):
        def work(ready):
            ready()
            while True:
                time.sleep(1000)
        self.children[key] = child(work)

    def become(self, key, program, sockets):
        """A child that executes another program, with some of our sockets."""
        def work(ready):
            for s in sockets:
                self.held[s].set_inheritable(True)
            os.execvp(program, [program, '1000'] if program == 'sleep' else [program])
        self.children[key] = child(work)

    def headless(self, key, sockets):
        """A child with some of our sockets, whose first thread ends and leaves another one."""
        def work(ready):
            def stay():
                die_with_parent()
                while open('/proc/self/stat', 'rb').read().rsplit(b') ')[-1][:1] != b'Z':
                    time.sleep(0.001)
                ready()
                time.sleep(100000)
            for other in [other for other in self.held if other not in sockets]:
                self.held.pop(other).close()
            threading.Thread(target=stay).start()
            libc.pthread_exit(None)
        self.children[key] = child(work)

    def user(self, key, number):
        """A child that becomes another user, with what it holds."""
        def work(ready):
            os.setresuid(number, number, number)
            # The kernel forgets that with the user.
            die_with_parent()
            ready()
            while True:
                time.sleep(1000)
        self.children[key] = child(work)

    def end_child(self, key):
        pid = self.children.pop(key)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def comm(self, name):
        with open('/proc/self/comm', 'wb') as f:
            f.write(name.encode('latin-1'))

    def hostname(self, name):
        socket.sethostname(name)

    def unshare(self):
        check(libc.unshare(NEWNET))

    def directory(self, path):
        os.chdir(path)

    def thread(self, key, flags, name):
        """A thread in a network of its own, with a listener there, or with descriptors of its own, or both."""
        started, over, failed = threading.Event(), threading.Event(), []
        def work():
            try:
                check(libc.unshare(flags))
                s = socket.socket(socket.AF_UNIX)
                s.bind('\0' + name)
                s.listen(1)
            except OSError as error:
                failed.append(error)
                started.set()
                return
            started.set()
            over.wait()
            s.close()
        t = threading.Thread(target=work, daemon=True)
        t.start()
        started.wait()
        if failed:
            raise failed[0]
        self.threads[key] = (over, t)

    def end_thread(self, key):
        over, t = self.threads.pop(key)
        over.set()
        t.join()

    def run(self):
        while True:
            order, fds, _, _ = socket.recv_fds(self.channel, 4096, 1)
            if not order:
                os._exit(0)
            what, *arguments = json.loads(order)
            answer, sent = 'done', []
            try:
                if what == 'take':
                    self.held[arguments[0]] = socket.socket(fileno=fds[0])
                elif what == 'give':
                    sent = [self.give(*arguments)]
                elif what == 'enter':
                    check(libc.setns(fds[0], NEWNET))
                    os.close(fds[0])
                else:
                    getattr(self, what)(*arguments)
            except OSError as error:
                answer = 'refused: %s' % error
            socket.send_fds(self.channel, [answer.encode()], [s.fileno() for s in sent])
            # With the variable the descriptor would live on.
            for s in sent:
                if s not in self.held.values():
                    s.close()


class Stage:
    def __init__(self):
        self.actors = {}

    def start(self, name, flags):
        ours, theirs = socket.socketpair(socket.AF_UNIX, PACKET)
        def act(ready):
            ours.close()
            for other, _ in self.actors.values():
                other.close()
            os.setpgid(0, 0)
            check(libc.unshare(flags))
            if flags & NEWNET:
                loopback_up()
            if flags & NEWNS:
                check(libc.mount(b'none', b'/', None, 0x44000, None))
            def inner(tell):
                if flags & NEWPID:
                    check(libc.mount(b'proc', b'/proc', b'proc', 0, None))
                tell()
                Actor(theirs).run()
            if flags & NEWPID:
                inside = child(inner)
                theirs.close()
                ready()
                os.waitpid(inside, 0)
                os._exit(0)
            ready()
            Actor(theirs).run()
        pid = child(act)
        theirs.close()
        self.actors[name] = (ours, pid)
        return str(pid)

    def stop(self, name):
        channel, pid = self.actors.pop(name)
        channel.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def ask(self, name, order, fds=()):
        channel, _ = self.actors[name]
        socket.send_fds(channel, [json.dumps(order).encode()], fds)
        answer, got, _, _ = socket.recv_fds(channel, 4096, 1)
        return answer.decode() or 'ended', got

    def pass_on(self, giver, key, keep, taker):
        answer, fds = self.ask(giver, ['give', key, keep])
        if answer == 'done':
            answer, _ = self.ask(taker, ['take', key], fds)
        for fd in fds:
            os.close(fd)
        return answer

    def enter(self, name, other):
        fd = os.open('/proc/%d/ns/net' % self.actors[other][1], os.O_RDONLY)
        answer, _ = self.ask(name, ['enter'], [fd])
        os.close(fd)
        return answer

    def home(self, name):
        fd = os.open('/proc/self/ns/net', os.O_RDONLY)
        answer, _ = self.ask(name, ['enter'], [fd])
        os.close(fd)
        return answer

    def tell(self, name, *order):
        return self.ask(name, order)[0]

    def run(self):
        print('ready', flush=True)
        for line in sys.stdin:
            what, *arguments = json.loads(line)
            try:
                answer = getattr(self, what)(*arguments) or 'done'
            except OSError as error:
                answer = 'refused: %s' % error
            print(answer, flush=True)


Stage().run()
