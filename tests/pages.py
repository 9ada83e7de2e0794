"""The code blocks of the documents, and those of them that no test runs, each with its reason.

Every block is run by ``tests/acceptance/test_doc_blocks.py``, but for those of the pages in
:data:`ELSEWHERE` and those in :data:`NOT_RUN`. So a new block is run, or fails for want of a way to
run it: none is forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^ *(?:```|~~~)(.*)$")
_NAMES_A_FILE = re.compile(r"`(?P<file>[\w./-]+)`:$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :ivar page: the document, from the top of the checkout.
    :ivar line: of the fence that opens it.
    :ivar language: what stands behind that fence; empty: something is shown, not typed; ``text``:
        so it is, and is a drawing or what was measured once.
    :ivar file: the file whose content it is, where the text before it says so.
    """

    page: str
    line: int
    language: str
    text: str
    file: str | None = None

    @property
    def start(self) -> str:
        """Its first line, by which the tables here name it: that moves less than its number."""
        return self.text.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def all_pages() -> list[str]:
    """Every document for people."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("qemu/**/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def every_block(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = []
    opened: tuple[int, str] | None = None
    before, inside = "", []
    for number, line in enumerate((ROOT / page).read_text("utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened and fence:
            named = _NAMES_A_FILE.search(before)
            text = "".join(f"{each}\n" for each in inside)
            found.append(Block(page, *opened, text, named["file"] if named else None))
            opened, before, inside = None, "", []
        elif opened:
            inside.append(line)
        elif fence:
            opened = number, fence[1]
        elif line.strip():
            before = line
    assert opened is None, f"{page}:{opened} is not closed"
    return found


def blocks(page: str, *languages: str) -> list[Block]:
    """The blocks of a page that can be run or checked.

    :param languages: which alone they may have, if any is given.
    :raises AssertionError: for a block of another language. The test that asks would not run it.
    """
    found = [
        block
        for block in every_block(page)
        if block.language != "text" and (page, block.start) not in NOT_RUN
    ]
    for block in found:
        assert not languages or block.language in languages, f"{block}: not run by any test"
    return found


_INSTALLS = "changes the host for good: the host of the tests is not theirs"
_SYSTEMD = "needs a systemd that runs the host; tests/unit/test_service_files.py checks the unit"
_SUPERVISOR = "installs into /opt/taskgen; tests/acceptance/test_supervisor.py runs what it starts"
_VAGRANT = "makes a virtual machine; tests/unit/test_service_files.py checks what it is made of"

#: Why a block is not run, by its page and its first line.
NOT_RUN = {
    ("README.md", "git clone <this repository> taskgen && cd taskgen"): (
        "runs these tests; test_docs.py looks whether the targets are there"
    ),
    ("docs/guest.md", "[template]"): "a part of a profile, which tests/unit/test_profiles.py reads",
    ("docs/install.md", "sudo git clone <this repository> /opt/taskgen && cd /opt/taskgen"): (
        _INSTALLS
    ),
    ("docs/install.md", "sudo cp /opt/taskgen/packaging/taskgend.service /etc/systemd/system/"): (
        _SYSTEMD
    ),
    ("docs/install.md", "cd /opt/taskgen"): _SUPERVISOR,
    (
        "docs/install.md",
        "vagrant up                           # about ten minutes the first time",
    ): (_VAGRANT),
    ("docs/install.md", "vagrant rsync && vagrant provision --provision-with daemon"): _VAGRANT,
    ("docs/operations.md", "cd /opt/taskgen && sudo git pull && sudo ./bootstrap.sh"): _INSTALLS,
    ("docs/operations.md", "sudo systemctl disable --now taskgend && sudo taskgen down"): _INSTALLS,
    (
        "docs/performance.md",
        "make bench                              # all: about half an hour on two quiet cores",
    ): "takes an hour; test_docs.py looks whether scripts and options are there",
}

#: The tests that run the blocks of a page, where these need no root, or are parts of a program.
ELSEWHERE = {
    "docs/configuration.md": "tests/unit/test_settings.py",
    "docs/diagnosis.md": "tests/unit/test_profiles.py",
    "docs/handlers.md": "tests/unit/test_events_docs.py",
    "docs/hosts.md": "tests/acceptance/test_docs.py",
    "docs/protocol.md": "tests/unit/test_session_docs.py",
    "docs/queue.md": "tests/unit/test_queue_docs.py",
    "docs/results.md": "tests/unit/test_results_export.py",
    "docs/tasksets.md": "tests/unit/test_task_docs.py",
}
