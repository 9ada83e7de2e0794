"""The template of a fleet's machines: whether they have one, and what it depends on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from taskgen.host.templates import Templates
from taskgen.machine_kind import MachineKind
from taskgen.run_settings import Reset
from taskgen.slots import Network
from taskgen.snapshot_key import template_key


def with_templates(kind: MachineKind, network: Network) -> MachineKind:
    """The kind, with a template (to be closed) where its guest takes part in one.

    Not where each run is to follow a boot: the first one would be the only one that does not.
    """
    profile = kind.profile
    if kind.reset is Reset.REBOOT or kind.snapshots is None or profile.template is None:
        return kind
    templates = Templates(
        kind.snapshots,
        partial(template_key, kind, network),
        memory_mb=profile.memory_mb,
        make_s=2 * profile.boot_timeout_s,
    )
    return replace(kind, templates=templates)
