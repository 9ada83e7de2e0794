"""The control port's words, with a guest that says what it likes."""

import asyncio
import time
from contextlib import suppress
from ipaddress import IPv4Address

import pytest

from taskgen import assets
from taskgen.errors import MachineError
from taskgen.host.control_port import control_port, identity
from taskgen.slots import load_network

LIMIT_S = 30


@pytest.fixture
def network():
    return load_network(assets.root() / "network" / "network.toml")


def with_guest(tmp_path, says, use):
    """What ``use`` makes of a port whose guest answers each line by what ``says`` returns.

    :param says: called with the line of the host; with nothing at first. ``None``: it hangs up.
    """
    heard = []
    over = asyncio.Event()

    async def guest(reader, writer):
        line = b""
        with suppress(ConnectionError):
            while (answer := says(line.decode())) is not None:
                writer.write(answer)
                if not (line := await reader.readline()):
                    break
                heard.append(line.decode())
        writer.close()
        over.set()

    async def main():
        path = tmp_path / "control.sock"
        async with await asyncio.start_unix_server(guest, path):
            try:
                async with control_port("taskgen-3", path) as port:
                    return await use(port)
            finally:
                await over.wait()

    return asyncio.run(main()), heard


def test_a_guest_is_told_who_it_is(tmp_path, network):
    async def use(port):
        await port.wait_ready(LIMIT_S)
        return await port.tell(network.slot(3), network, LIMIT_S)

    def says(line):
        return b"done clock_ns=%d\n" % time.time_ns() if line else b"ready\n"

    before_ns = time.time_ns()
    wrong_s, (line, *_) = with_guest(tmp_path, says, use)
    assert 0 <= wrong_s <= (time.time_ns() - before_ns) / 1e9
    command, *words = line.split()
    told = dict(word.split("=") for word in words)
    assert command == "identity"
    assert before_ns <= int(told.pop("clock_ns")) <= time.time_ns()
    assert len(bytes.fromhex(told.pop("seed"))) == 32
    assert told == {
        "mac": "0a:06:00:00:00:03",
        "address": "10.200.45.3",
        "mask": "255.255.255.0",
        "router": str(network.bridge_address),
    }


def test_no_two_guests_get_the_same_seed(tmp_path, network):
    async def use(port):
        for number in (1, 2):
            await port.tell(network.slot(number), network, LIMIT_S)

    _, lines = with_guest(tmp_path, lambda line: b"done clock_ns=1\n" if line else b"", use)
    first, second = (line.split("seed=")[1][:64] for line in lines[:2])
    assert first != second


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"failed mac\n", "says 'failed mac'"),
        (b"done\n", "says 'done'"),
        (b"done clock_ns=-1\n", "says 'done clock_ns=-1'"),
        (b"x" * 1000, "its control port"),
        (b"\xff\n", "says"),
        (None, "has closed"),
    ],
)
def test_what_else_it_says_is_an_error_with_its_words(tmp_path, network, answer, message):
    async def use(port):
        await port.tell(network.slot(3), network, LIMIT_S)

    with pytest.raises(MachineError, match=message) as error:
        with_guest(tmp_path, lambda line: answer if line else b"", use)
    assert "taskgen-3" in str(error.value)


def test_silence_has_a_limit(tmp_path):
    with pytest.raises(MachineError, match=r"silent for 0\.05 s"):
        with_guest(tmp_path, lambda line: b"", lambda port: port.wait_ready(0.05))


def test_without_a_port_there_is_an_error(tmp_path):
    async def main():
        async with control_port("taskgen-3", tmp_path / "nothing"):
            pass

    with pytest.raises(MachineError, match="no connection to its control port"):
        asyncio.run(main())


def test_an_identity_fits_into_the_guests_line(network):
    longest = identity(network.slot(network.slots), network, 2**63, bytes(32))
    assert len(longest) < 512  # LINE_SIZE of qemu/guest/init/identity.c
    assert longest.endswith(b"\n")
    assert IPv4Address(longest.split(b"address=")[1].split()[0].decode()) in network.subnet
