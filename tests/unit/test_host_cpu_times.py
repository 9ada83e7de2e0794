"""What the host gave of its processors."""

import os
import threading

import pytest

from taskgen.host.cpu_times import HostTicks, Threads, wait_ns

STAT = b"cpu  100 10 50 800 20 5 5 10 7 3\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1 2 3\n"


def test_time_of_guests_is_contained_in_the_other_and_not_counted_twice():
    assert HostTicks.parse(STAT) == HostTicks(total=1000, steal=10)


def test_the_stolen_part_is_of_the_time_in_between():
    before = HostTicks(total=1000, steal=10)
    assert HostTicks(total=1200, steal=60).steal_share(before) == 0.25
    assert HostTicks(total=1200, steal=10).steal_share(before) == 0.0


@pytest.mark.parametrize("after", [HostTicks(1000, 10), HostTicks(990, 10), HostTicks(1100, 5)])
def test_a_run_shorter_than_a_tick_and_counters_that_go_back_are_no_steal(after):
    assert after.steal_share(HostTicks(1000, 10)) == 0.0


def test_this_hosts_ticks_go_on():
    before = HostTicks.now()
    assert before.total > 0
    assert HostTicks.now().total >= before.total


def test_the_second_number_is_the_time_that_a_thread_waited():
    assert wait_ns(b"0 179076 1\n") == 179076


@pytest.fixture
def thread():
    """The number of a thread of ours that waits."""
    end, begun, number = threading.Event(), threading.Event(), []

    def wait():
        number.append(threading.get_native_id())
        begun.set()
        end.wait()

    waiting = threading.Thread(target=wait)
    waiting.start()
    begun.wait()
    yield number[0]
    end.set()
    waiting.join()


def test_only_the_threads_that_are_named_run_elsewhere(thread):
    before = os.sched_getaffinity(0)
    found = Threads(os.getpid(), [thread])
    found.run_on({max(before)})
    assert os.sched_getaffinity(thread) == {max(before)}
    assert os.sched_getaffinity(0) == before
    assert found.waited_ns() >= 0
    found.close()


def test_a_thread_of_another_process_is_refused_and_nothing_stays_open(thread):
    held = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        Threads(os.getpid(), [thread, 1])
    assert len(os.listdir("/proc/self/fd")) == held


def test_of_a_thread_that_has_ended_nothing_is_known_and_nothing_is_moved():
    ended = []
    go, ready = threading.Event(), threading.Event()

    def live():
        ended.append(threading.get_native_id())
        ready.set()
        go.wait()

    thread = threading.Thread(target=live)
    thread.start()
    ready.wait()
    found = Threads(os.getpid(), ended)
    go.set()
    thread.join()
    # Python joins a thread a little before the kernel has put it away.
    while os.path.exists(f"/proc/self/task/{ended[0]}"):
        pass
    assert found.waited_ns() is None
    with pytest.raises(OSError, match="No such"):
        found.run_on(os.sched_getaffinity(0))
    found.close()
