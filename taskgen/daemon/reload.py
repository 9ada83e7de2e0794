"""What of changed settings a running daemon takes over. Decided here, carried out elsewhere."""

from __future__ import annotations

from dataclasses import fields, replace

from taskgen.config import LIVE
from taskgen.settings import Settings


def merged(old: Settings, new: Settings) -> tuple[Settings, list[str], list[str]]:
    """The settings that hold from now on.

    :returns: them, the keys that have changed with them, and those that need a restart.
    """
    taken: list[str] = []
    waiting: list[str] = []
    sections = {}
    for section in fields(Settings):
        before, after = getattr(old, section.name), getattr(new, section.name)
        changes = {}
        for key in fields(before):
            if getattr(before, key.name) == getattr(after, key.name):
                continue
            name = f"{section.name}.{key.name}"
            if key.metadata.get(LIVE):
                changes[key.name] = getattr(after, key.name)
                taken.append(name)
            else:
                waiting.append(name)
        sections[section.name] = replace(before, **changes)
    return replace(old, **sections), taken, waiting
