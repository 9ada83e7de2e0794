"""The XML that tells a server its tasks, written and read back.

It is ASCII without a declaration, as the protocol has it. Elements stand in the order of
:data:`taskgen.keys.KEYS`. A server takes an element that is missing for 0, so those keys that mean
something else when they are not given (``priority``, ``deadline`` and those that older servers do
not know) are sent only if they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from taskgen.errors import TaskSetError
from taskgen.keys import KEYS, KeyType, Sent

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


#: The keys that are sent, in their order, and whether only where they are given.
_SENT = tuple(
    (name, key.sent is Sent.IF_GIVEN) for name, key in KEYS.items() if key.sent is not Sent.NEVER
)


def describe(tasks: Iterable[Mapping[str, Any]]) -> bytes:
    """The description of tasks whose keys are complete, as those of a variant are."""
    parts = ["<taskset>"]
    for task in tasks:
        parts.append("<periodictask>")
        for name, if_given in _SENT:
            value = task[name]
            # Nearly all are of these kinds, and every run has its description.
            if type(value) is int:
                parts.append(f"<{name}>{value}</{name}>")
            elif type(value) is str:
                parts.append(_text_element(name, value))
            elif value is not None or not if_given:
                parts.extend(_element(name, value))
        parts.append("</periodictask>")
    parts.append("</taskset>")
    return "".join(parts).encode("ascii")


def read(description: bytes) -> list[dict[str, Any]]:
    """The tasks of a description, as blocks. Elements that are no keys of ours are errors.

    Text that is a whole number becomes one.

    :raises TaskSetError: if it is not the XML of a task-set.
    """
    if b"<!" in description:  # no document type, hence no entities that grow without end
        raise TaskSetError("description: has a document type or a comment, which none of ours has")
    try:
        root = ElementTree.fromstring(description)
    except ElementTree.ParseError as error:
        raise TaskSetError(f"description: is not XML: {error}") from error
    if root.tag != "taskset":
        raise TaskSetError(f"description: begins with <{root.tag}>, not with <taskset>")
    tasks = []
    for number, element in enumerate(root, 1):
        if element.tag != "periodictask":
            raise TaskSetError(f"description: has <{element.tag}> in place of <periodictask>")
        tasks.append(dict(_keys(element, f"description, task {number}")))
    return tasks


@lru_cache  # texts seldom vary from one variant to the next
def _text_element(name: str, text: str) -> str:
    return f"<{name}>{_escape(text)}</{name}>"


def _element(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _text_element(name, str(value))
        return
    attributes = "".join(
        f' {key[1:]}="{_escape(str(item))}"' for key, item in value.items() if key[0] == "@"
    )
    yield f"<{name}{attributes}>"
    for key, item in value.items():
        if key[0] != "@":
            yield from _element(key, item)
    yield f"</{name}>"


def _escape(text: str) -> str:
    if text.isalnum():
        return text
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def _keys(task: ElementTree.Element, where: str) -> Iterator[tuple[str, Any]]:
    seen = set()
    for element in task:
        key = KEYS.get(element.tag)
        if key is None or key.sent is Sent.NEVER:
            raise TaskSetError(f"{where}: <{element.tag}> is no element of a task")
        if element.tag in seen:
            raise TaskSetError(f"{where}: <{element.tag}> is there twice")
        seen.add(element.tag)
        if key.type is KeyType.TREE:
            tree = _tree(element, f"{where}: <{element.tag}>")
            if not isinstance(tree, Mapping) and tree != "":
                raise TaskSetError(f"{where}: <{element.tag}> has text in place of elements")
            yield element.tag, tree or {}
        elif len(element) or element.attrib:
            raise TaskSetError(f"{where}: <{element.tag}> has more than text inside")
        else:
            yield element.tag, _value(element.text or "")


def _tree(element: ElementTree.Element, where: str) -> Any:
    tree: dict[str, Any] = {f"@{name}": _value(text) for name, text in element.attrib.items()}
    for child in element:
        if child.tag in tree:
            raise TaskSetError(f"{where} has <{child.tag}> twice")
        tree[child.tag] = _tree(child, where)
    if not tree:
        return _value(element.text or "")
    if any((text or "").strip() for text in (element.text, *(child.tail for child in element))):
        raise TaskSetError(f"{where} mixes text with elements or attributes")
    return tree


def _value(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text
