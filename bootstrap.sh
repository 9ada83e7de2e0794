#!/bin/sh
# Makes the virtual environment with Taskgen in it, and the guest image. A second call skips what is
# done. KERNEL=rt builds the guest with Debian's PREEMPT_RT kernel as well.
set -eu
cd "$(dirname "$0")"

VENV=.venv

say() { echo "bootstrap: $*"; }

# What the environment was made from: if any of that changes, it is brought up to date.
wanted=$(cat setup.cfg pyproject.toml | sha256sum | cut -d' ' -f1)

if [ "$(cat $VENV/.taskgen 2>/dev/null || true)" = "$wanted" ] && $VENV/bin/python -c '' 2>/dev/null
then
    say "the virtual environment is there"
else
    python=
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "bootstrap: needs Python 3.11 or newer with venv: run ./provision.sh first" >&2
        exit 2
    fi
    say "making the virtual environment in $VENV"
    "$python" -m venv $VENV
    $VENV/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
    echo "$wanted" > $VENV/.taskgen
fi

say "building the guest image"
for kernel in cloud ${KERNEL:-}; do
    ./qemu/guest/build --kernel "$kernel"
done
