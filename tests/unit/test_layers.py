"""Imports point one way, down the layers of the design."""

import ast
from pathlib import Path

import pytest

import taskgen

ROOT = Path(taskgen.__file__).parent

#: Module, or package with all that is in it → its layer. A module may import from its own layer and
#: from lower ones. The longest name that fits counts.
LAYERS = {
    "taskgen": 0,
    "taskgen.errors": 0,
    "taskgen.config": 0,
    "taskgen.cpu_list": 0,
    "taskgen.settings": 0,
    "taskgen.settings_reference": 0,
    "taskgen.settings_sources": 0,
    "taskgen.daemon_settings": 0,
    "taskgen.run_settings": 0,
    "taskgen.assets": 0,
    "taskgen.collector": 0,
    "taskgen.heap": 0,
    "taskgen.waiting": 0,
    "taskgen.slots": 0,
    "taskgen.profiles": 0,
    "taskgen.problems": 0,
    "taskgen.log_fields": 0,
    "taskgen.printable": 0,
    # what a task-set is, and the values that all agree on
    "taskgen.admission": 1,
    "taskgen.blocks": 1,
    "taskgen.coupling": 1,
    "taskgen.description": 1,
    "taskgen.document": 1,
    "taskgen.document_writer": 1,
    "taskgen.draws": 1,
    "taskgen.events.model": 1,
    "taskgen.events.tracker": 1,
    "taskgen.explain": 1,
    "taskgen.files": 1,
    "taskgen.frozen": 1,
    "taskgen.generate": 1,
    "taskgen.generators": 1,
    "taskgen.interfaces": 1,
    "taskgen.keys": 1,
    "taskgen.overrides": 1,
    "taskgen.provenance": 1,
    "taskgen.randomness": 1,
    "taskgen.resources": 1,
    "taskgen.scalars": 1,
    "taskgen.schema": 1,
    "taskgen.space": 1,
    "taskgen.task": 1,
    "taskgen.taskset": 1,
    "taskgen.taskset_names": 1,
    "taskgen.tasksets": 1,
    "taskgen.template": 1,
    "taskgen.validation": 1,
    "taskgen.values": 1,
    "taskgen.variant": 1,
    "taskgen.variant_stream": 1,
    "taskgen.variants": 1,
    # decisions without I/O
    "taskgen.checks": 2,
    "taskgen.breaker": 2,
    "taskgen.diagnosis": 2,
    "taskgen.fleet": 2,
    "taskgen.lifecycle": 2,
    "taskgen.load": 2,
    "taskgen.machine_info": 2,
    "taskgen.placement": 2,
    "taskgen.protocol": 2,
    "taskgen.room": 2,
    "taskgen.scan": 2,
    "taskgen.simulation": 2,
    # the edges
    "taskgen.addresses": 3,
    "taskgen.binaries": 3,
    "taskgen.binary_store": 3,
    "taskgen.boot_notes": 3,
    "taskgen.client": 3,
    "taskgen.discovery": 3,
    "taskgen.events": 3,
    "taskgen.exchange": 3,
    "taskgen.faults": 3,
    "taskgen.host": 3,
    "taskgen.playback": 3,
    "taskgen.queue": 3,
    "taskgen.results": 3,
    "taskgen.session": 3,
    "taskgen.session_manager": 3,
    "taskgen.testing": 3,
    "taskgen.whole_file": 3,
    "taskgen.wishes": 3,
    "taskgen.wire": 3,
    # what is made of them
    "taskgen.audience": 4,
    "taskgen.backend": 4,
    "taskgen.feed": 4,
    "taskgen.followed_job": 4,
    "taskgen.remote": 4,
    "taskgen.remote_values": 4,
    "taskgen.bulletin": 4,
    "taskgen.distributor": 4,
    "taskgen.board": 4,
    "taskgen.board_reach": 4,
    "taskgen.boot_failures": 4,
    "taskgen.booting": 4,
    "taskgen.engine": 4,
    "taskgen.hosts": 4,
    "taskgen.engine_thread": 4,
    "taskgen.examination": 4,
    "taskgen.fitting": 4,
    "taskgen.job": 4,
    "taskgen.job_request": 4,
    "taskgen.local": 4,
    "taskgen.local_plan": 4,
    "taskgen.machine": 4,
    "taskgen.machine_doctor": 4,
    "taskgen.machine_body": 4,
    "taskgen.machine_cpus": 4,
    "taskgen.machine_guest": 4,
    "taskgen.machine_kind": 4,
    "taskgen.machine_launch": 4,
    "taskgen.machine_loss": 4,
    "taskgen.machine_template": 4,
    "taskgen.machine_snapshot": 4,
    "taskgen.pool": 4,
    "taskgen.pool_keeper": 4,
    "taskgen.retelling": 4,
    "taskgen.pool_member": 4,
    "taskgen.service": 4,
    "taskgen.service_health": 4,
    "taskgen.service_plan": 4,
    "taskgen.snapshot_key": 4,
    "taskgen.status": 4,
    "taskgen.wished_fleet": 4,
    # the faces
    "taskgen.api": 5,
    "taskgen.cli": 5,
    "taskgen.daemon": 5,
}

MODULES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)


def layer(module):
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        if (name := ".".join(parts[:length])) in LAYERS:
            return LAYERS[name]
    return LAYERS["taskgen"] if module == "taskgen" else None


def path_of(module):
    path = ROOT.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(module):
    """The modules of ours that a module imports, wherever in its text it does."""
    for node in ast.walk(ast.parse(path_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("taskgen"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("taskgen"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_layer_and_below(module):
    own = layer(module)
    assert own is not None, f"{module} has no layer: put it into the table"
    above = {name: layer(name) for name in imports(module) if layer(name) > own}
    assert not above


def test_the_table_names_only_modules_that_exist_or_are_planned():
    planned = {"taskgen.document", "taskgen.generate", "taskgen.generators"}
    assert set(LAYERS) - planned <= set(MODULES)


@pytest.mark.parametrize(
    "module",
    [
        m
        for m in MODULES
        if m.startswith(("taskgen.protocol", "taskgen.fleet", "taskgen.room", "taskgen.scan"))
    ],
)
def test_what_is_without_io_imports_no_io(module):
    text = path_of(module).read_text(encoding="utf-8")
    names = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert not names & {"asyncio", "socket", "os", "subprocess", "pathlib", "threading"}


@pytest.mark.parametrize("folder", ["qemu", "network"])
def test_folders_of_assets_are_no_packages(folder):
    assert not list((ROOT.parent / folder).rglob("__init__.py"))
