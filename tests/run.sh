#!/bin/sh
# Runs every ring of tests and ends with what was not run, and why.
#
# With PORTOLAN_REQUIRE_ALL=1 whatever cannot run is a failure. Called by `make test`, which has built the command
# and the helper.
set -u
cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-target}
PORTOLAN_NOT_RUN=$(mktemp)
export PORTOLAN_NOT_RUN
trap 'rm -f "$PORTOLAN_NOT_RUN"' EXIT

PORTOLAN_BIN=$(realpath "$target/release/portolan") || exit 1
PORTOLAN_HELPER=$(realpath "$target/release/portolan-helper") || exit 1
export PORTOLAN_BIN PORTOLAN_HELPER

# A test looks at the whole workspace, of which the clients are not built here.
cargo fetch --locked --quiet --target "$(rustc -vV | sed -n 's/^host: //p')" || exit 1
# The clients are hundreds of crates, and have a suite of their own: `make clients`.
cargo test --workspace --exclude portolan-clients --all-features --no-fail-fast
status=$?
# These flood the host with files, listeners and processes, so that passes over it are given up: nothing runs beside them.
# Chosen like the rest, so that nothing is built once more.
cargo test --workspace --exclude portolan-clients --all-features --test it -- --ignored --test-threads=1 scan::bpf || status=$?

echo
if [ -s "$PORTOLAN_NOT_RUN" ]; then
    echo "not run:"
    sort "$PORTOLAN_NOT_RUN" | sed 's/^/  /'
else
    echo "not run: nothing; every test ran"
fi
exit $status
