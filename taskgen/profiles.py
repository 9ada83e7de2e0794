"""Machine profiles: how to start one kind of machine, and which task binaries fit it.

A profile is ``qemu/machines/NAME.toml``, or a file of the same form in the directory that
``TASKGEN_PROFILES`` names; a user's profile wins over ours of the same name. Paths in our profiles
are relative to :func:`taskgen.assets.root`, those in a user's to the file's own directory.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from taskgen import assets
from taskgen.config import STRICT, convert, read_toml
from taskgen.errors import ConfigError

#: How an image reaches the machine: as QEMU's ``-kernel``, or as a CD or disk to boot from.
Boot = Literal["kernel", "cdrom", "disk"]

_BOOT_BY_SUFFIX: dict[str, Boot] = {".iso": "cdrom", ".img": "disk", ".raw": "disk"}


@dataclass(frozen=True)
class Nic:
    """The machine's network card.

    :ivar model: what QEMU calls it.
    :ivar onboard: whether the board has it soldered on (``lan9118``), so that QEMU wants ``-nic``
        and not a ``-device``.
    :ivar options: more properties of the device, as in ``romfile=``; only for plug-in cards.
    """

    __pydantic_config__ = STRICT

    model: str
    onboard: bool = False
    options: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", self.model):
            raise ValueError(f"nic.model {self.model!r}: not the name of a device")
        if self.onboard and self.options:
            raise ValueError("nic.options: an onboard card takes none")


@dataclass(frozen=True, kw_only=True)
class FaultPattern:
    """Console output that tells of a fault.

    :ivar pattern: regular expression; looked for in each line, without colours.
    :ivar meaning: what it means, for people.
    :ivar fatal: whether the guest as a whole does not go on after it: its run is ended at once.
    """

    __pydantic_config__ = STRICT

    pattern: str
    meaning: str
    fatal: bool = False

    def __post_init__(self) -> None:
        _check_pattern("console_faults", self.pattern)

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern, compiled once for all machines."""
        return re.compile(self.pattern)


