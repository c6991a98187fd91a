#!/usr/bin/env python3
"""Speaks with portolan-helper as docs/protocol.md has it, to show that another language can.

    python3 tests/client.py read|lines|stat PID PATH [OPTION...]
    python3 tests/client.py glob|include PID PATTERN [-0] [OPTION...]
    python3 tests/client.py batch PID read:PATH|stat:PATH|glob:PATTERN|include:PATTERN... [-0] [OPTION...]

Prints the file's bytes; what the file is; or the paths (escaped and one a line, or raw and ended by NUL with -0), each
followed by its file's bytes when it is included. OPTIONs are the helper's. A batch is one entry into the container.
The helper is the one that PORTOLAN_HELPER names, or else the one that `make helper` has built.
"""
import os
import struct
import subprocess
import sys

HELPER = os.environ.get("PORTOLAN_HELPER") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../target/release/portolan-helper")
HELLO, DATA, ENTRY, END, ERROR, STAT, FILE_END, FILE_ERROR, REFUSED = range(1, 10)
CODES = ["", "no such file", "permission denied", "a capability is missing", "not a regular file",
         "too many symbolic links", "a magic link", "the process is gone", "the process changed its namespaces",
         "a limit was met", "the deadline passed", "held by a write lease", "not supported", "invalid request",
         "a name is too long", "input or output failed", "a file system that is not read", "not confined"]
STAGES = ["", "request", "target", "enter", "confine", "open", "read", "glob", "stat"]
KINDS = ["unknown", "regular", "directory", "symlink", "fifo", "socket", "char-device", "block-device"]
# The kinds of frame that may follow one, in an operation; None stands for its beginning.
FOLLOWS = {
    "stat": {None: (STAT,), STAT: (END,)},
    "read": {None: (STAT,), STAT: (DATA, END), DATA: (DATA, END)},
    "glob": {None: (ENTRY, END), ENTRY: (ENTRY, END)},
    "include": {None: (ENTRY, END), ENTRY: (STAT, FILE_ERROR), STAT: (DATA, FILE_END, FILE_ERROR),
                DATA: (DATA, FILE_END, FILE_ERROR), FILE_END: (ENTRY, END), FILE_ERROR: (ENTRY, END)},
}
FOLLOWS["lines"] = FOLLOWS["read"]
# In a batch: action, the most bytes of one file, the most entries.
ACTIONS = {"stat": (1, 0, 0), "read": (2, 204800, 0), "glob": (5, 0, 10000), "include": (6, 204800, 10000)}


class Broken(Exception):
    """The answer is not one of the protocol."""


def check(true, what):
    if not true:
        raise Broken(what)


def frames(answer, operations):
    """Operation, kind and payload of each frame; all of them are looked at before any is believed."""
    at, sequence, operation = 0, 0, 0
    while operation < operations:
        check(len(answer) - at >= 12, "the answer is cut off")
        length, kind, flags, of, number = struct.unpack_from("<IBBHI", answer, at)
        check(length <= 65536 and HELLO <= kind <= REFUSED, "no frame")
        check((flags, of, number) == (0, operation, sequence), "frames out of order")
        check((kind == HELLO) == (sequence == 0), "hello is the first frame, and no other is")
        check(kind != REFUSED or sequence == 1, "refused too late")
        check(len(answer) - at - 12 >= length, "the answer is cut off")
        yield operation, kind, answer[at + 12:at + 12 + length]
        at, sequence = at + 12 + length, sequence + 1
        operation = operations if kind == REFUSED else operation + (kind in (END, ERROR))
    check(at == len(answer), "there is more after the last frame")


