"""What the documents say is there, is there; what they show is run by ``test_doc_blocks.py``."""

import ast
import re
import shlex
import subprocess
import sys

import click
import pytest
from pages import ROOT, blocks, every_block

from taskgen.addresses import parse_hosts
from taskgen.cli.main import cli
from taskgen.events.csv import COLUMNS
from taskgen.events.model import EventType
from taskgen.interfaces import FailureClass
from taskgen.settings import load_settings

CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def test_the_two_commands_of_the_readme_exist():
    first = block_of("README.md", "git clone")
    targets = re.findall(r"^make (\w+)", first, re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        dry_run(target)


def block_of(page, start):
    """The one block of a page that begins so."""
    (found,) = (block for block in every_block(page) if block.text.startswith(start))
    return found.text


def dry_run(target):
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_calls_of_benchmarks_name_scripts_and_options_that_there_are():
    whole, *scripts = block_of("docs/performance.md", "make bench").splitlines()
    dry_run(shlex.split(whole, comments=True)[1])
    assert scripts
    for line in scripts:
        sudo, _python, *words = shlex.split(line, comments=True)
        assert sudo == "sudo"
        said = subprocess.run(
            [sys.executable, *words, "--help"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for option in (word for word in words if word.startswith("--")):
            assert option in said.stdout


def test_a_setting_that_is_left_out_of_an_example_is_one(tmp_path):
    example = block_of("docs/cli.md", "[fleet]")
    file = tmp_path / "taskgen.toml"
    file.write_text(example.replace("# file", "file"))
    settings = load_settings(file, {})
    assert settings.network.namespace == "lab"
    assert settings.network.file is not None


def commands(group=cli, above=""):
    """Every command by the words that call it, those of groups too."""
    if isinstance(group, click.Group):
        context = click.Context(group)
        inner = {name: group.get_command(context, name) for name in group.list_commands(context)}
    else:
        inner = getattr(group, "commands", {})  # ``run`` has ``run show`` beside its argument
    for name, command in inner.items():
        words = f"{above} {name}".strip()
        yield words, command
        yield from commands(command, words)


def part_on(words):
    """What the page says about one command, up to the next heading of any level."""
    found = re.search(rf"^##+ `taskgen {words}\b.*?(?=^##|\Z)", CLI, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no heading for taskgen {words}"
    return found[0]


@pytest.mark.parametrize(
    ("words", "command"), sorted(commands()), ids=lambda value: getattr(value, "name", value)
)
def test_every_option_is_documented(words, command):
    options = {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    documented = set(re.findall(r"(?<![\w-])(--?[a-z]+(?:-[a-z]+)*)", part_on(words)))
    # What only chooses what is looked at needs no page.
    assert options - documented <= ({"--profile", "--config"} if words == "doctor" else set())


def test_every_column_exit_and_class_is_explained():
    for word in (*COLUMNS, *FailureClass):
        assert f"`{word}`" in RESULTS, word
    for kind in set(EventType) - {EventType.START, EventType.JOBS_DONE}:
        assert f"| `{kind}` |" in RESULTS, kind


def test_links_between_the_documents_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("qemu/**/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_hosts_page_names_hosts_and_settings_that_are_understood(tmp_path):
    examples, settings = blocks("docs/hosts.md", "python", "toml")
    sizes = [
        len(parse_hosts(ast.literal_eval(hosts), resolve=lambda name: ["172.25.1.9"]))
        for hosts in re.findall(r"^Distributor\((.*?)\)", examples.text, re.MULTILINE)
    ]
    assert sizes == [1, 1, 254, 508]
    file = tmp_path / "taskgen.toml"
    file.write_text(settings.text)
    assert load_settings(file, {}).hosts.first_contact == "reboot"
