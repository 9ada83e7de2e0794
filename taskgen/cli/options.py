"""Options and arguments that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from taskgen.errors import TaskgenError

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


def quiet_option(what: str) -> Callable[[F], F]:
    """``-q``: print only what identifies the things."""
    return click.option("-q", "--quiet", is_flag=True, help=f"Only {what}, one a line.")


def labels_of(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """What ``--label k=v``, given often, means."""
    labels = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{value!r}: a label is written key=value", context, parameter)
        labels[key] = text
    return labels


def label_option(help_text: str) -> Callable[[F], F]:
    """``--label``; the command gets a dictionary."""
    return click.option(
        "--label", "labels", multiple=True, metavar="KEY=VALUE", callback=labels_of, help=help_text
    )


def _machines(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return _from_daemon(
        lambda client: ((each.name, each.state) for each in client.machines()), incomplete
    )


def _jobs(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return _from_daemon(
        lambda client: ((each.id, f"{each.state}: {each.name}") for each in client.jobs()),
        incomplete,
    )


def _from_daemon(list_of: Callable[[Any], Any], incomplete: str) -> list[CompletionItem]:
    # Imported here because every command has options, and few ask the daemon for completions.
    from taskgen.client import Client  # noqa: PLC0415

    try:
        with Client() as client:
            return [
                CompletionItem(name, help=text)
                for name, text in list_of(client)
                if name.startswith(incomplete)
            ]
    except TaskgenError:
        return []  # a shell that waits for words has no place for an error


machine_argument = click.argument("name", metavar="NAME", shell_complete=_machines)
job_argument = click.argument("job_id", metavar="ID", shell_complete=_jobs)
jobs_argument = click.argument(
    "job_ids", metavar="ID...", nargs=-1, required=True, shell_complete=_jobs
)
job_option = click.option("--job", "job_id", metavar="ID", shell_complete=_jobs, help="Of one job.")
