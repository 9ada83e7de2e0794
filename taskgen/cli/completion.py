"""``taskgen completion``"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script for your shell.

    It completes commands, options, names of machines and ids of jobs. For bash:

    taskgen completion bash > ~/.local/share/bash-completion/completions/taskgen
    """
    root = click.get_current_context().find_root()
    script = get_completion_class(shell)
    assert script is not None  # click brings all three
    click.echo(script(root.command, {}, "taskgen", "_TASKGEN_COMPLETE").source())
