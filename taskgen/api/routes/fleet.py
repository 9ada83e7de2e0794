"""The fleet and its limits."""

from __future__ import annotations

from taskgen.api import look
from taskgen.api.body import StrictRouter
from taskgen.api.context import Here
from taskgen.api.problems import described
from taskgen.resources import Fleet, FleetChange

router = StrictRouter(tags=["fleet"])


@router.get("/fleet")
async def show_fleet(here: Here) -> Fleet:
    """The machines that the daemon launches, and their limits."""
    return look.fleet(here)


@router.patch("/fleet", responses=described(400, 409, 413, 422, 503))
async def change_fleet(here: Here, change: FleetChange) -> Fleet:
    """Change the limits. They hold until they are changed again, also for the next daemon."""
    await here.service.change_fleet(max_machines=change.max_machines, paused=change.paused)
    return look.fleet(here)
