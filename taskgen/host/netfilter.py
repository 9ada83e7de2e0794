"""Rules of the host's firewall, as far as they can be in a fleet's way. Read only.

With the module ``br_netfilter``, which Docker loads, frames that cross a bridge go through the hook
``forward`` as if they were routed. What becomes of a frame depends on all rules of a chain; so what
is told here is which chains drop what no rule accepts.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from pyroute2 import NetlinkError
from pyroute2.nftables.main import NFTables

from taskgen.errors import HostError
from taskgen.host.output import output_of
from taskgen.host.waiting import in_thread

_BRIDGE_CALLS = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_LEGACY_TABLES = Path("/proc/net/ip_tables_names")

_HOOKS = {1: "input", 2: "forward"}  # linux/netfilter.h
_FAMILIES = {1: "inet", 2: "ip"}
_DROP = 0


def crossing_is_filtered() -> bool:
    """Whether frames that cross a bridge go through ``forward``, in this thread's namespace."""
    with suppress(OSError):
        return _BRIDGE_CALLS.read_text(encoding="ascii").strip() == "1"
    return False


async def dropping_chains(hook: str) -> list[str]:
    """The chains of our own namespace that drop what none of their rules accepts.

    :param hook: ``input`` or ``forward``.
    """
    return [*await in_thread(None, _nft_chains, hook), *await _legacy_chains(hook)]


def _nft_chains(hook: str) -> list[str]:
    """Those of nftables; the newer ``iptables`` keeps its own there too."""
    found = []
    with suppress(OSError, NetlinkError), NFTables(nfgen_family=0) as nft:
        for chain in nft.get_chains():
            if _drops(chain, hook):
                family = _FAMILIES[chain["nfgen_family"]]
                table, name = chain.get_attr("NFTA_CHAIN_TABLE"), chain.get_attr("NFTA_CHAIN_NAME")
                found.append(f"{family} {table} {name}")
    return found


def _drops(chain: Any, hook: str) -> bool:
    place = chain.get_attr("NFTA_CHAIN_HOOK")
    return (
        place is not None
        and _HOOKS.get(place.get_attr("NFTA_HOOK_HOOKNUM")) == hook
        and chain["nfgen_family"] in _FAMILIES
        and chain.get_attr("NFTA_CHAIN_POLICY") == _DROP
    )


async def _legacy_chains(hook: str) -> list[str]:
    """That of the older ``iptables``, where it is in use: its rules are only told to itself."""
    with suppress(OSError, HostError):
        if "filter" in (await in_thread(None, _LEGACY_TABLES.read_text)).split():
            output = await output_of(["iptables-legacy", "-S", hook.upper()])
            if f"-P {hook.upper()} DROP" in output.text:
                return [f"iptables-legacy {hook.upper()}"]
    return []
