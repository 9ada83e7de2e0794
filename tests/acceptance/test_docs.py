"""What the documents show works as it stands there."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from command import PATIENCE_S, environment, taskgen

from taskgen.addresses import parse_hosts
from taskgen.cli.main import cli
from taskgen.events.csv import COLUMNS
from taskgen.events.model import EventType
from taskgen.interfaces import FailureClass
from taskgen.settings import load_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
DISTRIBUTOR = (ROOT / "docs" / "distributor.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_two_commands_of_the_readme_exist():
    first = blocks(README, "sh")[0]
    targets = re.findall(r"^make (\w+)", first, re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_readmes_own_experiment_runs_as_it_is_typed(tmp_path):
    module, program = blocks(README, "python")
    (tmp_path / "mine.py").write_text(module, encoding="utf-8")
    command = shlex.split(blocks(README, "sh")[1])
    assert command[:2] == ["sudo", ".venv/bin/taskgen"]
    done = taskgen(*command[2:], cwd=tmp_path)
    assert done.status == 0, done.err
    assert "6 of 6 variants have a result" in done.err
    header = (tmp_path / "events.csv").read_text().partition("\n")[0].split(",")
    assert header == [*COLUMNS, "1.config.arg1", "2.priority"]
    before = (tmp_path / "events.csv").read_text().count("\n")
    python(program, tmp_path)
    assert (tmp_path / "events.csv").read_text().count("\n") == 2 * before - 1


def python(program, folder):
    """Run a program of the documents; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_programs_on_the_distributors_page_run(tmp_path):
    first, *_connected, second = blocks(DISTRIBUTOR, "python")
    assert python(first, tmp_path) == "8 variants have a result\n"
    assert python(second, tmp_path) == "1 variant has a result\n"


def test_the_settings_of_the_documents_are_settings(tmp_path):
    (example,) = blocks(CLI, "toml")
    file = tmp_path / "taskgen.toml"
    file.write_text(example)
    assert load_settings(file, {}).network.namespace == "lab"
    uncommented = example.replace("# file", "file")
    file.write_text(uncommented)
    assert load_settings(file, {}).network.file is not None


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
    page = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
    (examples,) = blocks(page, "python")
    sizes = [
        len(parse_hosts(ast.literal_eval(hosts), resolve=lambda name: ["172.25.1.9"]))
        for hosts in re.findall(r"^Distributor\((.*?)\)", examples, re.MULTILINE)
    ]
    assert sizes == [1, 1, 254, 508]
    (settings,) = blocks(page, "toml")
    file = tmp_path / "taskgen.toml"
    file.write_text(settings)
    assert load_settings(file, {}).hosts.first_contact == "reboot"
