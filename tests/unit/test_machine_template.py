"""Which machines start from a template."""

from dataclasses import replace

import pytest

from taskgen import assets
from taskgen.binaries import Binaries
from taskgen.host.qemu_command import Accelerator
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.machine_kind import MachineKind
from taskgen.machine_template import with_templates
from taskgen.profiles import load_profile
from taskgen.run_settings import Reset
from taskgen.slots import load_network


@pytest.fixture
def kind(tmp_path):
    """Machines whose guest takes part."""
    profile = load_profile("linux-x86_64")
    return MachineKind(
        profile=profile,
        accelerator=Accelerator.TCG,
        binaries=Binaries((), profile.architecture),
        snapshots=SnapshotStore(tmp_path),
    )


@pytest.fixture
def network():
    """The one that is shipped."""
    return load_network(assets.root() / "network" / "network.toml")


@pytest.mark.parametrize(
    ("reset", "starts_from_one"),
    [(Reset.CLEAR, True), (Reset.SNAPSHOT, True), (Reset.REBOOT, False)],
)
def test_machines_start_from_a_template_unless_each_run_is_to_follow_a_boot(
    reset, starts_from_one, kind, network
):
    made = with_templates(replace(kind, reset=reset), network)
    assert bool(made.templates) is starts_from_one


@pytest.mark.parametrize("without", ["snapshots", "template"])
def test_without_a_guest_that_takes_part_or_a_place_to_keep_it_there_is_none(
    without, kind, network
):
    if without == "snapshots":
        kind = replace(kind, snapshots=None)
    else:
        kind = replace(kind, profile=replace(kind.profile, template=None))
    assert with_templates(kind, network).templates is None
