#!/usr/bin/env python3
"""Speaks with portolan-helper as docs/protocol.md has it, to show that another language can.

    python3 tests/client.py read PID PATH [OPTION...]
    python3 tests/client.py glob PID PATTERN [-0] [OPTION...]

Prints the file's bytes, or the paths (escaped and one a line, or raw and ended by NUL with -0). OPTIONs are the
helper's. The helper is the one that PORTOLAN_HELPER names, or else the one that `make helper` has built.
"""
import os
import struct
import subprocess
import sys

HELPER = os.environ.get("PORTOLAN_HELPER") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../target/release/portolan-helper")
HELLO, DATA, ENTRY, END, ERROR = 1, 2, 3, 4, 5
CODES = ["", "no such file", "permission denied", "a capability is missing", "not a regular file",
         "too many symbolic links", "a magic link", "the process is gone", "the process changed its namespaces",
         "a limit was met", "the deadline passed", "held by a write lease", "not supported", "invalid request",
         "a name is too long", "input or output failed"]
STAGES = ["", "request", "target", "enter", "confine", "open", "read", "glob"]


class Broken(Exception):
    """The answer is not one of the protocol."""


def check(true, what):
    if not true:
        raise Broken(what)


def frames(answer):
    """The kind and payload of each frame; all of them are looked at before any is believed."""
    at, sequence, kind = 0, 0, None
    while kind not in (END, ERROR):
        check(len(answer) - at >= 12, "the answer is cut off")
        length, kind, flags, operation, number = struct.unpack_from("<IBBHI", answer, at)
        check(length <= 65536 and HELLO <= kind <= ERROR, "no frame")
        check((flags, operation, number) == (0, 0, sequence), "frames out of order")
        check((kind == HELLO) == (sequence == 0), "hello is the first frame, and no other is")
        check(len(answer) - at - 12 >= length, "the answer is cut off")
        yield kind, answer[at + 12:at + 12 + length]
        at, sequence = at + 12 + length, sequence + 1
    check(at == len(answer), "there is more after the last frame")


def decode(answer, operation, most):
    """The data and the paths of an answer, and how it ended: ("end", ...) or ("error", ...)."""
    data, paths = b"", []
    for kind, payload in list(frames(answer)):
        if kind == HELLO:
            check(len(payload) == 40 and payload[:8] == b"PORTOLAN", "no portolan-helper")
            version, posture, seccomp, _, zero = struct.unpack_from("<HHBBH", payload, 8)
            check(version == 1, "another version")
            check(posture < 32 and seccomp in (0, 2) and zero == 0, "an unknown posture")
        elif kind == DATA:
            data += payload
            check(operation == "read" and len(data) <= most, "more data than were asked for")
        elif kind == ENTRY:
            check(operation == "glob" and len(paths) < most, "more paths than were asked for")
            check(2 <= len(payload) <= 4096 and payload[0] <= 7 and 0 not in payload[1:], "no path")
            paths.append(payload[1:])
        elif kind == END:
            check(len(payload) == 32, "no end")
            sent, entries, size, truncated, zero, skipped = struct.unpack("<QQQB3sI", payload)
            check((sent, entries) == (len(data), len(paths)), "the counts are wrong")
            check(truncated <= 1 and zero == bytes(3), "no end")
            return data, paths, ("end", size, truncated, skipped)
        else:
            check(len(payload) == 16, "no error")
            code, stage, errno, limit, zero, detail = struct.unpack("<BBHB3sQ", payload)
            check(1 <= code <= 15 and 1 <= stage <= 7 and limit <= 3 and zero == bytes(3), "no error")
            return data, paths, ("error", code, stage, errno, detail)


def main(arguments):
    if len(arguments) < 3 or arguments[0] not in ("read", "glob"):
        sys.exit(__doc__)
    operation, pid, path, *options = map(os.fsencode, arguments)
    null = b"-0" in options
    options = [option for option in options if option != b"-0"]
    limit, most = (b"--max-bytes", 204800) if operation == b"read" else (b"--max-entries", 10000)
    if limit in options:
        most = int(options[options.index(limit) + 1])
    command = [HELPER, operation, b"--pid", pid, *options, b"--", path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={})
    if done.returncode == 2:
        return 2
    data, paths, last = decode(done.stdout, arguments[0], most)
    for found in paths:
        shown = "".join(c if c.isprintable() and c != "\\" else repr(c)[1:-1]
                        for c in found.decode(errors="backslashreplace"))
        sys.stdout.buffer.write(found + b"\0" if null else shown.encode() + b"\n")
    if last[0] == "error":
        _, code, stage, errno, detail = last
        print(f"client: {CODES[code]} ({STAGES[stage]}, errno {errno}, detail {detail})", file=sys.stderr)
        check(done.returncode == (3 if code == 3 else 1), "the exit status is another")
    else:
        sys.stdout.buffer.write(data)
        check(done.returncode == 0, "the exit status is another")
    return done.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Broken as broken:
        sys.exit(f"client: the helper broke the protocol: {broken}")
