"""What the keys of a task mean, in words: for ``taskgen taskset explain`` and for the docs."""

from __future__ import annotations

from dataclasses import dataclass

from taskgen.keys import KEYS, Key, KeyType, Sent, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One key, all of it text that can be shown as it is."""

    name: str
    default: str
    unit: str
    allowed: str
    sent: str
    meaning: str


def explain(path: str) -> Explanation:
    """What a key means; of a path such as ``config.arg1``, its first part.

    :raises TaskSetError: if there is no such key; the message suggests the nearest.
    """
    return _explained(find(path))


def explain_all() -> list[Explanation]:
    """All keys in the order in which they are sent and vary."""
    return [_explained(key) for key in KEYS.values()]


def markdown() -> str:
    """All keys as a table in Markdown."""
    rows = [
        f"| `{each.name}` | {each.default} | {each.unit} | {each.allowed} | {each.sent} "
        f"| {each.meaning} |"
        for each in explain_all()
    ]
    return "\n".join(
        ["| key | default | unit | allowed | sent | meaning |", "|---|---|---|---|---|---|", *rows]
    )


def _explained(key: Key) -> Explanation:
    if key.name == "id":
        default = "the next free one"
    elif key.name == "pkg":
        default = "none: must be given"
    elif key.type in (KeyType.TREE, KeyType.DATA):
        default = "empty"
    else:
        default = "none" if key.sent is Sent.IF_GIVEN else str(key.default)
    return Explanation(
        name=key.name,
        default=default,
        unit=key.unit,
        allowed=key.allowed,
        sent=str(key.sent),
        meaning=key.meaning,
    )
