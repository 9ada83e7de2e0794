"""Whom to try when: laws that hold for whatever the hosts do."""

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskgen.scan import BACKOFFS, JITTER, HostState, ScanPlan

VERDICTS = list(BACKOFFS)
MANY = 10**9


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def plan(count=4, concurrency=2, chance=lambda: 0.0):
    clock = Clock()
    return ScanPlan(count, concurrency=concurrency, clock=clock, chance=chance), clock


def taken(scan, wanted=MANY):
    found = []
    while (index := scan.take(wanted)) is not None:
        found.append(index)
    return found


class Scanning(RuleBasedStateMachine):
    """Random hosts, in random order, at random times."""

    @initialize(count=st.integers(1, 12), concurrency=st.integers(1, 5))
    def begin(self, count, concurrency):
        self.count, self.concurrency = count, concurrency
        self.clock = Clock()
        self.chance = 0.0
        self.scan = ScanPlan(
            count, concurrency=concurrency, clock=self.clock, chance=lambda: self.chance
        )
        self.trying, self.serving = {}, set()
        self.rests = {}  # host → (when it was given back, with what, failures in a row)
        self.failures = dict.fromkeys(range(count), 0)
        self.ever = set()

    @rule(wanted=st.integers(0, 12))
    def take(self, wanted):
        room = len(self.trying) < self.concurrency
        promising = sum(was is HostState.FREE for was in self.trying.values())
        before = {i: self.scan.state(i) for i in range(self.count)}
        index = self.scan.take(wanted)
        if index is None:
            wait_s = self.scan.wait_s(wanted)
            assert wait_s is None or wait_s > 0 or not room
            if room and wanted > promising:
                # Nobody is left out: all that are not in hand rest, and their time has not come.
                idle = set(range(self.count)) - set(self.trying) - self.serving
                assert idle == set(self.rests)
                assert all(self.due(i, shortest=False) > self.clock.now for i in idle)
            return
        assert room
        assert wanted > promising
        assert index not in self.trying  # none is tried twice at once
        assert index not in self.serving
        if index in self.rests:
            assert self.clock.now >= self.due(index, shortest=True)  # the back-off is respected
            del self.rests[index]
        self.trying[index] = before[index]
        self.ever.add(index)

    def due(self, index, *, shortest):
        at, state, failures, heard = self.rests[index]
        late = 0 if shortest else 0.002  # the plan's clock has milliseconds, rounded up
        if state in (HostState.FREE, None):
            return at + late
        kind = HostState.LOST if state is HostState.SILENT and heard else state
        delay = BACKOFFS[kind].delay_s(failures)
        return at + delay * (1 - JITTER if shortest else 1) + late

    def rest(self, index, state):
        heard = getattr(self, "heard", set())
        if state is not HostState.SILENT:
            heard.add(index)
        self.heard = heard
        self.rests[index] = (self.clock.now, state, self.failures[index], index in heard)

    @precondition(lambda self: self.trying)
    @rule(data=st.data())
    def found(self, data):
        index = data.draw(st.sampled_from(sorted(self.trying)))
        self.scan.found(index)
        del self.trying[index]
        self.serving.add(index)
        self.heard = getattr(self, "heard", set()) | {index}

    @precondition(lambda self: self.trying)
    @rule(data=st.data(), state=st.sampled_from(VERDICTS), chance=st.floats(0, 1))
    def refused(self, data, state, chance):
        index = data.draw(st.sampled_from(sorted(self.trying)))
        self.chance = chance
        self.scan.ended(index, state, "because")
        del self.trying[index]
        self.failures[index] += 1
        self.rest(index, state)

    @precondition(lambda self: self.trying)
    @rule(data=st.data())
    def put_back(self, data):
        index = data.draw(st.sampled_from(sorted(self.trying)))
        self.scan.put_back(index)
        was = self.trying.pop(index)
        assert self.scan.state(index) is was
        self.rests[index] = (self.clock.now, None, 0, False)

    @precondition(lambda self: self.serving)
    @rule(data=st.data(), free=st.booleans(), good=st.booleans())
    def given_back(self, data, free, good):
        index = data.draw(st.sampled_from(sorted(self.serving)))
        state = HostState.FREE if free else HostState.LOST
        self.scan.ended(index, state, good=good)
        self.serving.remove(index)
        if free or good:
            self.failures[index] = 0
        self.failures[index] += not free
        self.rest(index, state)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.5, 3.0, 20.0, 700.0]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @invariant()
    def the_count_is_right(self):
        if not hasattr(self, "scan"):
            return
        assert self.scan.count(HostState.TRYING) == len(self.trying) <= self.concurrency
        assert self.scan.serving == len(self.serving)
        assert sum(self.scan.count(state) for state in HostState) == self.count
        records = {record.index: record for record in self.scan.records(every=True)}
        assert sorted(records) == list(range(self.count))
        for index, record in records.items():
            assert record.failures == min(self.failures[index], 255)
            if index in self.trying or index in self.serving:
                assert record.next_try_s is None
        heard = [record.index for record in self.scan.records()]
        assert heard == sorted(getattr(self, "heard", set()))

    def teardown(self):
        """Every host is tried in the end, if there is work and time passes."""
        if not hasattr(self, "scan"):
            return
        for index in list(self.trying):
            self.scan.ended(index, HostState.SILENT)
        ever = set(self.ever)
        for _ in range(40 * self.count):
            if ever == set(range(self.count)):
                break
            self.clock.now += 1.0
            for index in taken(self.scan):
                ever.add(index)
                self.scan.ended(index, HostState.REFUSED)
        assert ever == set(range(self.count))


