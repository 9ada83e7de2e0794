"""Talks to the daemon, in the words of :mod:`taskgen.resources`.

::

    from taskgen.client import Client

    with Client() as client:
        client.set_max_machines(8)
        job = client.add_job(Hey1TaskSet())
        for event in client.events(job=job.id):
            …

:class:`AsyncClient` has the same methods for an event loop: they are awaited, and lists are
``async for``. Errors are those of :mod:`taskgen.errors`, as if the daemon were in this process.
"""

from taskgen.client.awaiting import AsyncClient
from taskgen.client.blocking import Client
from taskgen.client.console import AsyncConsole, Console

__all__ = ["AsyncClient", "AsyncConsole", "Client", "Console"]
