#!/bin/sh
# Makes the virtual environment with Taskgen in it, and the guest image. A second call skips what is
# done. KERNEL=rt builds the guest with Debian's PREEMPT_RT kernel as well.
#
#     ./bootstrap.sh              that, for whoever develops or uses `taskgen run`
#     ./bootstrap.sh --service    also has supervisor run the daemon (needs root), as in Vagrant's machine
set -eu
cd "$(dirname "$0")"

VENV=.venv
LOG=/var/log/taskgend.log
READY_S=120  # the daemon's first start may try KVM out, which takes a while

say() { echo "bootstrap: $*"; }

die() { echo "bootstrap: $*" >&2; exit 2; }

service=
case "${1:-}" in
    "") ;;
    --service) service=yes ;;
    *) die "unknown option $1; there is only --service" ;;
esac
[ $# -le 1 ] || die "too many options"
[ -z "$service" ] || [ "$(id -u)" -eq 0 ] || die "--service needs root (sudo)"

make_environment() {
    # What the environment was made from: if any of that changes, it is brought up to date.
    wanted=$(cat setup.cfg pyproject.toml | sha256sum | cut -d' ' -f1)
    if [ "$(cat $VENV/.taskgen 2>/dev/null || true)" = "$wanted" ] &&
        $VENV/bin/python -c '' 2>/dev/null
    then
        say "the virtual environment is there"
        return
    fi
    python=
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || die "needs Python 3.11 or newer with venv: run ./provision.sh first"
    say "making the virtual environment in $VENV"
    "$python" -m venv $VENV
    $VENV/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
    echo "$wanted" > $VENV/.taskgen
}

build_guest() {
    say "building the guest image"
    for kernel in cloud ${KERNEL:-}; do
        ./qemu/guest/build --kernel "$kernel"
    done
}

supervisorctl() { $VENV/bin/supervisorctl -c supervisord.conf "$@"; }

# Exit status 3: no daemon answers.
answers() { $VENV/bin/taskgen status >/dev/null 2>&1 || [ $? -ne 3 ]; }

# What runs is left alone, but for what supervisord.conf says anew. Nothing restarts a daemon that works.
run_daemon() {
    if systemctl is-active --quiet taskgend 2>/dev/null; then
        die "systemd runs the daemon already: systemctl disable --now taskgend"
    fi
    for command in taskgen taskgend; do
        link=/usr/local/bin/$command target=$PWD/$VENV/bin/$command
        [ "$(readlink "$link" || true)" = "$target" ] || ln -sfn "$target" "$link"
    done
    if supervisorctl pid >/dev/null 2>&1; then
        say "supervisord is there"
        supervisorctl update
        supervisorctl status taskgend >/dev/null || supervisorctl start taskgend || true
    else
        say "starting supervisord, and with it the daemon"
        $VENV/bin/supervisord -c supervisord.conf
    fi
    # A shell can only ask again.
    waited_s=0
    until answers; do
        if [ $waited_s -ge $READY_S ] || supervisorctl status taskgend | grep -q FATAL; then
            tail -n 5 "$LOG" >&2 || true
            die "the daemon does not answer; all it said is in $LOG"
        fi
        sleep 1
        waited_s=$((waited_s + 1))
    done
    say "the daemon answers: taskgen status"
}

make_environment
build_guest
[ -z "$service" ] || run_daemon