TestScanning = Scanning.TestCase
TestScanning.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_all_are_tried_in_order_but_only_so_many_at_once():
    scan, _ = plan(count=5, concurrency=2)
    assert taken(scan) == [0, 1]
    scan.ended(0, HostState.SILENT)
    assert taken(scan) == [2]
    assert scan.count(HostState.TRYING) == 2


def test_without_work_nobody_is_tried():
    scan, _ = plan()
    assert taken(scan, wanted=0) == []
    assert scan.wait_s(0) is None


def test_a_host_that_was_free_goes_first_and_is_enough():
    scan, _ = plan(count=4, concurrency=4)
    scan.take(MANY)
    scan.found(0)
    scan.ended(0, HostState.FREE)
    assert taken(scan, wanted=1) == [0]
    scan.ended(0, HostState.SILENT)  # it is gone; so the others come
    assert taken(scan, wanted=1) == [1, 2, 3]


@pytest.mark.parametrize("state", VERDICTS)
def test_the_back_off_doubles_up_to_its_longest(state):
    scan, clock = plan(count=1)
    delays = []
    for _ in range(15):
        assert scan.take(MANY) == 0
        scan.ended(0, state)
        delays.append(scan.wait_s(MANY))
        assert scan.take(MANY) is None
        clock.now += delays[-1] + 0.002
    backoff = BACKOFFS[state]
    expected = [min(backoff.first_s * 2**n, backoff.longest_s) for n in range(15)]
    assert delays == pytest.approx(expected, abs=0.002)


def test_jitter_shortens_the_delay():
    scan, _ = plan(count=1, chance=lambda: 1.0)
    scan.take(MANY)
    scan.ended(0, HostState.BUSY)
    assert scan.wait_s(MANY) == pytest.approx(2.0 * (1 - JITTER), abs=0.002)


def test_a_good_run_forgets_the_failures():
    scan, clock = plan(count=1)
    for _ in range(6):
        scan.take(MANY)
        scan.found(0)
        scan.ended(0, HostState.LOST)
        clock.now += 100
    scan.take(MANY)
    scan.found(0)
    scan.ended(0, HostState.LOST, "gone", good=True)
    (record,) = scan.records()
    assert (record.failures, record.reason, record.state) == (1, "gone", HostState.LOST)
    assert record.next_try_s == pytest.approx(1.0, abs=0.002)


def test_hosts_that_refuse_do_not_starve_those_that_were_never_tried():
    scan, clock = plan(count=1000, concurrency=1)
    seen = set()
    for _ in range(2 * 1000):
        index = scan.take(MANY)
        seen.add(index)
        scan.ended(index, HostState.REFUSED)
        clock.now += 60.0  # all that ever refused are due again
    assert seen == set(range(1000))


def test_a_refused_host_does_not_wait_for_the_end_of_the_scan():
    scan, clock = plan(count=100_000, concurrency=1)
    assert taken(scan) == [0]
    scan.ended(0, HostState.REFUSED)
    clock.now += 1.1
    following = []
    for _ in range(3):
        following.append(scan.take(MANY))
        scan.ended(following[-1], HostState.SILENT)
    assert 0 in following


def test_a_host_that_has_been_there_is_looked_for_more_often_than_an_address_without_one():
    scan, clock = plan(count=100_000, concurrency=1)
    scan.take(MANY)
    scan.found(0)
    scan.ended(0, HostState.LOST)
    clock.now += 1.1
    while (index := scan.take(MANY)) != 0:
        scan.ended(index, HostState.SILENT)
    scan.ended(0, HostState.SILENT, "no connection")
    (record,) = scan.records()
    assert record.next_try_s <= 2.002
    assert record.reason == "no connection"


def test_a_scanned_sixteen_bit_range_takes_little_memory():
    count = 2**16 - 2
    tracemalloc.start()
    try:
        scan, _ = plan(count=count, concurrency=64)
        untried = tracemalloc.get_traced_memory()[0]
        tried = 0
        while batch := taken(scan):
            tried += len(batch)
            for index in batch:
                scan.ended(index, HostState.SILENT, f"no connection to {index}")
        scanned = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert tried == count
    assert untried < 3 * count
    assert scanned < 64 * count
