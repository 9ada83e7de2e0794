"""The fake does what a Taskloader does, and each of its faults is one."""

import asyncio
import itertools

import pytest

from taskgen.errors import ConnectionLostError, RemoteProtocolError, SessionTimeoutError
from taskgen.protocol import Binary, Unknown
from taskgen.session import Limits, Session
from taskgen.simulation import SimulatedTask, read_tasks, timeline
from taskgen.testing import FakeTaskloader, Faults
from taskgen.wire import BadFrame

LIMITS = Limits(connect_s=20, answer_s=20)
HEY = Binary("hey", b"\x7fELF")


def task(number=1, **keys):
    return SimulatedTask(**{"id": number, "pkg": "hey", "period": 10, **keys})


def history(*tasks, **options):
    """(type, task, ms) of all events."""
    options = {"binaries": {"hey"}, **options}
    return [(e.type, e.task_id, e.time_stamp_ms) for e in timeline(tasks, **options)]


def test_the_first_release_comes_one_period_after_the_offset():
    assert history(task(offset=5, executiontime=2, numberofjobs=2)) == [
        ("START", 1, 15),
        ("EXIT", 1, 17),
        ("START", 1, 25),
        ("EXIT", 1, 27),
        ("JOBS_DONE", 1, 27),
    ]


def test_without_a_period_there_is_one_activation():
    assert history(task(offset=5, period=0, executiontime=2, numberofjobs=0)) == [
        ("START", 1, 5),
        ("EXIT", 1, 7),
        ("JOBS_DONE", 1, 7),
    ]


def test_the_critical_time_kills():
    assert history(task(executiontime=9, criticaltime=4))[1] == ("EXIT_CRITICAL", 1, 14)
    assert history(task(executiontime=4, criticaltime=4))[1] == ("EXIT", 1, 14)


def test_the_next_release_kills_and_starts_nothing():
    assert history(task(executiontime=11, numberofjobs=2)) == [
        ("START", 1, 10),
        ("EXIT_PERIOD", 1, 20),
        ("START", 1, 30),
        ("EXIT_PERIOD", 1, 40),
        ("JOBS_DONE", 1, 40),
    ]
    assert history(task(executiontime=10))[1] == ("EXIT", 1, 20)


def test_tasks_interleave_in_time():
    events = history(
        task(1, period=4, executiontime=3, numberofjobs=2), task(2, period=5, executiontime=1)
    )
    assert events == sorted(events, key=lambda event: event[2])
    assert [event[:2] for event in events[:4]] == [
        ("START", 1),
        ("START", 2),
        ("EXIT", 2),
        ("JOBS_DONE", 2),
    ]


def test_a_task_that_never_ends():
    endless = timeline([task(numberofjobs=0)], binaries={"hey"})
    assert [e.type for e in itertools.islice(endless, 1001)][-1] == "START"


def test_a_missing_binary_makes_no_event_at_all():
    assert history(task(), binaries=set()) == []


@pytest.mark.parametrize(("period", "count"), [(10, 3), (0, 1)])
def test_refused_tasks_are_told_and_done(period, count):
    events = history(task(period=period, numberofjobs=3), refused={1})
    assert [event[0] for event in events] == ["NOT_SCHEDULED"] * count + ["JOBS_DONE"]


def test_times_are_told_in_microseconds_with_the_release():
    start, end, done = timeline([task(executiontime=2)], binaries={"hey"})
    assert (start.time_us, start.release_us, start.cpu_us) == (10_000, 10_000, None)
    assert (end.time_us, end.release_us, end.cpu_us) == (12_000, 10_000, 2000)
    assert (done.time_us, done.release_us, done.cpu_us) == (12_000, None, None)


def test_descriptions_are_read():
    xml = (
        b"<taskset><periodictask><id>3</id><pkg>pi</pkg><quota>1M</quota><period>7</period>"
        b"<executiontime/><offset>2</offset><criticaltime>5</criticaltime>"
        b"<numberofjobs>9</numberofjobs></periodictask></taskset>"
    )
    assert read_tasks(xml) == (
        SimulatedTask(id=3, pkg="pi", period=7, offset=2, criticaltime=5, numberofjobs=9),
    )
    for bad in (b"<taskset>", xml.replace(b"7", b"soon")):
        with pytest.raises(RemoteProtocolError, match="SEND_DESCS"):
            read_tasks(bad)


def taskset(*tasks):
    """A description; each task is (id, period, executiontime, numberofjobs)."""
    return b"<taskset>%b</taskset>" % b"".join(
        b"<periodictask><id>%d</id><pkg>hey</pkg><period>%d</period><executiontime>%d"
        b"</executiontime><numberofjobs>%d</numberofjobs></periodictask>" % keys
        for keys in tasks
    )


ONE = taskset((1, 10, 2, 2))
WELL = ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]


