"""A board carries out runs, is never given a stale binary, and says how it was lost."""

import asyncio
import hashlib
from dataclasses import replace
from ipaddress import IPv4Address
from types import SimpleNamespace

import pytest
from test_binaries import elf
from values import run

from taskgen.binaries import Binaries
from taskgen.binary_store import BinaryStore
from taskgen.board import Board, BoardKind
from taskgen.discovery import Refusal
from taskgen.interfaces import FailureClass, SessionSettings
from taskgen.protocol import Binary as Upload
from taskgen.protocol import Clear, Optimize, Reboot, Start
from taskgen.run_settings import Reset
from taskgen.scan import HostState
from taskgen.settings import HostSettings
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader, Faults

LOOPBACK = IPv4Address("127.0.0.1")
SETTINGS = {"connect_s": 30.0, "answer_s": 30.0, "reboot_s": 30.0}
PROFILE = SimpleNamespace(name="linux-x86_64")


@pytest.fixture
def binaries(tmp_path):
    for name in ("hey", "pi"):
        (tmp_path / name).write_bytes(elf() + name.encode())
    return Binaries([tmp_path], "x86_64")


def kind(binaries, server, *, reset=Reset.CLEAR, **settings):
    return BoardKind(
        profile=PROFILE,
        binaries=binaries,
        settings=HostSettings(**{**SETTINGS, "port": server.port, **settings}),
        reset=reset,
    )


def one_run(pkg="hey", **settings):
    variant = TaskSet([Task({"pkg": pkg, "period": 10, "numberofjobs": 2})]).variants()[0]
    return replace(run(variant=variant), settings=SessionSettings(**settings))


def with_board(binaries, work, *, server=None, **options):
    """What ``work`` returns, which is given a board and its server."""

    async def main():
        async with server or FakeTaskloader(time_scale=0.01) as fake:
            board = await Board.find("board-7", LOOPBACK, kind(binaries, fake, **options))
            assert isinstance(board, Board), board
            try:
                return await work(board, fake)
            finally:
                await board.close()

    return asyncio.run(main())


async def execute(board, *runs):
    return [await board.execute(each, lambda event: None) for each in runs]


def uploads(fake):
    return [message.name for message in fake.received if isinstance(message, Upload)]


def test_a_run_has_a_result_with_what_it_was_measured_on(binaries):
    async def work(board, fake):
        (outcome,) = await execute(board, one_run())
        assert (outcome.failure, outcome.reason, outcome.target) == (None, "", "board-7")
        assert len(outcome.activations) == 2
        assert outcome.provenance["profile"] == "linux-x86_64"
        assert outcome.provenance["host"] == "board-7"
        assert outcome.provenance["binaries"] == {"hey": binaries.get("hey").sha256}
        assert outcome.provenance["binaries_trusted"] is False
        assert board.usable
        assert (board.results, board.lost) == (1, "")

    with_board(binaries, work)


def test_binaries_are_sent_once_for_each_boot(binaries):
    async def work(board, fake):
        outcomes = await execute(board, one_run(), one_run(), one_run("pi"), one_run())
        assert [o.failure for o in outcomes] == [None] * 4
        assert [o.provenance["runs_since_boot"] for o in outcomes] == [0, 1, 2, 3]
        assert uploads(fake) == ["hey", "pi"]
        assert fake.boots == 2  # before the first one: nobody knows what it has had

    with_board(binaries, work)


def test_what_another_client_has_left_is_never_run(binaries):
    fake = FakeTaskloader(time_scale=0.01)
    fake.binaries["hey"] = b"somebody else's"

    async def work(board, fake):
        await execute(board, one_run())
        assert fake.binaries == {"hey": binaries.get("hey").content}

    with_board(binaries, work, server=fake)


