"""The machines of the fleet."""

from __future__ import annotations

from taskgen.api import look
from taskgen.api.body import StrictRouter
from taskgen.api.context import Context, Here
from taskgen.api.paging import AfterName, Limit, page_by_name
from taskgen.api.problems import described
from taskgen.errors import UnknownMachineError
from taskgen.pool import Pool
from taskgen.resources import Machine, Page

router = StrictRouter(prefix="/machines", tags=["machines"])


@router.get("", responses=described(422))
async def list_machines(here: Here, after: AfterName = "", limit: Limit = 100) -> Page[Machine]:
    """The machines that exist, and the slots that are held empty, by slot."""
    return page_by_name(look.machines(here), after, limit, lambda each: each.name)


@router.get("/{name}", responses=described(404))
async def show_machine(here: Here, name: str) -> Machine:
    """One machine."""
    return _machine(here, name)


@router.post("/{name}/restart", responses=described(404, 409))
async def restart_machine(here: Here, name: str) -> Machine:
    """Let it finish its run, and launch it anew; also one that was drained."""
    before = _machine(here, name)
    _pool(here, name).restart_machine(name)
    return look.machine(here, name) or before


@router.post("/{name}/drain", responses=described(404, 409))
async def drain_machine(here: Here, name: str) -> Machine:
    """Let it finish its run and go; its slot stays empty until it is restarted."""
    before = _machine(here, name)
    _pool(here, name).drain_machine(name)
    return look.machine(here, name) or before


@router.post("/{name}/kill", responses=described(404, 409))
async def kill_machine(here: Here, name: str) -> Machine:
    """End it now; its run goes back to the queue, and another one may take its slot."""
    before = _machine(here, name)
    _pool(here, name).kill_machine(name)
    return look.machine(here, name) or before


def _machine(context: Context, name: str) -> Machine:
    found = look.machine(context, name)
    if found is None:
        raise UnknownMachineError(f"there is no machine {name!r}")
    return found


def _pool(context: Context, name: str) -> Pool:
    pool = context.service.machines
    if pool is None:
        raise UnknownMachineError(f"there is no machine {name!r}: none are launched here")
    return pool
