"""Boards in address ranges, and the addresses that machines were given."""

from __future__ import annotations

from taskgen.api import convert, look
from taskgen.api.body import StrictRouter
from taskgen.api.context import Here
from taskgen.api.paging import AfterName, Limit, page_by_name
from taskgen.api.problems import described
from taskgen.resources import Host, HostSummary, Lease, Page

router = StrictRouter()


@router.get("/hosts", tags=["hosts"], responses=described(422))
async def list_hosts(here: Here, after: AfterName = "", limit: Limit = 100) -> Page[Host]:
    """The addresses of ranges that have ever answered."""
    hosts = here.service.hosts
    found = map(convert.found_host, hosts.status()) if hosts else iter(())
    return page_by_name(found, after, limit, lambda each: each.address)


@router.get("/hosts/summary", tags=["hosts"])
async def summarize_hosts(here: Here) -> HostSummary:
    """Numbers of addresses by state, those included that have never answered."""
    return HostSummary(states=look.hosts_by_state(here))


@router.get("/leases", tags=["machines"], responses=described(422))
async def list_leases(here: Here, after: AfterName = "", limit: Limit = 100) -> Page[Lease]:
    """The addresses that the DHCP server gave to machines, as long as they hold."""
    fleet = here.service.fleet
    leases = fleet.network.leases.all() if fleet else {}
    names = {each.mac: each.name for each in look.machines(here)}
    found = [convert.lease(lease, names.get(mac)) for mac, lease in leases.items()]
    return page_by_name(found, after, limit, lambda each: each.address)
