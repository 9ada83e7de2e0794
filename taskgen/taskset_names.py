"""Find task-sets by name: those that come with Taskgen, those of plug-ins, the user's own."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import taskgen.tasksets
from taskgen.errors import TaskgenError, TaskSetError
from taskgen.files import FORMATS
from taskgen.taskset import BlockTaskSet, TaskSet

_OURS = taskgen.tasksets.__name__
_GROUP = "taskgen.tasksets"


def load_taskset(name: str, *, directory: Path | None = None) -> TaskSet:
    """The task-set called ``name``.

    That is a document, if the name ends in ``.toml`` or ``.json``; else ``module.Class`` below
    ``taskgen.tasksets``, the name of an entry point in the group ``taskgen.tasksets``, or a dotted
    path to a class, an instance or a function without arguments.

    :param directory: modules here can be imported too, while this runs.
    :raises TaskSetError: if there is none, or its module or its constructor fails.
    """
    if name.lower().endswith(tuple(f".{form}" for form in FORMATS)):
        return TaskSet.load(name)
    with _importable(directory):
        for point in entry_points(group=_GROUP, name=name):
            return _made(_guarded(point.load, f"{name}: entry point {point.value}"), name)
        module_name, _, attribute = name.rpartition(".")
        if not module_name:
            raise TaskSetError(
                f"task-set {name!r}: is not a dotted name", hint=_try_one(name, list(_our_names()))
            )
        module = _import(module_name, name)
        if not hasattr(module, attribute):
            here = [f"{module_name}.{found}" for found, _ in _classes(module)]
            raise TaskSetError(
                f"task-set {name!r}: {module.__name__} has no {attribute}",
                hint=_try_one(name, here),
            )
        return _made(getattr(module, attribute), name)


def load_installed(name: str) -> TaskSet:
    """A task-set that comes with Taskgen, or that somebody has installed as an entry point.

    For names of strangers: nothing else is looked for, no file is read, and nothing is imported
    that was not installed to be.

    :param name: ``module.Class`` below ``taskgen.tasksets``, or the name of an entry point.
    :raises TaskSetError: if there is none, or its module or its constructor fails.
    """
    for point in entry_points(group=_GROUP, name=name):
        return _made(_guarded(point.load, f"{name}: entry point {point.value}"), name)
    short, _, wanted = name.removeprefix(f"{_OURS}.").partition(".")
    if short in _our_modules():
        for found, cls in _classes(importlib.import_module(f"{_OURS}.{short}")):
            if found == wanted:
                return _made(cls, name)
    known = [*_our_names(), *(point.name for point in entry_points(group=_GROUP))]
    raise TaskSetError(
        f"task-set {name!r}: none of this name is installed", hint=_try_one(name, known)
    )


def list_tasksets() -> list[tuple[str, str]]:
    """Name and first line of description of the task-sets that can be found without a path.

    One that cannot be loaded is there too: with the reason, in place of a description.
    """
    found = [
        (f"{short}.{name}", _summary(cls))
        for short in sorted(_our_modules())
        for name, cls in _classes(importlib.import_module(f"{_OURS}.{short}"))
    ]
    for point in sorted(entry_points(group=_GROUP), key=lambda point: point.name):
        try:
            said = _summary(_guarded(point.load, f"entry point {point.value}"))
        except TaskgenError as error:
            said = f"cannot be loaded: {error}"
        found.append((point.name, said))
    return found


def list_module(name: str, *, directory: Path | None = None) -> list[tuple[str, str]]:
    """The same for the task-sets of one module, ours or the user's.

    :param directory: modules here can be imported too, while this runs.
    :raises TaskSetError: if there is no such module, or it fails.
    """
    with _importable(directory):
        module = _import(name, name)
    return [(f"{name}.{each}", _summary(cls)) for each, cls in _classes(module)]


@contextmanager
def _importable(directory: Path | None) -> Iterator[None]:
    before = list(sys.path)
    if directory is not None:
        sys.path.insert(0, str(directory))
        importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def _import(module_name: str, name: str) -> ModuleType:
    if module_name.partition(".")[0] in _our_modules():
        return importlib.import_module(f"{_OURS}.{module_name}")
    try:
        module: ModuleType = _guarded(
            lambda: importlib.import_module(module_name), f"task-set {name!r}"
        )
    except TaskSetError as error:
        missing = error.__cause__
        parents = [module_name[:end] for end in _dots(module_name)]
        if isinstance(missing, ModuleNotFoundError) and missing.name in parents:
            raise TaskSetError(
                f"task-set {name!r}: there is no module {missing.name}",
                hint=_try_one(name, list(_our_names())),
            ) from missing
        raise
    return module


def _dots(name: str) -> list[int]:
    """Where each prefix of a dotted name ends, the whole one too."""
    return [at for at, character in enumerate(name) if character == "."] + [len(name)]


def _made(thing: Any, name: str) -> TaskSet:
    if not isinstance(thing, TaskSet) and callable(thing):
        thing = _guarded(thing, f"task-set {name!r}")
    if not isinstance(thing, TaskSet):
        raise TaskSetError(
            f"task-set {name!r}: is a {type(thing).__name__}, not a task-set",
            hint="name a class derived from taskgen.taskset.TaskSet",
        )
    return thing


def _guarded(call: Any, what: str) -> Any:
    """Run a user's code; whatever it raises becomes one line that names it."""
    try:
        return call()
    except TaskgenError:
        raise
    except (Exception, SystemExit) as error:
        raise TaskSetError(f"{what}: {type(error).__name__}: {error}") from error


def _our_modules() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(taskgen.tasksets.__path__)}


def _our_names() -> Iterator[str]:
    for short in sorted(_our_modules()):
        module = importlib.import_module(f"{_OURS}.{short}")
        yield from (f"{short}.{name}" for name, _ in _classes(module))


def _classes(module: ModuleType) -> list[tuple[str, type[TaskSet]]]:
    """The task-sets that a module defines or imports, in the order in which it does so."""
    return [
        (name, thing)
        for name, thing in vars(module).items()
        if inspect.isclass(thing)
        and issubclass(thing, TaskSet)
        and thing not in (TaskSet, BlockTaskSet)
    ]


def _summary(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _try_one(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean '{near[0]}'?" if near else "module.Class, as in hey.Hey1TaskSet"
