"""The QEMU command line of a machine. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from taskgen.profiles import Profile


class Accelerator(StrEnum):
    """What executes the guest's instructions: the processor, or an emulator."""

    KVM = "kvm"
    TCG = "tcg"


#: For guest code that TCG has translated, MiB. QEMU would reserve 1 GiB for each machine; guests
#: this small need less.
TRANSLATED_MB = 64

#: What else QEMU needs, MiB. With the reference guest 24 were measured, without the pages of files,
#: which all machines share.
OWN_MB = 32


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The guest's memory as a mapped file.

    :ivar path: by which QEMU opens it.
    :ivar private: what the guest writes stays its own; else it is in the file.
    """

    path: str
    private: bool


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What one launch adds to the machine's profile.

    :ivar files: profile's path of kernel and initrd → the path that QEMU opens instead.
    :ivar log_fd: a file open to append to: all is logged there which the guest prints.
    :ivar console_fd: a listening Unix socket.
    :ivar qmp_fd: another one.
    :ivar tap_fd: ``None``: the machine gets no network card.
    :ivar icount: virtual time: the guest's clock counts its instructions.
    :ivar paused: the guest executes nothing until it is told to go on.
    :ivar control_fd: for a machine that has to do with a template: a listening Unix socket, the
        guest's control port.
    :ivar memory: where the guest's memory is; ``None``: QEMU's own.
    :ivar incoming: the guest does not boot: its state will come (``migrate-incoming``).
    """

    name: str
    uuid: str
    accelerator: Accelerator
    files: dict[Path, str]
    log_fd: int
    console_fd: int
    qmp_fd: int
    mac: str | None = None
    tap_fd: int | None = None
    icount: bool = False
    paused: bool = False
    control_fd: int | None = None
    memory: Memory | None = None
    incoming: bool = False


def command(profile: Profile, launch: Launch) -> list[str]:
    """The argument vector; the profile has its image, and icount where the launch wants it."""
    return [
        *[profile.emulator],
        *["-nodefaults", "-no-user-config"],
        *["-display", "none"],
        *["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
        *["-name", f"{launch.name},debug-threads=on"],
        *["-uuid", launch.uuid],
        *_machine(profile, launch),
        *_accelerator(profile, launch),
        *(["-cpu", profile.cpu] if profile.cpu else []),
        *["-smp", str(profile.cpus)],
        *["-m", str(profile.memory_mb)],
        *["-add-fd", f"fd={launch.log_fd},set=1"],
        *["-chardev", _console(launch)],
        *["-serial", "chardev:console"],
        *_control(launch),
        *["-chardev", f"socket,id=qmp,fd={launch.qmp_fd},server=on,wait=off"],
        *["-mon", "chardev=qmp,mode=control"],
        *_nic(profile, launch),
        *_image(profile, launch),
        *(["-S"] if launch.paused else []),
        *profile.arguments,
        *(["-incoming", "defer"] if launch.incoming else []),
    ]


def overhead_mb(accelerator: Accelerator) -> int:
    """What a QEMU may need beside its guest's memory, MiB."""
    return OWN_MB + (TRANSLATED_MB if accelerator is Accelerator.TCG else 0)


def _machine(profile: Profile, launch: Launch) -> list[str]:
    if launch.memory is None:
        return ["-machine", profile.machine]
    share = "off" if launch.memory.private else "on"
    return [
        *["-machine", f"{profile.machine},memory-backend=memory"],
        "-object",
        f"memory-backend-file,id=memory,size={profile.memory_mb}M"
        f",mem-path={launch.memory.path},share={share}",
    ]


def _control(launch: Launch) -> list[str]:
    """The second serial line; what is written while nobody is connected is thrown away."""
    if launch.control_fd is None:
        return []
    return [
        *["-chardev", f"socket,id=control,fd={launch.control_fd},server=on,wait=off"],
        *["-serial", "chardev:control"],
    ]


def _console(launch: Launch) -> str:
    """The serial line: logged whoever watches, thrown away while nobody does."""
    return (
        f"socket,id=console,fd={launch.console_fd},server=on,wait=off"
        ",logfile=/dev/fdset/1,logappend=on"
    )


def _accelerator(profile: Profile, launch: Launch) -> list[str]:
    if launch.accelerator is Accelerator.KVM:
        return ["-accel", "kvm"]
    options = f"tcg,tb-size={TRANSLATED_MB}"
    if launch.icount and profile.icount:
        return ["-accel", f"{options},thread=single", "-icount", profile.icount]
    return ["-accel", options]


def _nic(profile: Profile, launch: Launch) -> list[str]:
    if launch.tap_fd is None:
        return []
    if profile.nic.onboard:
        return ["-nic", f"tap,fd={launch.tap_fd},model={profile.nic.model},mac={launch.mac}"]
    options = f",{profile.nic.options}" if profile.nic.options else ""
    return [
        *["-netdev", f"tap,id=net,fd={launch.tap_fd}"],
        *["-device", f"{profile.nic.model},netdev=net,mac={launch.mac}{options}"],
    ]


def _image(profile: Profile, launch: Launch) -> list[str]:
    assert profile.kernel, "image_files() has been asked"
    kernel = launch.files[profile.kernel]
    if profile.boot == "cdrom":
        return ["-drive", f"file={kernel},format=raw,media=cdrom,readonly=on"]
    if profile.boot == "disk":
        # The image is shared: what a guest writes is its own, and forgotten.
        return ["-drive", f"file={kernel},format=raw,snapshot=on"]
    return [
        *["-kernel", kernel],
        *(["-initrd", launch.files[profile.initrd]] if profile.initrd else []),
        *(["-append", append] if (append := _append(profile, launch)) else []),
    ]


def _append(profile: Profile, launch: Launch) -> str:
    """The kernel's command line."""
    if launch.control_fd is None or profile.template is None:
        return profile.append
    return f"{profile.append} {profile.template.append}".strip()