def decode(answer, operations, most_bytes, most_entries):
    """What came, as (operation, kind, value): data and paths as bytes, the rest as tuples of fields."""
    seen, all_bytes, all_entries = [], 0, 0
    before, sent, file_sent, entries = None, 0, 0, 0
    for of, kind, payload in list(frames(answer, len(operations))):
        if kind == HELLO:
            check(len(payload) == 40 and payload[:8] == b"PORTOLAN", "no portolan-helper")
            version, posture, seccomp, _, zero = struct.unpack_from("<HHBBH", payload, 8)
            check(version == 3, "another version")
            check(posture < 128 and seccomp in (0, 2) and zero == 0, "an unknown posture")
            continue
        check(kind in (ERROR, REFUSED) or kind in FOLLOWS[operations[of]].get(before, ()),
              "a frame that does not belong there")
        if kind == DATA:
            value, sent, file_sent = payload, sent + len(payload), file_sent + len(payload)
            all_bytes += len(payload)
            check(all_bytes <= most_bytes, "more data than were asked for")
        elif kind == ENTRY:
            check(2 <= len(payload) <= 4096 and payload[0] <= 7 and 0 not in payload[1:], "no path")
            value, entries, all_entries = payload[1:], entries + 1, all_entries + 1
            check(all_entries <= most_entries, "more paths than were asked for")
        elif kind == STAT:
            check(len(payload) == 72, "no stat")
            what, zero, *value = struct.unpack("<B3sIIIQQQqIIQQ", payload)
            check(what <= 7 and zero == bytes(3), "no stat")
            value, file_sent = (KINDS[what], *value), 0
        elif kind in (END, FILE_END):
            check(len(payload) == 32, "no end")
            counted, listed, size, truncated, zero, skipped = value = struct.unpack("<QQQB3sI", payload)
            check((counted, listed) == ((sent, entries) if kind == END else (file_sent, 0)), "the counts are wrong")
            check(truncated <= 1 and zero == bytes(3), "no end")
        else:
            check(len(payload) == 16, "no error")
            code, stage, errno, limit, zero, detail = value = struct.unpack("<BBHB3sQ", payload)
            check(1 <= code <= 17 and 1 <= stage <= 8 and limit <= 3 and zero == bytes(3), "no error")
        seen.append((of, kind, value))
        before = kind
        if kind in (END, ERROR):
            before, sent, file_sent, entries = None, 0, 0, 0
    return seen


def request(words, most_bytes=204800, most_entries=10000):
    """The bytes of a request; each word is an operation, a colon, and a path."""
    out = struct.pack("<4sHHQIHHQQHHBBH", b"PREQ", 3, 0, 0, 2000, 0, 0, most_bytes, most_entries, len(words),
                      0, 0, 0, 0)
    for word in words:
        name, _, path = word.partition(b":")
        action, most, entries = ACTIONS[os.fsdecode(name)]
        out += struct.pack("<BBHI6Q", action, 0, len(path), 0, 0, most, 0, entries, 0, 0) + path
    return out


def show(answer, operations, null):
    """Prints what a person asked for; a file's bytes only once its end has come. Complaints go elsewhere."""
    out, held = sys.stdout.buffer, b""
    for of, kind, value in answer:
        if kind == DATA:
            held += value
        elif kind == ENTRY:
            shown = "".join(c if c.isprintable() and c != "\\" else repr(c)[1:-1]
                            for c in value.decode(errors="backslashreplace"))
            out.write(value + b"\0" if null else shown.encode() + b"\n")
        elif kind == STAT and operations[of] == "stat":
            what, mode, user, group, size, device, inode, modified, nanos, links, _, _ = value
            out.write(f"{what} mode={mode:o} owner={user}:{group} size={size} "
                      f"device={device >> 32}:{device & 0xffffffff} inode={inode} "
                      f"modified={modified}.{nanos:09} links={links}\n".encode())
        elif kind in (END, FILE_END):
            out.write(held)
            held = b""
        elif kind != STAT:
            held = b""
            code, stage, errno, _, _, detail = value
            out.flush()
            print(f"client: {CODES[code]} ({STAGES[stage]}, errno {errno}, detail {detail})", file=sys.stderr)


def main(arguments):
    if len(arguments) < 3 or arguments[0] not in (*FOLLOWS, "batch"):
        sys.exit(__doc__)
    name, pid, *words = map(os.fsencode, arguments)
    null = b"-0" in words
    words = [word for word in words if word != b"-0"]
    most = {b"--max-bytes": 204800, b"--max-entries": 10000}
    for option in most:
        if option in words and name != b"batch":
            most[option] = int(words[words.index(option) + 1])
    if name == b"batch":
        first = next((at for at, word in enumerate(words) if word.startswith(b"--")), len(words))
        asked, options = words[:first], words[first:]
        operations = [os.fsdecode(word.partition(b":")[0]) for word in asked]
        if not asked or not set(operations) <= ACTIONS.keys():
            sys.exit(__doc__)
        command, given = [HELPER, name, b"--pid", pid, *options], request(asked)
    else:
        path, *options = words
        operations = [arguments[0]]
        command, given = [HELPER, name, b"--pid", pid, *options, b"--", path], b""
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, env={})
    if done.returncode == 2:
        return 2
    answer = decode(done.stdout, operations, *most.values())
    show(answer, operations, null)
    _, last, failure = answer[-1]
    status = 0 if last == END else 3 if failure[0] == 3 else 1
    check(done.returncode == status, "the exit status is another")
    return status or int(any(kind == ERROR for _, kind, _ in answer))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Broken as broken:
        sys.exit(f"client: the helper broke the protocol: {broken}")
