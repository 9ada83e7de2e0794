"""Every error that Taskgen raises on purpose.

::

    TaskgenError
     ├── SetupError                    found before anything was created; exit status 2
     │    ├── ConfigError              configuration, profile or network file
     │    │    └── NoMachinesError     no machines are launched here
     │    ├── TaskSetError             a task or a task-set
     │    ├── BinaryError              a task binary is missing or does not fit the target
     │    │    └── UploadMissingError  one that was uploaded is not there (any more)
     │    └── HostError                this host lacks something, or something is in the way
     │         ├── PrivilegeError      root is needed
     │         ├── MissingToolError    a program or a device is missing
     │         ├── NamespaceBusyError  a live engine, or somebody else, has the namespace
     │         └── SubnetInUseError    the fleet's subnet meets one of the host's
     ├── StateError                    a call that the object's state does not allow
     │    └── KeyReusedError           an idempotency key came with another request
     ├── ProtocolError                 the Taskloader protocol was broken
     │    ├── LocalProtocolError       by us: a bug, or a value that cannot go on the wire
     │    └── RemoteProtocolError      by the other side
     ├── SessionError                  one connection to a target
     │    ├── ConnectionLostError      the other side closed, reset or went silent
     │    └── SessionTimeoutError      no answer within the limit
     ├── QueueError                    the job queue's database
     │    ├── UnknownJobError          there is no such job
     │    └── UnknownRunError          there is no such run
     ├── DaemonError                   what the daemon answered
     │    └── DaemonUnreachableError   it did not answer at all
     └── MachineError                  one machine
          ├── LaunchError              QEMU did not start
          ├── BootError                QEMU runs, but the guest did not become ready
          ├── MachineDiedError         QEMU ended by itself
          ├── AdoptionError            what an earlier engine left cannot be taken over
          ├── SilentGuestError         it does not take part in a template, as its profile says
          ├── SnapshotError            its state could not be saved, or not be restored
          └── UnknownMachineError      there is no machine of that name

A message says what happened and to which machine, run or file; ``hint`` says what to do about it.
Causes are kept with ``raise … from``.
"""

from __future__ import annotations


class TaskgenError(Exception):
    """Root of all errors of Taskgen.

    :param message: what happened, and to what; one line.
    :param hint: what the user can do about it; one line, or ``None`` if nothing is known.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SetupError(TaskgenError):
    """Something is wrong with the input or with the host; nothing was created."""


class ConfigError(SetupError):
    """A configuration, profile or network file cannot be used."""


class NoMachinesError(ConfigError):
    """No machines are launched here: only hosts are driven."""


class TaskSetError(SetupError):
    """A task or a task-set is not valid."""


class BinaryError(SetupError):
    """A task binary is missing, or it does not fit the target."""


class UploadMissingError(BinaryError):
    """A task binary that was uploaded is not there any more, or is damaged."""


class HostError(SetupError):
    """This host lacks something that is needed, or something is in the way."""


class PrivilegeError(HostError):
    """The operation needs root."""


class MissingToolError(HostError):
    """A program, a kernel feature or a device is missing."""


class NamespaceBusyError(HostError):
    """The network namespace belongs to a live engine or to somebody else."""


class SubnetInUseError(HostError):
    """The subnet of the fleet overlaps with an address or a route of the host."""


class StateError(TaskgenError):
    """A call came in a state that does not allow it.

    :param state: the state that the object is in.
    :param required: the states that the call needs.
    """

    def __init__(self, message: str, *, state: str, required: str) -> None:
        super().__init__(f"{message}: state is {state}, needs {required}")
        self.state = state
        self.required = required


class KeyReusedError(StateError):
    """An idempotency key came again, with another request.

    :param key: the key.
    :param job_id: the job that the first request has made.
    """

    def __init__(self, key: str, job_id: str) -> None:
        TaskgenError.__init__(
            self,
            f"idempotency key {key!r}: another request with it has made job {job_id}",
            hint="take a new key for each request, the same one only to repeat it",
        )
        self.state = "used"
        self.required = "new"
        self.job_id = job_id


class ProtocolError(TaskgenError):
    """The Taskloader protocol was broken."""


class LocalProtocolError(ProtocolError):
    """We broke the protocol: a bug of ours, or a value that cannot go on the wire."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol."""


class SessionError(TaskgenError):
    """A connection to a target failed."""


class ConnectionLostError(SessionError):
    """The other side closed or reset the connection, or went silent."""


class SessionTimeoutError(SessionError):
    """The other side gave no answer within the limit."""


class QueueError(TaskgenError):
    """The job queue's database cannot be opened, read or written."""


class UnknownJobError(QueueError):
    """There is no such job."""


class UnknownRunError(QueueError):
    """There is no such run."""


class DaemonError(TaskgenError):
    """The daemon answered that something cannot be done, and no other error says it better.

    :ivar status: the HTTP status of its answer; 0 if there is none.
    """

    def __init__(self, message: str, *, hint: str | None = None, status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class DaemonUnreachableError(DaemonError):
    """The daemon cannot be reached, or it went away before it answered, or it says why it has no
    event stream to give just now."""


class MachineError(TaskgenError):
    """Something happened to a machine.

    :param console: the last lines of its console, as far as there are any.
    """

    def __init__(self, message: str, *, hint: str | None = None, console: str = "") -> None:
        super().__init__(message, hint=hint)
        self.console = console

    def with_console(self) -> str:
        """The error, and below it the last lines of the machine's console."""
        return f"{self}{console_lines(self.console)}"


def console_lines(console: str, lines: int = 8) -> str:
    """The last lines of a console, each below what is said of its machine."""
    return "".join(f"\n    | {line}" for line in console.splitlines()[-lines:])


class LaunchError(MachineError):
    """QEMU did not start."""


class BootError(MachineError):
    """QEMU runs, but the guest did not become ready in time."""


class MachineDiedError(MachineError):
    """QEMU ended without having been asked to.

    :param killed: by a signal of somebody else's, or of a kernel that was short of memory: neither
        QEMU nor what it was doing has to do with it.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, console: str = "", killed: bool = False
    ) -> None:
        super().__init__(message, hint=hint, console=console)
        self.killed = killed


class AdoptionError(MachineError):
    """A machine that an earlier engine left running cannot be taken over."""


class SilentGuestError(MachineError):
    """A guest whose profile says that it takes part in a template says nothing: as a rule it
    cannot."""


class SnapshotError(MachineError):
    """A machine's state could not be saved, or not be restored."""


class UnknownMachineError(MachineError):
    """There is no machine of that name."""
