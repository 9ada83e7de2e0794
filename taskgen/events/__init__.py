"""What happens in a guest, and who is told of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskgen.events.adapter import adapt, adapt_all
    from taskgen.events.handler import EventHandler

__all__ = ["EventHandler", "adapt", "adapt_all"]

_HOMES = {"EventHandler": "handler", "adapt": "adapter", "adapt_all": "adapter"}


def __getattr__(name: str) -> Any:
    # The lowest layer imports taskgen.events.model: what stands higher comes when it is asked for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
