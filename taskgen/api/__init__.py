"""The daemon's face for programs: HTTP on a Unix socket, and on TCP for those who have the token.

::

    context = Context(service=service, bulletin=…, …)
    connect_sources(context)                      # machines, jobs, leases … tell the bulletin
    async with serve(make_app(context), [unix_socket(path)], …):
        …
"""

from taskgen.api.app import make_app
from taskgen.api.context import Context, Limits
from taskgen.api.server import Endpoint, serve
from taskgen.api.sockets import tcp_socket, unix_socket
from taskgen.api.sources import connect_sources

__all__ = [
    "Context",
    "Endpoint",
    "Limits",
    "connect_sources",
    "make_app",
    "serve",
    "tcp_socket",
    "unix_socket",
]
