#!/bin/sh
# Installs the Debian packages named, for tests and examples that run real programs.
#
#   tests/packages.sh NAME...
#
# Packages that are installed already are left alone; if all are, nothing happens, and neither root nor the
# network is needed. Otherwise it says which are missing and lets apt-get show its progress. The packages'
# services are not started: a test runs such a program itself, in a container of its own.
#
# Exit status: 0 if all packages are installed now, 1 if not, 2 for a wrong call.

set -eu

policy=/usr/sbin/policy-rc.d
marker='# made by tests/packages.sh'

say() {
    printf 'packages.sh: %s\n' "$*"
}

fail() {
    printf 'packages.sh: %s\n' "$*" >&2
    exit 1
}

is_installed() {
    status=$(dpkg-query --show --showformat='${Status}' "$1" 2>/dev/null) || return 1
    [ "$status" = 'install ok installed' ]
}

# Prints those of the packages named that are not installed, each with a space before it.
missing_of() {
    for package in "$@"; do
        is_installed "$package" || printf ' %s' "$package"
    done
}

# Maintainer scripts ask this program before they start a service; 101 forbids it. One that is there already
# is the administrator's own and stays.
forbid_services() {
    trap 'allow_services' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        say "$policy is there already and decides whether services start"
    else
        printf '#!/bin/sh\n%s\nexit 101\n' "$marker" >"$policy"
        chmod 755 "$policy"
    fi
}

# The marker tells ours from one that somebody has put there meanwhile.
allow_services() {
    if grep -qsxF "$marker" "$policy"; then
        rm -f "$policy"
    fi
}

install() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "$@"
}

# The lists are needed, and too old if a package is unknown or its version no longer on the servers. The
# simulation notices the one, and only the download the other.
install_with_lists() {
    if apt-get install --simulate --quiet=2 --no-install-recommends "$@" >/dev/null 2>&1 && install "$@"; then
        return 0
    fi
    say 'updating the package lists'
    apt-get update || return 1
    install "$@"
}

if [ $# -eq 0 ]; then
    printf 'usage: tests/packages.sh NAME...\n' >&2
    exit 2
fi
for package in "$@"; do
    case $package in
        -* | '' | *[!a-z0-9.+:-]*)
            printf 'packages.sh: "%s" is no package name\n' "$package" >&2
            exit 2
            ;;
    esac
done

missing=$(missing_of "$@")
if [ -z "$missing" ]; then
    exit 0
fi
command -v apt-get >/dev/null || fail "missing:$missing; there is no apt-get here, install them another way"
[ "$(id -u)" -eq 0 ] || fail "missing:$missing; installing them takes root"

say "missing:$missing; installing them"
forbid_services
# Names hold no spaces, so the list falls into words as it should.
# shellcheck disable=SC2086
install_with_lists $missing || fail "could not install:$missing"

missing=$(missing_of "$@")
[ -z "$missing" ] || fail "still missing after the installation:$missing"
say 'all are installed'
