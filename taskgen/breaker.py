"""When a target is taken out because nothing goes well on it. Pure: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from taskgen.interfaces import FailureClass

#: Runs that fail in a row, all of different variants, before the target is taken out.
FAILURES = 5

#: Seconds that it then rests; each further time twice as long, up to the longest.
REST_S = 30.0
LONGEST_REST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that failed, as far as it tells something of its target."""

    job_id: str
    variant: int
    failure: FailureClass


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of one target.

    :ivar failures: since something last went well, oldest first; no more than matter.
    :ivar opened: how often it was taken out since something last went well.
    :ivar open_until: until when it rests, on the clock of whoever asks; then one run probes it.
        ``None``: it is in.
    """

    failures: tuple[Failed, ...] = ()
    opened: int = 0
    open_until: float | None = None

    def rest_s(self, now: float) -> float:
        """Seconds for which it must not be given a run yet."""
        return 0.0 if self.open_until is None else max(0.0, self.open_until - now)

    def after(self, failed: Failed | None, now: float) -> Breaker:
        """What is known after another run.

        :param failed: ``None`` if the run went well.
        """
        if failed is None:
            return Breaker()
        failures = (*self.failures, failed)[-FAILURES:]
        probed = self.open_until is not None
        if not (probed or _broken(failures)):
            return replace(self, failures=failures)
        rest_s = min(REST_S * 2.0**self.opened, LONGEST_REST_S)
        return Breaker(failures, self.opened + 1, now + rest_s)


def _broken(failures: tuple[Failed, ...]) -> bool:
    """Whether so many failures are the target's rather than the runs'.

    What a task-set did to itself counts only if every one is of another job: the variants of one
    set may all be wrong in the same way.
    """
    others = all(each.failure is not FailureClass.TASK for each in failures)
    runs = {each.job_id if not others else (each.job_id, each.variant) for each in failures}
    return len(runs) >= FAILURES
