"""What documents show and nobody types, beside what is really so."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from page_world import World, bring_binary
from pages import Block

_STATE = "/var/lib/taskgen"


def check_event(world: World, block: Block) -> None:
    """The stream's form is the one that is shown."""
    (stream,) = world.said["api -N 'http://x/v1/events?kind=run.finished&kind=job'"]
    fields = re.findall(r"^(\w+): ", block.text, re.MULTILINE)
    keys = [*re.findall(r'"(\w+)":', block.text.partition('"data":')[0]), "data"]
    shown = re.findall(r"^id: .*\n(?:\w+: .*\n)+", stream.out, re.MULTILINE)
    assert shown
    for message in shown:
        assert re.findall(r"^(\w+): ", message, re.MULTILINE) == fields
        assert list(json.loads(message.partition("data: ")[2])) == keys


def check_refusal(world: World, block: Block) -> None:
    """What is refused is told as it is shown."""
    with world.work_at_hand() as job:
        pass  # it is cancelled now
    said = world.reader.types(
        "curl --unix-socket /run/taskgen/taskgen.sock --silent --include"
        f" -X POST http://x/v1/jobs/{job}/resume"
    )
    head, body = said.out.split("\n\n", 1)
    shown_head, shown_body = block.text.split("\n\n", 1)
    for line in shown_head.splitlines():
        assert line in head.splitlines()
    told, shown = json.loads(body), json.loads(shown_body)
    assert told.keys() == shown.keys()
    for key in ("type", "title", "status"):
        assert told[key] == shown[key]


def check_state(world: World, block: Block) -> None:
    """What is where, is there once everything has been used."""
    bring_binary(world.reader.work)
    for command in ("fleet set-max 1", "job add hey.Hey1TaskSet --binaries . --wait"):
        done = world.reader.types(f"taskgen {command}")
        assert done.status == 0, done.err
    check_places(
        block,
        besides={f"{_STATE}/accelerator.json", f"{_STATE}/snapshots/", "/etc/taskgen/taskgen.toml"},
    )


def check_fleet(world: World, block: Block) -> None:
    """A fleet at work has the files that are drawn, but for those of an uplink and of dhcpd."""
    done = world.reader.types("taskgen job add hey.Hey1TaskSet --wait")
    assert done.status == 0, done.err
    fleet = "/run/taskgen/taskgen"
    check_places(block, besides={f"{fleet}/links.json", f"{fleet}/dhcpd/"})


def check_snapshots(world: World, block: Block) -> None:
    """Machines with a state of their own, and from a template, leave the files that are drawn."""
    for templates in ("false", "true"):
        settings = f"TASKGEN_RUN__RESET=snapshot TASKGEN_SNAPSHOTS__TEMPLATES={templates}"
        run = "taskgen run hey.Hey1TaskSet --embedded --machines 1"
        done = world.reader.types(f"{settings} {run}")
        assert done.status == 0, done.err
    top, *names = (re.split(r"\s{2,}", line.strip())[0] for line in block.text.splitlines())
    for name in names:
        pattern = re.sub("[0-9a-f]{16}", "*", name.replace("-3-", "-1-"))
        assert list(Path(top).glob(pattern)), f"{block}: {name} is not there"


def check_places(block: Block, besides: Collection[str] = ()) -> None:
    """Each file of a drawing is there; ``besides`` are those that need not be.

    What is drawn is an embedded fleet; what it says of the daemon's is true.
    """
    top = place = ""
    for line in block.text.splitlines():
        for name in re.split(r"\s{2,}", line.strip())[0].split():
            if name.startswith("/"):
                top = place = name.replace("NAME", "taskgen")
            elif name.startswith("."):
                place = str(Path(place).with_suffix(name))
            else:
                place = top + name
            for kept in ("machines", "consoles"):  # with the daemon's state
                place = place.replace(f"/run/taskgen/taskgen/{kept}", f"/var/lib/taskgen/{kept}")
            assert Path(place).exists() or place in besides, f"{block}: {place} is not there"


#: How what is shown, and not typed, is checked.
SHOWN = {
    ("docs/api.md", "id: 41.3f9a0c11.1205"): check_event,
    ("docs/api.md", "HTTP/1.1 409 Conflict"): check_refusal,
    ("docs/host.md", "/run/taskgen/NAME/            one fleet; TASKGEN_RUN changes the place"): (
        check_fleet
    ),
    ("docs/operations.md", "/etc/taskgen/taskgen.toml   settings"): check_state,
    (
        "docs/snapshots.md",
        "/var/lib/taskgen/snapshots/           root's; TASKGEN_STATE changes the place",
    ): check_snapshots,
}
