#!/bin/sh
# Installs the Debian packages, and makes the system user and the group that Taskgen needs. Once for each machine;
# a second call finds everything there and changes nothing. Needs root, or sudo.
#
#     ./provision.sh          what Taskgen needs
#     ./provision.sh --isc    also ISC's dhcpd, for dhcp.server = "isc". Its service is neither started nor
#                             enabled: only fleets start one, each on a network of its own
#     ./provision.sh --dev    also what only some of the tests need, and CI therefore has; with dhcpd
set -eu

QEMU_USER=taskgen-qemu
DHCPD_USER=taskgen-dhcp
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

isc=
for option in "$@"; do
    case $option in
        --isc) isc=yes ;;
        --dev) isc=yes PACKAGES="$PACKAGES $DEV_PACKAGES" ;;
        *) echo "provision: unknown option $option; there are --isc and --dev" >&2; exit 2 ;;
    esac
done
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

# make_user NAME PROGRAM
make_user() {
    if getent passwd "$1" >/dev/null; then
        say "user $1 is there"
    else
        say "making the system user $1, which $2 will run as"
        as_root useradd --system --user-group --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin "$1"
    fi
}

# Debian starts a service when it is installed, unless this file forbids it with status 101.
POLICY=/usr/sbin/policy-rc.d

install_isc() {
    if [ -e "$POLICY" ]; then
        status=0
        "$POLICY" isc-dhcp-server start >/dev/null 2>&1 || status=$?
        if [ "$status" -ne 101 ]; then
            echo "provision: $POLICY would let a DHCP server start on this host's network" \
                "(status $status, not 101), so that was not installed: have it deny isc-dhcp-server" >&2
            exit 1
        fi
    else
        trap 'as_root rm -f "$POLICY"' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
        as_root chmod 755 "$POLICY"
    fi
    say "installing isc-dhcp-server; its service is not started"
    quietly as_root apt-get update
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends isc-dhcp-server
    quietly as_root update-rc.d isc-dhcp-server disable
}

make_user "$QEMU_USER" QEMU
if [ "$isc" ]; then
    if installed isc-dhcp-server; then say "isc-dhcp-server is there"; else install_isc; fi
    make_user "$DHCPD_USER" dhcpd
fi

if getent group "$API_GROUP" >/dev/null; then
    say "group $API_GROUP is there"
else
    say "making the group $API_GROUP, whose members may use the daemon"
    as_root groupadd --system "$API_GROUP"
fi
