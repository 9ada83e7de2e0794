"""The numeric libraries, imported when they are used for the first time."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from taskgen.errors import TaskSetError


def numpy() -> Any:
    """numpy.

    :raises TaskSetError: if it is not installed.
    """
    return _needed("numpy")


def convolutionalfixedsum() -> Any:
    """convolutionalfixedsum.

    :raises TaskSetError: if it is not installed.
    """
    return _needed("convolutionalfixedsum")


def _needed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TaskSetError(
            f"generating task-sets needs {name}: {error}",
            hint="pip install 'taskgen[generators]'",
        ) from error
