"""The JSON Schema of documents, generated from the model.

``python -m taskgen.schema`` writes it; the copy in ``docs/taskset.schema.json`` is compared with it
by a test. It describes the form: that ids differ, coupled lists are equally long and the like is
found when a document is loaded.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import Any, get_args, get_origin, get_type_hints

from taskgen.document import VERSION
from taskgen.generators.priorities import ASSIGNMENTS
from taskgen.generators.recipe import DEADLINES, METHODS, PERIODS
from taskgen.keys import KEYS, Key, KeyType

_RANGE = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3}
_TEXT = {"type": "string", "pattern": "^[ -~]*$"}
#: Names inside ``config`` and ``extra``; "$" begins the special forms, "." separates a path.
_NAME = "^@?[A-Za-z_][A-Za-z0-9_-]*$"
_DATA_NAME = "^[^$.][^.]*$"


def schema() -> dict[str, Any]:
    """The schema of version 1, in JSON Schema's draft 2020-12."""
    task = {name: _property(key) for name, key in KEYS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Task-set of Taskgen",
        "type": "object",
        "required": ["version"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": VERSION},
            "name": {"type": "string"},
            "metadata": {"type": "object"},
            "generate": _generate(),
            "task": {"type": "array", "items": {"$ref": "#/$defs/task"}},
        },
        "$defs": {
            "task": {
                "type": "object",
                "additionalProperties": False,
                "properties": task,
                # A part may be given by its whole path, as in "config.arg1".
                "patternProperties": {
                    r"^config\..+$": {"$ref": "#/$defs/argument"},
                    r"^extra\..+$": {"$ref": "#/$defs/extra"},
                },
            },
            "argument": _argument(),
            "extra": _extra(),
        },
    }


def _property(key: Key) -> dict[str, Any]:
    unit = f" Unit: {key.unit}." if key.unit else ""
    described = {"description": key.meaning + unit}
    match key.type:
        case KeyType.TREE:
            tree = {
                "type": "object",
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": {"$ref": "#/$defs/argument"},
            }
            return {**described, **tree}
        case KeyType.DATA:
            kept = {
                "type": "object",
                "propertyNames": {"pattern": _DATA_NAME},
                "additionalProperties": {"$ref": "#/$defs/extra"},
            }
            return {**described, **kept}
        case _:
            return {**described, **(_scalar(key) if key.name == "id" else _many(_scalar(key)))}


def _scalar(key: Key) -> dict[str, Any]:
    if key.type is KeyType.INTEGER:
        return {"type": "integer", "minimum": key.minimum, "maximum": key.maximum}
    if key.type is KeyType.NAME:
        return {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,14}$"}
    return {
        "anyOf": [
            {"type": "string", "pattern": "^[1-9][0-9]{0,18}[KMG]?$"},
            {"type": "integer", "minimum": 1},
        ]
    }


def _many(one: dict[str, Any]) -> dict[str, Any]:
    """One value, or a way to give many."""
    listed = {"type": "array", "items": one, "minItems": 1}
    spread = _object({"$range": _RANGE})
    return {
        "anyOf": [
            one,
            listed,
            spread,
            _object({"$choice": listed}),
            _object({"$values": {"anyOf": [listed, spread]}, "$coupled": {"type": "string"}}),
            _object({"$generated": {"type": "string"}}),
        ]
    }


def _argument() -> dict[str, Any]:
    inner = {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": {"$ref": "#/$defs/argument"},
    }
    ways = _many({"anyOf": [{"type": "number"}, _TEXT]})
    return {"anyOf": [*ways["anyOf"], inner]}


def _extra() -> dict[str, Any]:
    one = {"type": ["string", "number", "boolean", "array"]}
    inner = {
        "type": "object",
        "propertyNames": {"pattern": _DATA_NAME},
        "additionalProperties": {"$ref": "#/$defs/extra"},
    }
    special = [way for way in _many({})["anyOf"] if way.get("type") == "object"]
    return {"anyOf": [one, inner, *special]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _generate() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Arguments of taskgen.generate.generate.",
        "required": ["n_tasks", "utilisation", "n_sets", "seed"],
        "additionalProperties": False,
        "properties": {
            "n_tasks": {"type": "integer", "minimum": 1},
            "utilisation": {"type": "number", "exclusiveMinimum": 0},
            "n_sets": {"type": "integer", "minimum": 1},
            "seed": {"type": "integer", "minimum": 0},
            "method": _named(METHODS),
            "periods": _named(PERIODS),
            "deadlines": _named(DEADLINES),
            "priorities": {"enum": list(ASSIGNMENTS)},
            "load": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "argument": {"type": "string"},
            "task": {"$ref": "#/$defs/task"},
        },
    }


def _named(table: Any) -> dict[str, Any]:
    """A name alone, or with the numbers of what it names."""
    ways: list[dict[str, Any]] = [{"enum": list(table)}]
    for name, cls in table.items():
        hints = get_type_hints(cls)
        ways.append(
            {
                "type": "object",
                "description": (cls.__doc__ or "").partition("\n")[0],
                "properties": {
                    "name": {"const": name},
                    **{each.name: _json_type(hints[each.name]) for each in fields(cls)},
                },
                "required": [
                    "name",
                    *(each.name for each in fields(cls) if each.default is MISSING),
                ],
                "additionalProperties": False,
            }
        )
    return {"anyOf": ways}


def _json_type(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _json_type(get_args(hint)[0])}
    return {"type": {int: "integer", float: "number"}[hint]}


def text() -> str:
    """The schema as it stands in ``docs/taskset.schema.json``."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(text(), end="")