def test_a_board_that_is_trusted_is_not_restarted_and_the_result_says_so(binaries, caplog):
    async def work(board, fake):
        (outcome,) = await execute(board, one_run())
        assert fake.boots == 1
        assert outcome.provenance["binaries_trusted"] is True
        assert outcome.provenance["runs_since_boot"] is None

    with_board(binaries, work, first_contact="trust")
    assert "board-7: trusted to have no other version of hey" in caplog.text


@pytest.mark.parametrize("first_contact", ["reboot", "trust"])
def test_a_binary_that_changed_reboots_the_board_first(binaries, tmp_path, first_contact):
    async def work(board, fake):
        await execute(board, one_run(), one_run("pi"))
        boots = fake.boots
        (tmp_path / "hey").write_bytes(elf() + b"another version")
        _, changed = await execute(board, one_run("pi"), one_run())
        assert fake.boots == boots + 1
        assert fake.binaries == {"hey": elf() + b"another version"}
        assert changed.failure is None
        assert changed.provenance["binaries"] == {"hey": binaries.get("hey").sha256}
        assert changed.provenance["binaries_trusted"] is False
        await execute(board, one_run())
        assert fake.boots == boots + 1

    with_board(binaries, work, first_contact=first_contact)


def test_a_touched_file_with_the_same_content_is_the_same_binary(binaries, tmp_path):
    async def work(board, fake):
        await execute(board, one_run())
        (tmp_path / "hey").write_bytes(elf() + b"hey")
        await execute(board, one_run())
        assert uploads(fake) == ["hey"]

    with_board(binaries, work)


def test_with_the_policy_reboot_each_run_has_a_fresh_guest(binaries):
    async def work(board, fake):
        outcomes = await execute(board, one_run(), one_run(), one_run())
        assert [o.provenance["runs_since_boot"] for o in outcomes] == [0, 0, 0]
        assert fake.boots == 4
        assert uploads(fake) == ["hey"] * 3

    with_board(binaries, work, reset=Reset.REBOOT)


def test_with_the_policy_clear_each_run_begins_with_clear(binaries):
    async def work(board, fake):
        await execute(board, one_run(), one_run())
        kinds = [type(message) for message in fake.received]
        assert kinds.count(Reboot) == 1
        assert kinds.count(Clear) == 3  # one of them before the reboot

    with_board(binaries, work)


@pytest.mark.parametrize("optimize", [True, False])
def test_admission_control_data_go_only_to_hosts_that_may_have_them(binaries, optimize):
    async def work(board, fake):
        (outcome,) = await execute(board, one_run(admission_control={"a": 1}))
        sent = [message for message in fake.received if isinstance(message, Optimize)]
        assert sent == ([Optimize(b"<a>1</a>")] if optimize else [])
        assert outcome.failure is None
        assert outcome.provenance["admission_control"] is optimize

    # A fake that does not know OPTIMIZE would take the data for commands, and hang up.
    fake = FakeTaskloader(time_scale=0.01, optimize=optimize)
    with_board(binaries, work, server=fake, optimize=optimize)


def test_a_missing_binary_is_the_task_sets_own_failure(binaries):
    async def work(board, fake):
        (outcome,) = await execute(board, one_run("absent"))
        assert outcome.failure is FailureClass.TASK
        assert "no task binary 'absent'" in outcome.reason
        assert board.usable

    with_board(binaries, work)


@pytest.mark.parametrize("faults", [Faults(drop_after_events=1), Faults(die_mid_frame=True)])
def test_a_lost_connection_is_an_outcome_and_the_end_of_the_board(binaries, faults):
    async def work(board, fake):
        fake.faults = faults
        (outcome,) = await execute(board, one_run())
        assert outcome.failure is FailureClass.GUEST
        assert not board.usable
        assert board.lost == outcome.reason
        assert "board-7" in board.lost
        assert board.results == 0

    with_board(binaries, work)


