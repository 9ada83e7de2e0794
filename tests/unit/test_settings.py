"""Settings are read strictly, and the environment goes before the file."""

from pathlib import Path

import pytest
from pages import blocks

from taskgen.errors import ConfigError
from taskgen.run_settings import Order, Reset, RunSettings
from taskgen.settings import DhcpChoice, DhcpSettings, Settings, load_settings
from taskgen.settings_reference import reference

ROOT = Path(__file__).parents[2]


def test_without_a_file_the_defaults_hold():
    assert load_settings(environment={}) == Settings()


def test_a_file_and_the_environment_are_put_together(tmp_path):
    file = tmp_path / "taskgen.toml"
    file.write_text('[qemu]\naccelerator = "kvm"\nuser = "me"\n[run]\ntries = 5\n')
    settings = load_settings(
        environment={
            "TASKGEN_CONFIG": str(file),
            "TASKGEN_QEMU__ACCELERATOR": "tcg",
            "TASKGEN_RUN__MARGIN": "2.5",
            "TASKGEN_NETWORK__NAMESPACE": "",
            "TASKGEN_BINARIES": "/somewhere",
        }
    )
    assert (settings.qemu.accelerator, settings.qemu.user) == ("tcg", "me")
    assert (settings.run.tries, settings.run.margin) == (5, 2.5)
    assert settings.network.namespace == ""


def test_the_file_that_is_named_goes_before_the_environment(tmp_path):
    named, other = tmp_path / "named.toml", tmp_path / "other.toml"
    named.write_text("[run]\ntries = 7\n")
    other.write_text("[run]\ntries = 8\n")
    assert load_settings(named, {"TASKGEN_CONFIG": str(other)}).run.tries == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[run]\ntires = 3\n", r"x\.toml: unknown key 'run\.tires' \(did you mean 'tries'\?\)"),
        ("[rum]\n", r"x\.toml: unknown key 'rum' \(did you mean 'run'\?\)"),
        ("[run]\ntries = 0\n", r"x\.toml: run = .*: tries must be at least 1"),
        ("[run]\nmargin = 0.5\n", "margin must be at least 1"),
        ("[run]\nslack_s = -1\n", "slack_s must not be negative"),
        ("[fleet]\nboot_concurrency = 0\n", 'boot_concurrency must be "auto" or at least 1'),
        (
            '[fleet]\nboot_concurrency = "all"\n',
            r"fleet\.boot_concurrency = 'all': .*'auto'.*integer",
        ),
        ("[fleet]\nboot_concurrency = 1.5\n", r"fleet\.boot_concurrency = 1\.5: .*integer"),
        ("[fleet]\nidle_timeout_s = -1\n", "idle_timeout_s must not be negative"),
        ('[qemu]\naccelerator = "xen"\n', r"qemu\.accelerator = 'xen': .*'auto', 'kvm' or 'tcg'"),
        ("[qemu]\ncpus = []\n", "the list is empty"),
        ('[qemu]\ncpus = ["0-1", ""]\n', "each of its sets needs a core"),
        ('[qemu]\ncpus = ["3-1"]\n', "'3-1' in '3-1': the last CPU is before the first"),
        ("[qemu]\ncpus = [-1]\n", "'-1' is no list of CPUs such as '0-2,5'"),
        ('[qemu]\ncpus = "0-1"\n', r"qemu\.cpus.* = '0-1'"),
        ('[run]\nreset = "power"\n', r"run\.reset = 'power': .*'clear', 'snapshot' or 'reboot'"),
        ('[run]\norder = "lifo"\n', r"run\.order = 'lifo': .*'fair' or 'fifo'"),
        ("[hosts]\nport = 0\n", "port must be from 1 to 65535"),
        ("[hosts]\nconcurrency = 0\n", "concurrency must be above 0"),
        ("[hosts]\nreboot_s = -1\n", "reboot_s must be above 0"),
        ('[hosts]\nfirst_contact = "hope"\n', "'reboot' or 'trust'"),
        ("[fleet]\nmax_machines = -1\n", "max_machines must not be negative"),
        ('[hosts]\naddresses = "172.25.1.2"\n', r"hosts\.addresses = '172.25.1.2'"),
        ('[daemon]\non_stop = "leave"\n', "'stop' or 'keep'"),
        ("[daemon]\ndrain_s = nan\n", "drain_s must not be negative"),
        ("[api]\nbody_megabytes = 0\n", "body_megabytes must be above 0"),
        ('[api]\nlisten = "7323"\n', "an address with a port"),
        ('[api]\nlisten = "localhost:7323"\n', "an address with a port"),
        ('[api]\nlisten = "127.0.0.1:65536"\n', "an address with a port"),
        ('[api]\nlisten = "::1:7323"\n', "an address with a port"),
        ('[api]\nlisten = "0.0.0.0:7323"\n', "set allow_all_addresses = true"),
        ('[api]\nlisten = "[::]:7323"\n', "set allow_all_addresses = true"),
        ('[api]\nlisten = "[::ffff:0.0.0.0]:7323"\n', "set allow_all_addresses = true"),
        ('[log]\nformat = "xml"\n', "'auto', 'human' or 'json'"),
        ("[run]\ntries = many\n", "x.toml: not valid TOML"),
    ],
)
def test_a_bad_file_is_refused_with_the_key(tmp_path, text, message):
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_settings(file, {})


