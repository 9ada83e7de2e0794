"""``taskgen network``"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from taskgen.cli.note import note
from taskgen.cli.output_file import OutputPath, output_file
from taskgen.errors import ConfigError
from taskgen.host.dhcpd_config import dhcpd_config
from taskgen.local_plan import network_of
from taskgen.settings import load_settings
from taskgen.slots import load_network

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def network() -> None:
    """Make what others need to know of the fleet's network."""


@network.command("dhcpd-conf")
@click.option(
    "-o",
    "--output",
    type=OutputPath(default_is_stdout=True),
    metavar="FILE",
    help="Write this file.",
)
@click.option("--force", is_flag=True, help="Replace the file where it is there already.")
@click.option("--check", type=_FILE, metavar="FILE", help="Only say whether FILE is up to date.")
@click.option("--network", "described", type=_FILE, metavar="FILE", help="The network's TOML file.")
@click.option("--config", type=_FILE, metavar="FILE", help="Settings, as for run.")
def dhcpd_conf(
    output: Path | None,
    force: bool,
    check: Path | None,
    described: Path | None,
    config: Path | None,
) -> None:
    """Print the configuration of ISC's dhcpd for the fleet's network.

    The network is the one of the settings (network.file). Exit status 0: done, or up to date; 1:
    not up to date; 2: bad input.
    """
    if output and check:
        raise click.UsageError("--output writes a file, --check looks at one: give one of them")
    if force and not output:
        raise click.UsageError("--force is for --output")
    found = load_network(described) if described else network_of(load_settings(config))
    text = dhcpd_config(found)
    if check:
        if _text_of(check) != text:
            note(f"{check}: not what the network's description says (write it: -o {check} --force)")
            sys.exit(1)
    elif output:
        with output_file(output, replace=force) as file:
            file.write(text.encode("ascii"))
    else:
        click.echo(text, nl=False)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
