"""Machine profiles: what is read, what is refused, and in which words."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pages import blocks, every_block

from taskgen import assets
from taskgen.errors import ConfigError
from taskgen.profiles import load_profile, profile_names

MINIMAL = """
description = "mine"
architecture = "x86_64"
emulator = "qemu-system-x86_64"
machine = "q35"
memory_mb = 64
kernel = "kernel.elf"
[nic]
model = "e1000"
"""


@pytest.fixture
def user_profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("TASKGEN_PROFILES", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "name", ["genode-pbxa9", "genode-x86_64", "linux-x86_64", "linux-x86_64-rt"]
)
def test_ours_are_valid(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.description


def test_paths_of_ours_are_below_the_assets():
    profile = load_profile("linux-x86_64")
    assert profile.kernel == assets.root() / "build/guest/vmlinux"
    assert profile.binaries == assets.root() / "build/guest/tasks"


def test_genode_has_what_its_kernel_assumes():
    profile = load_profile("genode-pbxa9")
    assert (profile.memory_mb, profile.cpus) == (768, 1)
    assert profile.nic.onboard
    assert not profile.optimize
    assert "lan9118" in profile.notes


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ConfigError, match=r"no machine profile 'linux-x8664'.*did you mean linux-x86_64\?"
    ):
        load_profile("linux-x8664")
    with pytest.raises(ConfigError, match=r"known profiles: .*genode-pbxa9, genode-x86_64"):
        load_profile("vax")


@pytest.mark.parametrize("name", ["../linux-x86_64", "../machines/linux-x86_64", "/etc/passwd", ""])
def test_name_is_no_path(name):
    with pytest.raises(ConfigError, match="no machine profile"):
        load_profile(name)


def test_users_profile_is_relative_to_its_own_directory(user_profiles):
    (user_profiles / "mine.toml").write_text(MINIMAL)
    assert load_profile("mine").kernel == user_profiles / "kernel.elf"
    assert "mine" in profile_names()


def test_users_profile_wins(user_profiles):
    (user_profiles / "linux-x86_64.toml").write_text(MINIMAL)
    assert load_profile("linux-x86_64").description == "mine"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("memroy_mb = 3", r"unknown key 'memroy_mb' \(did you mean 'memory_mb'\?\)"),
        ('name = "x"', "unknown key 'name'"),
        ("cpus = 0", "cpus 0: must be above 0"),
        ('cpus = "two"', "cpus = 'two'"),
        ('boot = "floppy"', "boot = 'floppy'"),
        ('boot = "disk"\nappend = "quiet"', "initrd and append need boot"),
        ('accelerators = ["hvf"]', "accelerators"),
        ("accelerators = []", "name at least one"),
        ('probe = "("', "not a regular expression"),
    ],
)
def test_wrong_key_is_named(user_profiles, line, message):
    (user_profiles / "mine.toml").write_text(f"{line}\n{MINIMAL}")
    with pytest.raises(ConfigError, match=message) as error:
        load_profile("mine")
    assert "mine.toml" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('emulator = "qemu-system-x86_64"', 'emulator = "/bin/sh"', "a name like qemu-system"),
        ('model = "e1000"', 'model = "e1000,x=y"', "not the name of a device"),
        ('model = "e1000"', 'model = "e1000"\nonboard = true\noptions = "a=b"', "takes none"),
        ("memory_mb = 64\n", "", "key 'memory_mb' is missing"),
        ("[nic]", '[template]\nport = "usb"\n[nic]', "template.port = 'usb'"),
        ("[nic]", "[template]\n[nic]", "key 'template.port' is missing"),
        (
            "[nic]",
            'boot = "disk"\n[template]\nport = "serial"\nappend = "a=b"\n[nic]',
            'template.append needs boot "kernel"',
        ),
        (
            'machine = "q35"',
            'machine = "q35,memory-backend=m"\ntemplate = { port = "serial" }',
            "machine must leave memory-backend",
        ),
        (
            'machine = "q35"',
            'machine = "q35"\narguments = ["-serial", "null"]\ntemplate = { port = "serial" }',
            "arguments must leave the second -serial",
        ),
    ],
)
def test_wrong_value_is_refused(user_profiles, old, new, message):
    (user_profiles / "mine.toml").write_text(MINIMAL.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_profile("mine")


def test_missing_image_says_what_to_do(tmp_path):
    profile = replace(load_profile("linux-x86_64"), kernel=tmp_path / "vmlinux")
    with pytest.raises(ConfigError, match=r"vmlinux: no such file \(build it: make guest\)"):
        profile.image_files()


def test_profile_without_image_asks_for_one():
    with pytest.raises(ConfigError, match="give your Genode image with --image FILE"):
        load_profile("genode-pbxa9").image_files()


@pytest.mark.parametrize(
    ("file", "boot", "append"),
    [("a.elf", "kernel", True), ("a.iso", "cdrom", False), ("a.IMG", "disk", False)],
)
def test_own_image(tmp_path, file, boot, append):
    image = tmp_path / file
    image.touch()
    profile = load_profile("linux-x86_64").with_image(image)
    assert profile.image_files() == (image,)
    assert profile.boot == boot
    assert bool(profile.append) == append


def test_only_the_reference_guests_take_part_in_a_template(tmp_path):
    assert [name for name in profile_names() if load_profile(name).template] == [
        "linux-x86_64",
        "linux-x86_64-rt",
    ]
    assert load_profile("linux-x86_64").with_image(tmp_path / "own.elf").template is None


def test_own_image_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_profile("genode-pbxa9").with_image(Path("i.elf")).kernel == tmp_path / "i.elf"


def test_the_documents_part_of_a_profile_has_a_guest_take_part_in_a_template(user_profiles):
    (example,) = (each for each in every_block("docs/guest.md") if each.start == "[template]")
    (user_profiles / "own.toml").write_text(MINIMAL + example.text)
    assert load_profile("own").template.append == "taskgen.control=ttyS1"


def test_the_faults_of_the_documents_profile_are_read(user_profiles):
    (example,) = blocks("docs/diagnosis.md", "toml")
    (user_profiles / "own.toml").write_text(MINIMAL + example.text)
    (fault,) = load_profile("own").console_faults
    assert re.search(fault.pattern, "app: Assertion failed: x > 0")
    assert fault.meaning == "a component has found a fault of its own"
    assert fault.fatal is False
