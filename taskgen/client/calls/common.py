"""What descriptions of calls share."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from pydantic import ValidationError

from taskgen.errors import ConfigError

#: Items of a list that are asked for at once.
PAGE = 200


def path_of(*parts: str) -> str:
    """A path whose parts cannot reach beyond themselves."""
    return "/".join(quote(part, safe="") for part in parts)


def label_query(labels: Mapping[str, str] | None) -> list[str]:
    """Labels as they stand in a query."""
    return [f"{name}={value}" for name, value in (labels or {}).items()]


def refused(error: ValidationError) -> ConfigError:
    """The error for people of a request that cannot be made."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return ConfigError(f"{key}: there is no such option")
    return ConfigError(f"{key} = {first['input']!r}: {first['msg']}")