def told(count, description=ONE, *, limits=LIMITS, **fake):
    """The first items of a run on a fake."""

    async def main():
        async with (
            FakeTaskloader(**{"time_scale": 0, **fake}) as server,
            await Session.open("fake", server.connect, limits=limits) as session,
        ):
            await session.prepare(description, [HEY])
            session.start()
            items = []
            async for item in session.events(timeout_s=20):
                items.append(item)
                if len(items) == count:
                    return items
        raise AssertionError

    return asyncio.run(main())


def types(items):
    return ["bad frame" if isinstance(item, BadFrame) else item.type for item in items]


def test_a_run_in_its_time():
    events = told(5, time_scale=1)
    assert types(events) == WELL
    base_us = events[0].time_us - 10_000
    assert [event.time_us - base_us for event in events] == [10_000, 12_000, 20_000, 22_000, 22_000]
    assert [event.release_us and event.release_us - base_us for event in events] == [
        10_000,
        10_000,
        20_000,
        20_000,
        None,
    ]


def test_like_genode_it_tells_milliseconds_and_a_start_with_its_exit():
    for scale in (0, 0.1):
        events = told(10, taskset((1, 10, 2, 2), (2, 20, 1, 2)), precise=False, time_scale=scale)
        assert types(events).count("EXIT") == 4
        assert all(e.time_us is e.release_us is e.cpu_us is None for e in events)


def test_a_hung_task_says_nothing_like_genode():
    hung_after_1_ms = taskset((1, 0, 10**9, 1), (2, 0, 0, 1)).replace(
        b"<id>1</id>", b"<id>1</id><offset>1</offset>"
    )

    async def main():
        async with (
            FakeTaskloader(precise=False) as server,
            await Session.open("fake", server.connect, limits=LIMITS) as session,
        ):
            await session.prepare(hung_after_1_ms, [HEY])
            session.start()
            stream = session.events(timeout_s=20)
            assert [(await anext(stream)).task_id for _ in range(3)] == [2, 2, 2]
            with pytest.raises(SessionTimeoutError):
                await anext(session.events(timeout_s=0.02))
            session.stop()
            return [await anext(stream) for _ in range(2)]

    events = asyncio.run(main())
    assert [(event.type, event.task_id) for event in events] == [("START", 1), ("EXIT_EXTERNAL", 1)]


def test_a_duration_of_ones_own():
    events = told(5, execution=lambda task, number: 1000 * number)
    assert [event.cpu_us for event in events if event.type == "EXIT"] == [1000, 2000]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(), WELL),
        (Faults(malformed_frame=True), ["bad frame", *WELL]),
        (Faults(unknown_event=True), ["EXPLODED", *WELL]),
        (Faults(exit_without_start=True), ["EXIT", *WELL]),
        (Faults(early_jobs_done=True), ["JOBS_DONE", *WELL]),
        (Faults(trailing_rubbish=b"\0\xffrubbish <"), WELL),
        (Faults(frame_bytes=2000), WELL),
        (Faults(write_bytes=1), WELL),
        (Faults(refused=frozenset({1})), ["NOT_SCHEDULED", "NOT_SCHEDULED", "JOBS_DONE"]),
    ],
)
def test_what_a_client_makes_of_each_fault(faults, expected):
    assert types(told(len(expected), faults=faults)) == expected


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(never_available=True), SessionTimeoutError),
        (Faults(no_go_send=True), SessionTimeoutError),
        (Faults(overlong_frame=True), RemoteProtocolError),
        (Faults(die_mid_frame=True), RemoteProtocolError),
        (Faults(drop_after_events=0), ConnectionLostError),
        (Faults(drop_after_events=3), ConnectionLostError),
    ],
)
def test_faults_that_end_a_session(faults, error):
    limits = Limits(answer_s=0.1) if error is SessionTimeoutError else LIMITS
    with pytest.raises(error):
        told(5, faults=faults, limits=limits)


def test_hanging_after_the_start():
    async def main():
        async with (
            FakeTaskloader(faults=Faults(hang_after_start=True), time_scale=0) as server,
            await Session.open("fake", server.connect, limits=LIMITS) as session,
        ):
            await session.prepare(ONE, [HEY])
            session.start()
            with pytest.raises(SessionTimeoutError):
                await anext(session.events(timeout_s=0.02))
            await session.available()

    asyncio.run(main())


def test_the_guests_clock_goes_on_from_run_to_run():
    async def main():
        async with (
            FakeTaskloader(time_scale=0) as server,
            await Session.open("fake", server.connect, limits=LIMITS) as session,
        ):
            times = []
            for _ in range(2):
                await session.prepare(ONE, [HEY])
                session.start()
                stream = session.events(timeout_s=20)
                times += [(await anext(stream)).time_us for _ in range(5)]
            return times

    times = asyncio.run(main())
    assert times == sorted(times)
    assert times[4] < times[5]


