"""QEMU's command line, whole, and by its variations."""

from dataclasses import replace
from pathlib import Path

import pytest

from taskgen.host.qemu_command import Accelerator, Launch, Memory, command
from taskgen.profiles import load_profile

IMAGE = Path("/images/image.elf")


def launch(**changes):
    values = {
        "name": "taskgen-3",
        "uuid": "11111111-2222-3333-4444-555555555555",
        "accelerator": Accelerator.TCG,
        "files": {},
        "log_fd": 8,
        "console_fd": 6,
        "qmp_fd": 7,
        "mac": "0a:06:00:00:00:03",
        "tap_fd": 9,
    }
    return Launch(**values | changes)


def linux():
    return load_profile("linux-x86_64")


def linux_files(profile):
    return {profile.kernel: "/proc/self/fd/11", profile.initrd: "/proc/self/fd/12"}


def option(argv, name):
    return argv[argv.index(name) + 1]


def test_linux_whole():
    profile = linux()
    assert command(profile, launch(files=linux_files(profile))) == [
        *["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"],
        *["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
        *["-name", "taskgen-3,debug-threads=on"],
        *["-uuid", "11111111-2222-3333-4444-555555555555"],
        *["-machine", "q35", "-accel", "tcg,tb-size=64", "-smp", "1", "-m", "96"],
        *["-add-fd", "fd=8,set=1"],
        "-chardev",
        "socket,id=console,fd=6,server=on,wait=off,logfile=/dev/fdset/1,logappend=on",
        *["-serial", "chardev:console"],
        *["-chardev", "socket,id=qmp,fd=7,server=on,wait=off", "-mon", "chardev=qmp,mode=control"],
        *["-netdev", "tap,id=net,fd=9"],
        *["-device", "virtio-net-pci,netdev=net,mac=0a:06:00:00:00:03,romfile="],
        *["-kernel", "/proc/self/fd/11", "-initrd", "/proc/self/fd/12"],
        *["-append", profile.append],
    ]


def test_onboard_card():
    profile = load_profile("genode-pbxa9").with_image(IMAGE)
    argv = command(profile, launch(files={IMAGE: "k"}))
    assert argv[0] == "qemu-system-arm"
    assert option(argv, "-nic") == "tap,fd=9,model=lan9118,mac=0a:06:00:00:00:03"
    assert option(argv, "-m") == "768"
    assert option(argv, "-kernel") == "k"
    assert "-device" not in argv
    assert "-initrd" not in argv
    assert "-append" not in argv


def test_without_tap_there_is_no_card():
    profile = linux()
    argv = command(profile, launch(files=linux_files(profile), tap_fd=None))
    assert "-netdev" not in argv
    assert "-device" not in argv
    assert "-nic" not in argv


def test_kvm_has_no_options_of_tcg():
    profile = linux()
    argv = command(profile, launch(files=linux_files(profile), accelerator=Accelerator.KVM))
    assert option(argv, "-accel") == "kvm"


def test_virtual_time_runs_in_one_thread():
    profile = linux()
    argv = command(profile, launch(files=linux_files(profile), icount=True))
    assert option(argv, "-accel") == "tcg,tb-size=64,thread=single"
    assert option(argv, "-icount") == profile.icount


@pytest.mark.parametrize(
    ("file", "drive"),
    [
        ("a.iso", "file=k,format=raw,media=cdrom,readonly=on"),
        ("a.img", "file=k,format=raw,snapshot=on"),
    ],
)
def test_images_that_are_no_kernel(file, drive):
    profile = load_profile("genode-x86_64").with_image(Path("/images") / file)
    argv = command(profile, launch(files={profile.kernel: "k"}))
    assert option(argv, "-drive") == drive
    assert "-kernel" not in argv


def test_profiles_own_arguments_and_cpu():
    profile = replace(linux(), cpu="max", arguments=("-device", "virtio-rng-pci"))
    argv = command(profile, launch(files=linux_files(profile)))
    assert argv[-2:] == ["-device", "virtio-rng-pci"]
    assert option(argv, "-cpu") == "max"


def for_template(*, private):
    profile = linux()
    memory = Memory(path="/proc/self/fd/5", private=private)
    made = launch(files=linux_files(profile), control_fd=4, memory=memory, incoming=private)
    return command(profile, made)


def test_a_template_is_made_by_a_guest_that_knows_its_control_port():
    argv = for_template(private=False)
    assert option(argv, "-machine") == "q35,memory-backend=memory"
    assert option(argv, "-object") == (
        "memory-backend-file,id=memory,size=96M,mem-path=/proc/self/fd/5,share=on"
    )
    assert option(argv, "-append") == f"{linux().append} taskgen.control=ttyS1"
    assert [argv[i + 1] for i, word in enumerate(argv) if word == "-serial"] == [
        "chardev:console",
        "chardev:control",
    ]
    assert "socket,id=control,fd=4,server=on,wait=off" in argv
    assert "-incoming" not in argv


def test_who_starts_from_a_template_differs_in_whose_memory_it_is_alone():
    made, started = for_template(private=False), for_template(private=True)
    assert started[-2:] == ["-incoming", "defer"]
    assert [word.replace("share=off", "share=on") for word in started[:-2]] == made