def test_a_file_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.toml: cannot be read: No such file"):
        load_settings(tmp_path / "no.toml", {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TASKGEN_RUM__TRIES", "3", "TASKGEN_RUM__TRIES: there is no section 'rum'"),
        ("TASKGEN_RUN__TIRES", "3", r"TASKGEN_RUN__TIRES\): unknown key 'run\.tires'"),
        ("TASKGEN_RUN__TRIES", "many", r"TASKGEN_RUN__TRIES\): run\.tries = 'many'"),
    ],
)
def test_a_bad_variable_is_named(name, value, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(environment={name: value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ('listen = ""', None),
        ('listen = "127.0.0.1:7323"', ("127.0.0.1", 7323)),
        ('listen = "[::1]:80"', ("::1", 80)),
        ('listen = "0.0.0.0:80"\nallow_all_addresses = true', ("0.0.0.0", 80)),
    ],
)
def test_the_api_listens_where_it_is_told(tmp_path, text, expected):
    file = tmp_path / "x.toml"
    file.write_text(f"[api]\n{text}\n")
    assert load_settings(file, {}).api.tcp == expected


def test_words_of_programs_are_those_of_files():
    run = RunSettings(reset="snapshot", order="fifo")
    assert run.reset is Reset.SNAPSHOT
    assert run.order is Order.FIFO
    assert DhcpSettings(server="isc").server is DhcpChoice.ISC


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RunSettings(reset="power"), "reset .*'clear', 'snapshot', 'reboot', not 'power'"),
        (lambda: RunSettings(order=None), "order must be one of 'fair', 'fifo', not None"),
        (lambda: DhcpSettings(server="dhcpd"), "server .*'dnsmasq', 'isc', not 'dhcpd'"),
    ],
)
def test_a_word_that_there_is_not_is_refused_in_programs_too(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_list_can_be_given_by_the_environment():
    settings = load_settings(environment={"TASKGEN_HOSTS__ADDRESSES": '["10.1.2.3", "board"]'})
    assert settings.hosts.addresses == ("10.1.2.3", "board")


def test_the_example_on_the_page_of_all_settings_is_understood(tmp_path):
    (example,) = blocks("docs/configuration.md", "toml")
    file = tmp_path / "taskgen.toml"
    file.write_text(example.text)
    settings = load_settings(file, {})
    assert (settings.fleet.max_machines, settings.hosts.addresses) == (8, ("172.25.1.0/24",))


def test_the_page_of_all_settings_is_up_to_date():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference(), "python -m taskgen.settings_reference > docs/configuration.md"
