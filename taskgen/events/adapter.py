"""Makes handlers of what users hand over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.events.legacy import LegacyMonitor, is_monitor
from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run


class HandlerGroup(EventHandler):
    """Several handlers in the place of one: each is told, also when one before it fails.

    They share a queue and a thread, so the slowest is the speed of all. Where each should have its
    own, use :func:`adapt_all` and give each to a dispatcher.
    """

    def __init__(self, handlers: Iterable[EventHandler]) -> None:
        self.handlers = tuple(handlers)

    @property
    def name(self) -> str:
        return ", ".join(handler.name for handler in self.handlers)

    @property
    def wants_events(self) -> bool:
        return any(handler.wants_events for handler in self.handlers)

    def on_start(self, run: Run) -> None:
        self._tell("on_start", run)

    def on_event(self, run: Run, event: Event) -> None:
        self._tell("on_event", run, event)

    def on_finish(self, run: Run) -> None:
        self._tell("on_finish", run)

    def on_stop(self, run: Run, reason: str) -> None:
        self._tell("on_stop", run, reason)

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._tell("on_bad", run, attempts)

    def close(self) -> None:
        self._tell("close")

    def _tell(self, hook: str, *arguments: Any) -> None:
        errors = []
        for handler in self.handlers:
            try:
                getattr(handler, hook)(*arguments)
            except Exception as error:  # noqa: BLE001 - raised below, after the others had their turn
                errors.append(error)
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(self.handlers)} handlers failed", errors)


def adapt(thing: Any) -> EventHandler:
    """The handler that ``thing`` is, or can be made into.

    :param thing: a handler, a monitor of the prototypes, or a list of such things.
    :raises ConfigError: if it is anything else, saying what to give instead.
    """
    if isinstance(thing, (list, tuple, set, frozenset)):
        handlers = adapt_all(*thing)
        return handlers[0] if len(handlers) == 1 else HandlerGroup(handlers)
    if isinstance(thing, type) and (issubclass(thing, EventHandler) or is_monitor(thing)):
        raise ConfigError(
            f"{thing.__name__}: a class is not a handler", hint=f"make one: {thing.__name__}(…)"
        )
    if isinstance(thing, EventHandler):
        return thing
    if is_monitor(thing):
        return LegacyMonitor(thing)
    raise ConfigError(f"{_short(thing)}: not an event handler", hint=_hint(thing))


def adapt_all(*things: Any) -> tuple[EventHandler, ...]:
    """The handlers in ``things``, lists and groups taken apart, each once.

    :raises ConfigError: as :func:`adapt`.
    """
    found: list[EventHandler] = []
    for thing in things:
        if isinstance(thing, (list, tuple, set, frozenset)):
            handlers = adapt_all(*thing)
        elif isinstance(thing, HandlerGroup):
            handlers = adapt_all(*thing.handlers)
        else:
            handlers = (adapt(thing),)
        found += [handler for handler in handlers if not any(_same(handler, o) for o in found)]
    return tuple(found)


def _same(one: EventHandler, other: EventHandler) -> bool:
    if isinstance(one, LegacyMonitor) and isinstance(other, LegacyMonitor):
        return one.monitor is other.monitor
    return one is other


def _short(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _hint(thing: Any) -> str:
    if isinstance(thing, (str, os.PathLike)):
        return "for a file, give a handler that writes it, such as CsvHandler(path)"
    if isinstance(thing, Mapping):
        return "a dictionary is session parameters, and has its own place"
    if callable(thing) and not hasattr(thing, "on_finish"):
        return "put it into a class derived from taskgen.events.EventHandler, as on_finish"
    return "derive its class from taskgen.events.EventHandler"
