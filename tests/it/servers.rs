//! Small programs that listen inside, in the language that is on every test machine.

use portolan_world::World;

/// Listens on every `HOST PORT` pair of its arguments but the first, which it says to whoever connects. Then it
/// echoes what it is sent, once the other side has said everything.
const BANNER: &str = r"
import socket, sys, threading
banner = sys.argv[1].encode()
def answer(connection):
    try:
        connection.sendall(banner)
        while True:
            data = connection.recv(65536)
            if not data: break
            connection.sendall(data)
        connection.close()
    except OSError:
        pass
def serve(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()
for host, port in zip(sys.argv[2::2], sys.argv[3::2]):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == '::v6only':
        host = '::'
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    elif family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind((host, int(port)))
    listener.listen(512)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
print('listening', flush=True)
threading.Event().wait()
";

/// The container's program says `banner` at these addresses (`HOST PORT`), and prints "listening" when it is ready.
/// The host `::v6only` is the wildcard without IPv4.
pub(crate) fn banner(world: World, banner: &str, addresses: &[(&str, u16)]) -> World {
    let mut command: Vec<String> = ["python3", "-c", BANNER, banner].map(str::to_owned).into();
    for (host, port) in addresses {
        command.extend([(*host).to_owned(), port.to_string()]);
    }
    world.command(command)
}

/// The container's program is this Python text.
pub(crate) fn python(world: World, text: &str) -> World {
    world.command(["python3", "-c", text])
}

/// The same, with arguments.
pub(crate) fn script(world: World, text: &str, arguments: &[&str]) -> World {
    world.command(["python3", "-c", text].into_iter().chain(arguments.iter().copied()))
}

/// Listens, accepts nobody, and has filled its own queue: the kernel drops whatever else comes.
pub(crate) const DEAF: &str = "
import socket, time
listener = socket.socket(); listener.bind(('127.0.0.1', 7010)); listener.listen(0)
waiting = []
for _ in range(4):
    client = socket.socket(); client.setblocking(False)
    client.connect_ex(('127.0.0.1', 7010)); waiting.append(client)
time.sleep(0.2)
print('deaf', flush=True)
time.sleep(1000)";
