#!/bin/sh
# Reads one file of a container with portolan-helper and a shell, to show how little a client needs:
#
#     sh examples/one_shot.sh PID PATH [OPTION...]
#
# PID is a process of the container, PATH a file as that process sees it, OPTIONs are the helper's (--prefix, ...).
# The answer is a row of frames (docs/protocol.md): twelve bytes of header, of which the first four say how long the
# payload is and the fifth what it is. A file comes as hello, stat, data..., end.
# Nothing is printed before the end has come: data without it are a piece of a file, and nobody could tell.
set -eu
[ $# -ge 2 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
helper=${PORTOLAN_HELPER:-$(dirname "$0")/../target/release/portolan-helper}
pid=$1 path=$2
shift 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Its exit status is not needed: the frames say more.
env -i "$helper" read --pid "$pid" "$@" -- "$path" >"$work/answer" || true

fail() { echo "one_shot: $*" >&2 && exit 1; }
# The bytes from an offset on, so many of them.
raw() { tail -c "+$(($1 + 1))" "$work/answer" | head -c "$2"; }
# The same as one number; the lowest byte comes first.
number() (
    value=0 unit=1
    for byte in $(raw "$1" "$2" | od -An -v -tu1); do
        value=$((value + byte * unit)) unit=$((unit * 256))
    done
    echo "$value"
)

total=$(($(wc -c <"$work/answer")))
at=0 sequence=0 sent=0 last=none
: >"$work/file"
while [ "$last" = none ]; do
    [ $((total - at)) -ge 12 ] || fail "the answer is cut off"
    length=$(number "$at" 4) kind=$(number $((at + 4)) 1)
    [ "$(number $((at + 5)) 3)" -eq 0 ] || fail "flags, or another operation"
    [ "$(number $((at + 8)) 4)" -eq $sequence ] || fail "a frame is missing"
    at=$((at + 12))
    [ "$length" -le 65536 ] && [ $((total - at)) -ge "$length" ] || fail "the answer is cut off"
    # Payload lengths belong to the kind; hello is the first frame, and only the first.
    case $sequence:$kind:$length in
    0:1:40) [ "$(raw "$at" 8)" = PORTOLAN ] && [ "$(number $((at + 8)) 2)" = 3 ] || fail "no helper of version 3" ;;
    0:* | *:1:*) fail "hello is not where it should be" ;;
    1:6:72) ;;
    1:2:* | 1:4:*) fail "no stat before the data" ;;
    *:2:*) raw "$at" "$length" >>"$work/file" && sent=$((sent + length)) ;;
    *:4:32) [ "$(number "$at" 8)" = "$sent" ] && last=end || fail "the end counts other bytes" ;;
    *:5:16 | 1:9:16) fail "refused, code $(number "$at" 1): docs/protocol.md has the list" ;;
    *) fail "an unknown frame" ;;
    esac
    at=$((at + length)) sequence=$((sequence + 1))
done
[ "$at" -eq "$total" ] || fail "there is more after the end"
cat "$work/file"
