"""Look for task-sets in modules, files and directories."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taskgen.cli.taskset_text import counted
from taskgen.errors import TaskSetError
from taskgen.files import FORMATS, form_of, parse, read_text
from taskgen.taskset import BlockTaskSet, TaskSet
from taskgen.taskset_names import list_module, list_tasksets, load_taskset

#: What a module does that only defines things.
_DEFINING = (
    ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign,
    ast.AnnAssign, ast.Assert, ast.If, ast.Try,
)  # fmt: skip


_BASES = (TaskSet, BlockTaskSet)


@dataclass(frozen=True)
class Entry:
    """One task-set, or what could not be looked into.

    :ivar variants: how many; ``None``: nobody knows.
    :ivar error: why it cannot be made; ``None``: it can.
    """

    name: str
    description: str = ""
    variants: int | None = None
    error: str | None = None


def known() -> Iterator[Entry]:
    """Those that come with Taskgen, and those of entry points."""
    for name, description in list_tasksets():
        yield _entry(name, description, None)


def in_module(name: str, directory: Path) -> Iterator[Entry]:
    """Those of one module, which may be in ``directory``."""
    for found, description in list_module(name, directory=directory):
        yield _entry(found, description, directory)


def in_file(path: Path) -> Iterator[Entry]:
    """Those of a Python file; or a document, which is one."""
    if path.suffix == ".py":
        read_text(path)
        directory, module = _module(path)
        yield from in_module(module, directory)
        return
    taskset = TaskSet.load(path)
    yield Entry(str(path), _about(taskset), taskset.variants().count)


def in_directory(directory: Path) -> Iterator[Entry]:
    """Those of the files in ``directory``. What cannot be read is an entry with an error."""
    for path in sorted(directory.iterdir()):
        try:
            if path.suffix == ".py" and path.stem.isidentifier():
                yield from _of_python(path)
            elif path.suffix.lower().removeprefix(".") in FORMATS and _is_taskset(path):
                yield from in_file(path)
        except TaskSetError as error:
            yield Entry(str(path), error=str(error).removeprefix(f"{path}: "))


def _of_python(path: Path) -> Iterator[Entry]:
    text = read_text(path)
    if "taskgen" not in text and "TaskSet" not in text:
        return
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:
        raise TaskSetError(f"{path}: {type(error).__name__}: {error}") from error
    if not any(isinstance(node, ast.ClassDef) and node.bases for node in body):
        return
    # A script may well launch machines when it is imported.
    if not all(isinstance(node, _DEFINING) or _is_text(node) for node in body):
        raise TaskSetError(
            f"{path}: is a script, which would run", hint=f"taskgen taskset ls {path}"
        )
    yield from in_file(path)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_taskset(path: Path) -> bool:
    """Whether this is a document of ours, and not some project's settings."""
    data = parse(read_text(path), form_of(path), str(path))
    return isinstance(data, dict) and "version" in data and bool({"task", "generate"} & set(data))


def _module(path: Path) -> tuple[Path, str]:
    """A directory to import from, and the dotted name there: this directory, if that can be."""
    here, whole = Path.cwd(), path.resolve()
    if whole.is_relative_to(here):
        parts = whole.relative_to(here).with_suffix("").parts
        if all(part.isidentifier() for part in parts):
            return here, ".".join(parts)
    return whole.parent, whole.stem


def _entry(name: str, description: str, directory: Path | None) -> Entry:
    if any(description == (base.__doc__ or "").partition("\n")[0] for base in _BASES):
        description = ""  # inherited: it says nothing about this one
    try:
        count = load_taskset(name, directory=directory).variants().count
    except TaskSetError as error:
        message = str(error).removeprefix(f"task-set {name!r}: ")
        return Entry(name, description, error=message)
    return Entry(name, description, count)


def _about(taskset: TaskSet) -> str:
    name = f"{taskset.name}: " if taskset.name != TaskSet.__name__ else ""
    return f"{name}{counted(len(taskset), 'task')}"
