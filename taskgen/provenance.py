"""Under which conditions a run was measured: what makes its numbers worth comparing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from taskgen.errors import TaskSetError
from taskgen.frozen import thaw
from taskgen.interfaces import Run

#: Version of the columns in which results are kept; docs/handlers.md tells them apart.
SCHEMA = 2

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The conditions of one run. What nobody told is empty or ``None``.

    :ivar schema: version of the columns of results.
    :ivar taskgen: version of Taskgen that measured.
    :ivar taskset: name of the task-set.
    :ivar taskset_sha256: of the task-set's document; empty for a set that no document can hold.
    :ivar description_sha256: of the very bytes that were sent to the target.
    :ivar variant: position among the variants of the task-set.
    :ivar seed: what random values of the task-set were drawn from.
    :ivar profile: the machine profile.
    :ivar accelerator: what executed the guest's instructions: ``kvm``, ``tcg``.
    :ivar emulated: whether the times are an emulator's; never compare those with hardware's.
    :ivar icount: whether the guest's clock counted instructions.
    :ivar qemu: version of QEMU.
    :ivar image_sha256: of the guest's image.
    :ivar binaries: SHA-256 of each task binary, by its name.
    :ivar host: name of the computer that the target is, or runs on.
    :ivar runs_since_boot: runs that the target had carried out since its boot, before this one.
    :ivar host_cores: how many cores' time the fleet's machines had, at the least.
    :ivar fleet_vcpus: vCPUs of the fleet's machines, those that booted too: the most at any time of
        the run.
    :ivar cpus_overcommitted: whether there were more vCPUs than cores for them at any time of it.
    :ivar memory_overcommitted: whether machines could have taken more memory than the host has for
        them.
    :ivar pinned_cpus: cores that the machine's vCPUs were pinned to, as ``0-2,5``; empty: none.
    :ivar vcpu_wait_ms: how long its vCPUs were ready to run and had to wait for a core, all
        together.
    :ivar host_steal_share: part of the host's time that another virtual machine had, from 0 to 1,
        if the host is a virtual machine itself.
    :ivar more: what the target told beside all that.
    """

    schema: int = SCHEMA
    taskgen: str = ""
    taskset: str = ""
    taskset_sha256: str = ""
    description_sha256: str = ""
    variant: int = 0
    seed: int | str | None = None
    profile: str = ""
    accelerator: str = ""
    emulated: bool | None = None
    icount: bool | None = None
    qemu: str = ""
    image_sha256: str = ""
    binaries: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    runs_since_boot: int | None = None
    host_cores: float | None = None
    fleet_vcpus: int | None = None
    cpus_overcommitted: bool | None = None
    memory_overcommitted: bool | None = None
    pinned_cpus: str = ""
    vcpu_wait_ms: float | None = None
    host_steal_share: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> Provenance:
        """The conditions of a run: what its job, its variant and its outcome know of them."""
        told = {} if run.outcome is None else run.outcome.provenance
        accelerator = told.get("accelerator")
        return cls.from_data(
            {
                "emulated": accelerator == "tcg" if accelerator else None,
                **run.provenance,
                **told,
                "variant": run.variant.index,
                "description_sha256": _sha256(run.variant.description()),
            }
        )

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Provenance:
        """Make one from plain data; keys that are not known go to :attr:`more`."""
        known = {name: data[name] for name in NAMES if name in data}
        rest = {name: value for name, value in data.items() if name not in NAMES}
        return cls(**{**known, "more": {**data.get("more", {}), **rest}})

    def to_data(self) -> dict[str, Any]:
        """Plain data, as :mod:`json` wants it; :meth:`from_data` makes the same object of it."""
        return {name: thaw(getattr(self, name)) for name in NAMES}


def _sha256(description: bytes) -> str:
    """Empty where nobody knows the description any more: of a run that was kept without it."""
    return hashlib.sha256(description).hexdigest() if description else ""


#: The fields of :class:`Provenance`, in their order.
NAMES = tuple(each.name for each in fields(Provenance))


class _TaskSet(Protocol):
    name: str
    metadata: dict[str, Any]

    def to_document(self) -> dict[str, Any]: ...


def of_taskset(taskset: _TaskSet) -> dict[str, Any]:
    """What the provenance of each run of a task-set says of the set; goes to ``Run.provenance``."""
    try:
        document = taskset.to_document()
    except TaskSetError:  # a generator object of the user's: the variants' descriptions tell all
        document = {}
    seed = taskset.metadata.get("seed", document.get("generate", {}).get("seed"))
    return {
        "taskset": taskset.name,
        "taskset_sha256": document_sha256(document) if document else "",
        "seed": seed if seed is None or isinstance(seed, (int, str)) else repr(seed),
    }


def document_sha256(document: Mapping[str, Any]) -> str:
    """Hash of a task-set's document, the same in whatever form and order it was written."""
    canonical = json.dumps(
        thaw(document), sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str
    )
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def files_sha256(paths: Iterable[Path]) -> str:
    """Hash of one file's content, or of several in their order. Blocks.

    :raises OSError: if one cannot be read.
    """
    digests = []
    for path in paths:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        digests.append(digest.hexdigest())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""