def test_a_connection_that_ends_while_there_is_nothing_to_do_is_noticed(binaries):
    async def work(board, fake):
        fake.drop_client()
        await board._manager.session.dropped(30)
        assert not board.usable
        assert board.lost == "the connection was lost while it had nothing to do"

    with_board(binaries, work)


class Stubborn(FakeTaskloader):
    """Takes REBOOT, and goes on as if nothing had been said."""

    def _reboot(self):
        self.ignored = True
        self._clients[0].abort = lambda: None


def test_a_board_that_does_not_reboot_is_no_use_and_nothing_stale_is_run(binaries):
    async def work(board, fake):
        (outcome,) = await execute(board, one_run())
        assert fake.ignored
        assert outcome.failure is FailureClass.INFRASTRUCTURE
        assert "has not restarted within 0.3 s: the connection stands" in outcome.reason
        assert 'hosts.first_contact = "trust"' in outcome.reason
        assert outcome.started_at == 0
        assert not board.usable
        assert uploads(fake) == []
        fake.drop_client()

    with_board(binaries, work, server=Stubborn(), reboot_s=0.3)


def test_a_job_runs_its_own_binary_and_no_other_of_that_name(binaries, tmp_path):
    own = elf() + b"uploaded"
    digest = hashlib.sha256(own).hexdigest()
    store = BinaryStore(tmp_path / "store")
    store.put(digest, own)
    with_store = Binaries(binaries.directories, "x86_64", store)

    async def work(board, fake):
        uploaded = replace(one_run(), binaries={"hey": digest})
        first, second, third = await execute(board, uploaded, uploaded, one_run())
        assert first.provenance["binaries"] == second.provenance["binaries"] == {"hey": digest}
        assert second.provenance["runs_since_boot"] == 1
        assert third.provenance["binaries"] == {"hey": binaries.get("hey").sha256}
        assert third.provenance["runs_since_boot"] == 0  # it keeps what it has until it restarts
        assert fake.binaries == {"hey": binaries.get("hey").content}

    with_board(with_store, work)


def test_an_upload_that_is_gone_is_not_the_task_sets_fault(binaries, tmp_path):
    with_store = Binaries(binaries.directories, "x86_64", BinaryStore(tmp_path / "store"))

    async def work(board, fake):
        gone, fine = await execute(
            board, replace(one_run(), binaries={"hey": "ab" * 32}), one_run()
        )
        assert gone.failure is FailureClass.INFRASTRUCTURE
        assert f"task binary {'ab' * 32}: was not uploaded, or is not kept" in gone.reason
        assert "upload it again" in gone.reason
        assert (fine.failure, board.usable) == (None, True)

    with_board(with_store, work)


class Gone(FakeTaskloader):
    """Does not come back from a reboot."""

    def _reboot(self):
        super()._reboot()
        self._server.close()


def test_a_board_that_does_not_come_back_is_the_infrastructures_failure(binaries):
    async def work(board, fake):
        (outcome,) = await execute(board, one_run())
        assert outcome.failure is FailureClass.INFRASTRUCTURE
        assert "not back within 0.5 s of its restart" in outcome.reason
        assert "Connection refused" in outcome.reason

    with_board(binaries, work, server=Gone(), reboot_s=0.5)


def find(**options):
    async def main():
        async with FakeTaskloader(**options) as fake:
            limits = {"answer_s": 0.3, "connect_s": 30.0}
            settings = HostSettings(**limits, port=fake.port)
            board_kind = BoardKind(profile=PROFILE, binaries=None, settings=settings)
            return await Board.find("board-7", LOOPBACK, board_kind)

    return asyncio.run(main())


def test_a_host_without_an_echo_is_busy():
    found = find(faults=Faults(never_available=True))
    assert found.state is HostState.BUSY
    assert "no answer to AVAILABLE within 0.3 s: another client has it" in found.reason


def test_a_second_client_is_told_that_the_host_is_busy(binaries):
    async def work(board, fake):
        second = await Board.find("board-7", LOOPBACK, kind(binaries, fake, answer_s=0.3))
        assert second.state is HostState.BUSY
        assert board.usable

    with_board(binaries, work)