@dataclass(frozen=True, kw_only=True)
class TemplateTable:
    """How a guest cooperates where many machines go on from one saved state.

    Such a guest says ``ready`` on its control port, and is told there who it is: ``docs/guest.md``.

    :ivar port: what its control port is: ``serial``, the second serial line.
    :ivar append: what is added to the kernel's command line, so that the guest uses the port.
    """

    __pydantic_config__ = STRICT

    port: Literal["serial"]
    append: str = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of machine.

    :ivar name: the file's name without its ending.
    :ivar architecture: machine of the task binaries, as ``uname -m`` says it.
    :ivar emulator: the QEMU program.
    :ivar machine: QEMU's ``-machine``, with its options.
    :ivar cpu: QEMU's ``-cpu``; ``None``: the machine's default.
    :ivar memory_mb: guest memory in MiB; too little makes some guests hang without a word.
    :ivar kernel: the kernel or image; ``None``: the user brings one.
    :ivar boot: how ``kernel`` reaches the machine.
    :ivar append: the kernel's command line.
    :ivar binaries: directory of the task binaries that are built for this kind.
    :ivar optimize: whether the guest's server knows ``OPTIMIZE``; others take it for commands.
    :ivar accelerators: those that the machine can use, the preferred one first.
    :ivar icount: QEMU's ``-icount``, for runs in virtual time; ``None``: not offered.
    :ivar arguments: more arguments for QEMU.
    :ivar template: how the guest takes part where machines start from one saved state; ``None``: it
        does not.
    :ivar boot_timeout_s: limit from launch to readiness, one machine on an idle host.
    :ivar silent_s: a machine without any console output for so long has not started at all.
    :ivar probe: regular expression; console output that matches proves that the guest boots.
    :ivar console_faults: what the console says when something in the guest has failed.
    :ivar get_image: what to do when the kernel is missing, for the error message.
    :ivar notes: what a user of this kind should know.
    """

    __pydantic_config__ = STRICT

    name: str
    description: str
    architecture: str
    emulator: str
    machine: str
    memory_mb: int
    nic: Nic
    cpu: str | None = None
    cpus: int = 1
    kernel: Path | None = None
    initrd: Path | None = None
    boot: Boot = "kernel"
    append: str = ""
    binaries: Path | None = None
    optimize: bool = False
    accelerators: tuple[Literal["kvm", "tcg"], ...] = ("kvm", "tcg")
    icount: str | None = None
    arguments: tuple[str, ...] = ()
    template: TemplateTable | None = None
    boot_timeout_s: float = 60.0
    silent_s: float = 20.0
    probe: str = "."
    console_faults: tuple[FaultPattern, ...] = ()
    get_image: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"qemu-system-[a-z0-9_]+", self.emulator):
            raise ValueError(f"emulator {self.emulator!r}: a name like qemu-system-x86_64")
        for key in ("memory_mb", "cpus", "boot_timeout_s", "silent_s"):
            if getattr(self, key) <= 0:
                raise ValueError(f"{key} {getattr(self, key)}: must be above 0")
        if not self.accelerators:
            raise ValueError("accelerators: name at least one of kvm and tcg")
        if self.boot != "kernel" and (self.initrd or self.append):
            raise ValueError(f'boot "{self.boot}": initrd and append need boot "kernel"')
        _check_pattern("probe", self.probe)
        if self.template:
            self._check_template(self.template)

    def _check_template(self, template: TemplateTable) -> None:
        if template.append and self.boot != "kernel":
            raise ValueError(f'boot "{self.boot}": template.append needs boot "kernel"')
        if "memory-backend" in self.machine:
            raise ValueError("template: machine must leave memory-backend to Taskgen")
        if "-serial" in self.arguments:
            raise ValueError("template: arguments must leave the second -serial to Taskgen")

    def with_image(self, path: Path) -> Profile:
        """The same kind of machine with the user's own image.

        An ``.iso`` is booted as a CD, an ``.img`` or ``.raw`` as a disk, anything else in the way
        that the profile says. The reference guest's initrd does not go with a foreign kernel,
        and nobody knows whether a foreign guest takes part in a template.
        """
        boot = _BOOT_BY_SUFFIX.get(path.suffix.lower(), self.boot)
        append = self.append if boot == "kernel" else ""
        return replace(
            self,
            kernel=path.absolute(),
            initrd=None,
            boot=boot,
            append=append,
            template=None,
        )

    def image_files(self) -> tuple[Path, ...]:
        """The files that a machine of this kind is started from.

        :raises ConfigError: if there is no image, or a file cannot be read.
        """
        if self.kernel is None:
            raise ConfigError(
                f"profile {self.name}: it has no image of its own",
                hint=self.get_image or "give one with --image FILE",
            )
        files = tuple(path for path in (self.kernel, self.initrd) if path)
        for path in files:
            if not path.is_file():
                raise ConfigError(
                    f"profile {self.name}: {path}: no such file", hint=self.get_image or None
                )
            if not os.access(path, os.R_OK):
                raise ConfigError(f"profile {self.name}: {path}: not readable")
        return files


def _check_pattern(key: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{key} {pattern!r}: not a regular expression: {error}") from error


def profile_names() -> list[str]:
    """The names of all profiles, sorted."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.toml")})


def load_profile(name: str) -> Profile:
    """Read a profile by name.

    :raises ConfigError: if there is none of that name, or naming the file and the key.
    """
    for folder in _folders():
        path = folder / f"{name}.toml"
        if path.parent == folder and path.is_file():
            base = assets.root() if folder == _own_folder() else folder.absolute()
            return _read(path, base)
    known = profile_names()
    near = difflib.get_close_matches(name, known, n=1)
    raise ConfigError(
        f"no machine profile {name!r}",
        hint=(f"did you mean {near[0]}? " if near else "") + f"known profiles: {', '.join(known)}",
    )


def _read(path: Path, base: Path) -> Profile:
    data = read_toml(path)
    if "name" in data:
        raise ConfigError(f"{path}: unknown key 'name'", hint="a profile is named by its file")
    for key in ("kernel", "initrd", "binaries"):
        if isinstance(data.get(key), str):
            data[key] = base / data[key]
    return convert(data | {"name": path.stem}, Profile, source=str(path))


def _own_folder() -> Path:
    return assets.root() / "qemu" / "machines"


def _folders() -> list[Path]:
    chosen = os.environ.get("TASKGEN_PROFILES")
    return [*([Path(chosen)] if chosen else []), _own_folder()]
