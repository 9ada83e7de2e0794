"""One verdict for whatever is seen of a machine, and the right one for what is known to happen."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import assets
from taskgen.diagnosis import RULES, ConsoleFault, Doing, Evidence, Link, Port, diagnose
from taskgen.interfaces import FailureClass

MAC, OTHER = "0a:06:00:00:00:03", "0a:06:00:00:00:07"
OOPS = ConsoleFault("BUG: unable to handle page fault", "a kernel oops")
PANIC = ConsoleFault("Kernel panic - not syncing", "a kernel panic", fatal=True)
WRITE = ConsoleFault("Error: illegal WRITE at address 0x20", "a fault in a component")

#: A machine that runs and has an address, with a guest of which nothing is heard.
SILENT = {
    "status": "running",
    "process_state": "S",
    "tap": "taskgen3",
    "link": Link.UP,
    "dhcp": "",
    "lease": "10.200.45.3",
    "mac": MAC,
    "printed": True,
    "waited_s": 12.0,
    "started": True,
    "echo": False,
}

CASES = [
    ("qemu-died", "machine", {"qemu_exit": "killed by SIGKILL", "qemu_signal": "SIGKILL"}),
    ("qemu-stopped", "machine", {**SILENT, "process_state": "T", "qmp_silent": True}),
    ("guest-panic", "guest", {**SILENT, "panicked": True}),
    ("guest-panic", "guest", {**SILENT, "console_faults": (OOPS, PANIC)}),
    ("guest-reset", "guest", {**SILENT, "events": ("was reset by itself",)}),
    ("guest-paused", "machine", {**SILENT, "status": "paused"}),
    ("qemu-hangs", "machine", {**SILENT, "status": None, "qmp_silent": True}),
    ("tap-gone", "infrastructure", {**SILENT, "link": Link.GONE}),
    ("link-down", "infrastructure", {**SILENT, "link": Link.DOWN}),
    ("duplicate-address", "infrastructure", {**SILENT, "answering_mac": OTHER}),
    ("packet-loss", "infrastructure", {**SILENT, "lost_share": 0.3}),
    ("guest-fault", "guest", {**SILENT, "console_faults": (WRITE,)}),
    ("guest-fault", "guest", {**SILENT, "console_faults": (WRITE,), "echo": True}),
    ("refused", "guest", {**SILENT, "port": Port.REFUSES}),
    ("server-hangs", "guest", {**SILENT, "port": Port.ACCEPTS}),
    ("guest-hangs", "guest", {**SILENT, "port": Port.UNREACHABLE, "lost_share": 1.0}),
    ("serves", "guest", {**SILENT, "echo": True}),
    ("unknown", "guest", {}),
]

START_CASES = [
    ("qemu-refuses", "machine", {"refused": "exit status 1: no such machine"}),
    ("no-output", "machine", {**SILENT, "lease": None, "printed": False}),
    ("dhcp-dead", "infrastructure", {**SILENT, "lease": None, "dhcp": "it is stopped"}),
    ("no-lease", "machine", {**SILENT, "lease": None}),
    ("refused", "guest", {**SILENT, "port": Port.REFUSES}),
]


@pytest.mark.parametrize(("key", "failure", "seen"), CASES)
def test_what_happens_to_a_machine_at_work_gets_its_verdict(key, failure, seen):
    verdict = diagnose(Evidence(doing=Doing.RUN, **seen))
    assert (verdict.key, verdict.failure) == (key, failure)


@pytest.mark.parametrize(("key", "failure", "seen"), START_CASES)
def test_what_happens_to_a_machine_that_starts_gets_its_verdict(key, failure, seen):
    verdict = diagnose(Evidence(doing=Doing.START, **seen))
    assert (verdict.key, verdict.failure) == (key, failure)


def test_each_verdict_has_a_case():
    assert {case[0] for case in CASES + START_CASES} == {rule.key for rule in RULES}


def test_the_page_has_all_verdicts_in_the_order_in_which_they_are_tried():
    page = (assets.root() / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    table = page.partition("## The verdicts")[2].partition("## ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == [rule.key for rule in RULES]


def test_a_verdict_names_what_was_seen_and_the_likely_cause():
    seen = Evidence(doing=Doing.START, waited_s=20, **{**SILENT_START, "printed": False})
    verdict = diagnose(seen)
    assert str(verdict).startswith("no console output for 20 s after start: the image may")
    assert "(-m)" in verdict.cause
    assert "console: no output since the start" in verdict.evidence
    assert "lease: none" in verdict.evidence


def test_a_silent_guest_with_a_fault_on_its_console_is_told_with_that_line():
    verdict = diagnose(Evidence(doing=Doing.RUN, **{**SILENT, "console_faults": (WRITE,)}))
    assert verdict.text == f"silent for 12 s after START; console: {WRITE.line} ({WRITE.meaning})"


SILENT_START = {k: v for k, v in SILENT.items() if k not in ("lease", "waited_s")}

texts = st.none() | st.sampled_from(["", "x", "T", "running", "paused", MAC, OTHER])
facts = st.builds(
    Evidence,
    doing=st.sampled_from(Doing),
    trouble=st.text(max_size=5),
    started=st.booleans(),
    spoke=st.booleans(),
    waited_s=st.none() | st.floats(0, 1e6),
    refused=texts,
    qemu_exit=texts,
    qemu_signal=texts,
    process_state=texts,
    status=texts,
    qmp_silent=st.booleans(),
    events=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    panicked=st.booleans(),
    link=st.none() | st.sampled_from(Link),
    dhcp=st.none() | st.sampled_from(["", "it is stopped"]),
    lease=texts,
    mac=texts,
    answering_mac=texts,
    port=st.none() | st.sampled_from(Port),
    echo=st.none() | st.booleans(),
    lost_share=st.none() | st.floats(0, 1),
    printed=st.none() | st.booleans(),
    console_silent_s=st.none() | st.floats(0, 1e6),
    console_faults=st.lists(st.sampled_from([OOPS, PANIC, WRITE]), max_size=3).map(tuple),
)


@given(facts)
def test_whatever_is_seen_there_is_one_verdict_in_one_line(seen):
    verdict = diagnose(seen)
    assert verdict.key in {rule.key for rule in RULES}
    assert isinstance(verdict.failure, FailureClass)
    assert verdict.failure is not FailureClass.TASK
    assert len(verdict.evidence) >= 1