def test_late_exits_come_after_the_echo():
    async def main():
        async with (
            FakeTaskloader(faults=Faults(late_exits_s=0.03)) as server,
            await Session.open("fake", server.connect, limits=LIMITS) as session,
        ):
            await session.prepare(taskset((1, 0, 10**6, 1)), [HEY])
            session.start()
            stream = session.events(timeout_s=20)
            assert (await anext(stream)).type == "START"
            session.stop()
            await session.available()
            assert session.start() == ()
            session.stop()
            late = [await anext(stream)]
            session.stop()
            await session.close()
            return late

    assert types(asyncio.run(main())) == ["EXIT_EXTERNAL"]


def test_late_exits_for_nobody():
    async def main():
        async with FakeTaskloader(faults=Faults(late_exits_s=0.01)) as server:
            async with await Session.open("fake", server.connect, limits=LIMITS) as session:
                await session.prepare(taskset((1, 0, 10**6, 1)), [HEY])
                session.start()
                await anext(session.events(timeout_s=20))
            async with await Session.open("fake", server.connect, limits=LIMITS) as session:
                with pytest.raises(SessionTimeoutError):
                    await anext(session.events(timeout_s=0.03))

    asyncio.run(main())


def test_binaries_survive_clear_and_not_a_reboot_and_are_not_replaced():
    async def main():
        async with FakeTaskloader() as server:
            async with await Session.open("fake", server.connect, limits=LIMITS) as session:
                await session.send_binaries([HEY, Binary("hey", b"changed")])
                await session.prepare(ONE)
                kept = dict(server.binaries)
                session.reboot()
                with pytest.raises(ConnectionLostError):
                    await anext(session.events(timeout_s=20))
            return kept, server.binaries, server.boots, server.tasks

    assert asyncio.run(main()) == ({"hey": HEY.content}, {}, 2, ())


def test_it_reads_optimize_as_commands_unless_it_knows_it():
    async def main():
        async with (
            FakeTaskloader() as server,
            await Session.open("fake", server.connect, limits=LIMITS) as session,
        ):
            session.optimize(b"<o/>")
            await session.available()
            return [m for m in server.received if isinstance(m, Unknown)]

    assert len(asyncio.run(main())) == 3


def test_it_ends_the_connection_of_a_client_that_makes_no_sense():
    async def main():
        async with (
            FakeTaskloader() as server,
            await Session.open("fake", server.connect, limits=LIMITS) as session,
        ):
            session.send_descriptions(b"<taskset>")
            with pytest.raises(ConnectionLostError):
                await session.available()

    asyncio.run(main())


def test_a_client_that_leaves_during_a_slow_upload():
    async def main():
        async with FakeTaskloader(faults=Faults(upload_bytes_per_s=200)) as server:
            session = await Session.open("fake", server.connect, limits=LIMITS)
            upload = asyncio.create_task(session.send_binaries([HEY, HEY]))
            while HEY not in server.received:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0)
            upload.cancel()
            async with await Session.open("fake", server.connect, limits=LIMITS) as session:
                await session.available()
            await asyncio.sleep(0.03)  # until the upload would have been taken
        server.drop_client()  # nobody is there

    asyncio.run(main())


def test_a_client_that_leaves_while_it_is_being_told():
    async def main():
        async with FakeTaskloader(faults=Faults(write_bytes=1), time_scale=0) as server:
            async with await Session.open("fake", server.connect, limits=LIMITS) as session:
                await session.prepare(taskset((1, 1, 0, 100)), [HEY])
                session.start()
                await session.live()
            async with await Session.open("fake", server.connect, limits=LIMITS) as session:
                await session.available()

    asyncio.run(main())


def test_waiting_clients_get_their_turn():
    async def main():
        async with FakeTaskloader() as server:
            first = await Session.open("a", server.connect, limits=LIMITS)
            second = asyncio.create_task(Session.open("b", server.connect, limits=LIMITS))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(second), 0.02)
            await first.close()
            await (await second).close()
            return server.served

    assert asyncio.run(main()) == 2


def test_leaving_the_fake_ends_its_clients():
    async def main():
        async with FakeTaskloader() as server:
            session = await Session.open("fake", server.connect, limits=LIMITS)
        with pytest.raises(ConnectionLostError):
            await anext(session.events(timeout_s=20))

    asyncio.run(main())


def test_hundreds_in_one_process():
    async def one():
        async with (
            FakeTaskloader(time_scale=0) as server,
            await Session.open("fake", server.connect, limits=LIMITS) as session,
        ):
            await session.prepare(ONE, [HEY])
            session.start()
            stream = session.events(timeout_s=20)
            return [(await anext(stream)).type for _ in range(5)]

    async def main():
        return await asyncio.gather(*(one() for _ in range(256)))

    assert asyncio.run(main()) == [WELL] * 256
