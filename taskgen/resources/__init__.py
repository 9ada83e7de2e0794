"""What the daemon's API speaks: plain values, the same for the server and its clients.

What the server tells (:class:`Resource`) may have more in a newer version: clients ignore what they
do not know. What it is asked (:class:`Request`) is taken strictly. Times are seconds since the
epoch, durations seconds, unless a name says otherwise.
"""

from taskgen.resources.base import Page, Problem, Request, Resource
from taskgen.resources.consoles import ConsoleBoot, ConsoleLine
from taskgen.resources.diagnosis import Diagnosis
from taskgen.resources.events import EventKind, StreamEvent
from taskgen.resources.fleet import (
    Degradation,
    Fleet,
    FleetChange,
    Health,
    Host,
    HostSummary,
    Lease,
    Machine,
    Snapshots,
    Status,
)
from taskgen.resources.jobs import (
    Activation,
    Attempt,
    AttemptPage,
    Binary,
    Counts,
    Job,
    JobChange,
    NewJob,
    Run,
    RunEvent,
    Session,
)

#: Pydantic makes such a class where it is first named, and forgets one that nobody holds. Threads
#: that do so at the same time may meet one that is not finished, so all are made here, once.
PAGES = (
    Page[Attempt],
    Page[Binary],
    Page[ConsoleBoot],
    Page[Host],
    Page[Job],
    Page[Lease],
    Page[Machine],
    Page[Run],
)

__all__ = [
    "PAGES",
    "Activation",
    "Attempt",
    "AttemptPage",
    "Binary",
    "ConsoleBoot",
    "ConsoleLine",
    "Counts",
    "Degradation",
    "Diagnosis",
    "EventKind",
    "Fleet",
    "FleetChange",
    "Health",
    "Host",
    "HostSummary",
    "Job",
    "JobChange",
    "Lease",
    "Machine",
    "NewJob",
    "Page",
    "Problem",
    "Request",
    "Resource",
    "Run",
    "RunEvent",
    "Session",
    "Snapshots",
    "Status",
    "StreamEvent",
]
