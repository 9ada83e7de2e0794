#!/bin/sh
# Installs the Debian packages, and makes the system user and the group that Taskgen needs. Once for each machine;
# a second call finds everything there and changes nothing. Needs root, or sudo.
#
#     ./provision.sh          what Taskgen needs
#     ./provision.sh --dev    also what only some of its tests need, and CI therefore has
set -eu

QEMU_USER=taskgen-qemu
API_GROUP=taskgen  # its members may use the daemon
PACKAGES="
    python3 python3-venv git make
    qemu-system-x86 qemu-system-arm dnsmasq-base screen
    curl jq sqlite3
    gcc libc6-dev musl-tools libexpat1-dev binutils xz-utils ca-certificates
"
DEV_PACKAGES="debootstrap systemd vagrant"

say() { echo "provision: $*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Shows what a command says only if it fails.
quietly() {
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        rm -f "$log"
    else
        status=$?
        cat "$log" >&2
        rm -f "$log"
        echo "provision: failed ($status): $*" >&2
        exit 1
    fi
}

installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

case "$*" in
    "") ;;
    --dev) PACKAGES="$PACKAGES $DEV_PACKAGES" ;;
    *) echo "provision: unknown option $*; there is only --dev" >&2; exit 2 ;;
esac
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "provision: needs root: run it as root, or install sudo" >&2
    exit 2
fi
if ! command -v apt-get >/dev/null; then
    echo "provision: needs Debian (apt-get); elsewhere install by hand:" $PACKAGES >&2
    exit 2
fi

missing=
for package in $PACKAGES; do
    installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    say "installing$missing (this takes a minute)"
    quietly as_root apt-get update
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends $missing
else
    say "all packages are there"
fi

if getent passwd "$QEMU_USER" >/dev/null; then
    say "user $QEMU_USER is there"
else
    say "making the system user $QEMU_USER, which QEMU will run as"
    as_root useradd --system --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin "$QEMU_USER"
fi

if getent group "$API_GROUP" >/dev/null; then
    say "group $API_GROUP is there"
else
    say "making the group $API_GROUP, whose members may use the daemon"
    as_root groupadd --system "$API_GROUP"
fi