def test_a_closed_port_is_refused():
    async def found():
        async with FakeTaskloader() as fake:
            port = fake.port
        settings = HostSettings(**{**SETTINGS, "port": port})
        board_kind = BoardKind(profile=PROFILE, binaries=None, settings=settings)
        return await Board.find("b", LOOPBACK, board_kind)

    refusal = asyncio.run(found())
    assert refusal.state is HostState.REFUSED
    assert "Connection refused" in refusal.reason


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OSError(113, "No route to host"), HostState.SILENT),
        (OSError(101, "Network is unreachable"), HostState.SILENT),
        (OSError(110, "Connection timed out"), HostState.SILENT),
        (TimeoutError(), HostState.SILENT),
        (OSError(104, "Connection reset by peer"), HostState.REFUSED),
        (OSError(24, "Too many open files"), None),
    ],
)
def test_what_connecting_says_is_told_apart(error, state):
    async def dial(address, port):
        raise error

    async def main():
        board_kind = BoardKind(profile=PROFILE, binaries=None, dial=dial)
        return await Board.find("b", LOOPBACK, board_kind)

    assert asyncio.run(main()).state is state


@pytest.mark.parametrize(
    ("says", "state"),
    [(b"SSH-2.0-OpenSSH_9.2\r\n", HostState.ODD), (b"", HostState.LOST)],
)
def test_another_kind_of_server_is_told_from_a_taskloader(says, state):
    async def main():
        async def greet(reader, writer):
            await reader.readexactly(4)
            writer.write(says)
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            settings = HostSettings(**{**SETTINGS, "port": port})
            board_kind = BoardKind(profile=PROFILE, binaries=None, settings=settings)
            return await Board.find("b", LOOPBACK, board_kind)

    found = asyncio.run(main())
    assert isinstance(found, Refusal)
    assert found.state is state


def test_a_board_that_somebody_else_gets_while_it_restarts_is_left_to_him(binaries):
    async def work(board, fake):
        # Connected and waiting for its turn, which comes when the reboot drops the first client.
        _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        (outcome,) = await execute(board, one_run())
        assert outcome.failure is FailureClass.INFRASTRUCTURE
        assert "somebody else got it while it restarted" in outcome.reason
        assert not board.usable
        assert uploads(fake) == []
        writer.close()
        await writer.wait_closed()

    with_board(binaries, work, answer_s=0.3)


def test_with_the_policy_reboot_a_board_that_is_trusted_begins_with_a_reboot_too(binaries):
    async def work(board, fake):
        (outcome,) = await execute(board, one_run())
        assert outcome.provenance["runs_since_boot"] == 0
        assert fake.boots == 2

    with_board(binaries, work, reset=Reset.REBOOT, first_contact="trust")


def test_what_a_run_that_was_stopped_had_uploaded_is_known(binaries, tmp_path):
    async def work(board, fake):
        variant = TaskSet([Task({"pkg": "hey", "period": 60_000, "numberofjobs": 2})]).variants()[0]
        fake.time_scale = 1.0
        endless = asyncio.create_task(
            board.execute(replace(run(variant=variant)), lambda event: None)
        )
        async with asyncio.timeout(30):
            while not any(  # noqa: ASYNC110 - the fake tells nobody
                isinstance(message, Start) for message in fake.received
            ):
                await asyncio.sleep(0.005)
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        assert board.usable
        fake.time_scale = 0.01
        (same,) = await execute(board, one_run())
        assert same.provenance["runs_since_boot"] == 1
        assert uploads(fake) == ["hey"]
        (tmp_path / "hey").write_bytes(elf() + b"another version")
        (changed,) = await execute(board, one_run())
        assert changed.provenance["runs_since_boot"] == 0

    with_board(binaries, work)
