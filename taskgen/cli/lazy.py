"""Groups of commands whose modules are imported when a command is used, not when it is listed.

``taskgen --help`` and ``taskgen status`` need neither the engine nor the fleet, and importing them
takes longer than what these do.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is not imported yet.

    :ivar where: ``module:attribute``.
    :ivar help: the first sentence of its help, for lists of commands.
    """

    where: str
    help: str

    def load(self) -> click.Command:
        """The command itself."""
        module, _, attribute = self.where.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


class LazyGroup(click.Group):
    """A group of such commands, in the order and under the titles in which they are given.

    :param lazy: commands by name, by the title of their section.
    """

    def __init__(
        self, *arguments: Any, lazy: Mapping[str, Mapping[str, Lazy]] | None = None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.sections = dict(lazy or {})
        self.lazy = {name: each for part in self.sections.values() for name, each in part.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.lazy:
            return self.lazy[cmd_name].load()
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(map(len, self.lazy), default=0)
        for title, part in self.sections.items():
            with formatter.section(title):
                # The same column in all sections.
                formatter.write_dl(
                    [(name.ljust(longest), lazy.help) for name, lazy in part.items()]
                )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=lazy.help)
            for name, lazy in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)
