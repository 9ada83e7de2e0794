"""How many files and sockets an engine has open at most, and seeing to it that it may."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)

#: What an engine has open by itself: the database, the API with its clients, the log, the network.
_BASE = 256
#: Of each machine: QMP, console, session, process and tap, twice while it is replaced, and spare.
_EACH_MACHINE = 16


def descriptors_needed(machines: int, concurrency: int) -> int:
    """How many an engine may have open at the same time.

    :param machines: at most.
    :param concurrency: addresses of hosts that are tried at the same time; as many may be at work.
    """
    return _BASE + _EACH_MACHINE * machines + 2 * concurrency


def raise_descriptor_limit(needed: int) -> int:
    """Have this process open as many as it needs, as far as its hard limit goes; the limit then.

    Only the soft limit, which is a process' own, is raised; children that are started later have it
    too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        log.info("may have %d files open now, not %d", wanted, soft)
    return max(soft, wanted)
