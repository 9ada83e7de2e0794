"""dnsmasq's lease file: whole, torn, odd; and waiting for what a lease file says."""

import asyncio
import time
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.errors import BootError
from taskgen.host.dnsmasq_leases import DnsmasqLeases
from taskgen.host.inotify import Inotify
from taskgen.host.leases import Lease, watch_leases

MAC = "0a:06:00:00:00:01"
MAC2 = "0a:06:00:00:00:02"


def parse(text):
    return DnsmasqLeases().read(text).leases


def line(mac=MAC, address="10.200.45.1", expires=1795408401, name="*", client="*"):
    return f"{expires} {mac} {address} {name} {client}\n"


def test_whole_file():
    text = line() + line(MAC2, "10.200.45.2", name="guest", client="01:0a:06:00:00:00:02")
    assert parse(text) == {
        MAC: Lease(MAC, IPv4Address("10.200.45.1"), 1795408401),
        MAC2: Lease(MAC2, IPv4Address("10.200.45.2"), 1795408401),
    }


def test_endless_lease():
    lease = parse(line(expires=0))[MAC]
    assert lease.expires is None
    assert lease.valid(1e12)


def test_expiry_is_strict():
    lease = parse(line(expires=100))[MAC]
    assert lease.valid(99.9)
    assert not lease.valid(100)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        line()[:-1],  # not whole yet
        "1795408401 0a:06:00:00:00:01 10.200.45.1\n",
        "duid 00:01:00:01:2c:4e\n",
        line(address="10.200.45.300"),
        line(address="fe80::1"),
        line(mac="0a:06:00:00:00"),
        line(mac="06-0a:06:00:00:00:01"),
        line(expires="-5"),
        line(expires="1e9"),
        line(expires="\u0661"),
        "rubbish " * 50 + "\n",
        "\0" * 100,
    ],
)
def test_what_is_no_lease(text):
    assert parse(text) == {}
    assert parse(text + line(MAC2)).keys() <= {MAC2}


def test_of_two_lines_the_first_counts():
    assert parse(line(expires=2000) + line(expires=1000))[MAC].expires == 2000


def test_capital_letters_are_the_same_mac():
    assert MAC in parse(line(mac=MAC.upper()))


@given(st.text())
def test_any_text_is_survived(text):
    parse(text)


@given(st.integers(0, 200), st.integers(0, 300))
def test_cut_file_gives_only_whole_lines(expires, cut):
    text = line(expires=expires) + line(MAC2, "10.200.45.2")
    assert parse(text[:cut]).items() <= parse(text).items()


def test_what_is_written_says_the_same():
    leases = {MAC: Lease(MAC, IPv4Address("10.200.45.1"), None)}
    leases |= parse(line(MAC2, "10.200.45.2"))
    assert parse(DnsmasqLeases().write(leases.values())) == leases


def watching(path, test):
    async def main():
        with Inotify() as inotify:
            async with watch_leases(path, inotify, DnsmasqLeases()) as leases:
                await test(leases)

    asyncio.run(main())


def soon():
    return int(time.time()) + 3600


def test_wait_is_woken_by_a_change(tmp_path):
    path = tmp_path / "leases"

    async def test(leases):
        seen = []
        leases.on_change(seen.append)
        waiter = asyncio.create_task(leases.wait(MAC, 5))
        await asyncio.sleep(0)
        path.write_text(line(MAC2, "10.200.45.2", expires=soon()))
        path.write_text(line(expires=soon())[:20])
        path.write_text(line(expires=soon()))
        lease = await waiter
        assert lease.address == IPv4Address("10.200.45.1")
        assert lease in seen
        assert leases.current(MAC) == lease
        assert leases.all()[MAC] == lease

    watching(path, test)


def test_wait_sees_what_is_there(tmp_path):
    path = tmp_path / "leases"
    path.write_text(line(expires=soon()))

    async def test(leases):
        assert (await leases.wait(MAC, 0.01)).mac == MAC

    watching(path, test)


def test_expired_lease_is_none(tmp_path):
    path = tmp_path / "leases"
    path.write_text(line(expires=int(time.time()) - 1))

    async def test(leases):
        assert leases.current(MAC) is None
        assert leases.all() == {}
        with pytest.raises(BootError, match=f"no DHCP lease for {MAC} within 0.05 s"):
            await leases.wait(MAC, 0.05)

    watching(path, test)


def test_forgotten_lease_does_not_count_until_it_is_renewed(tmp_path):
    path = tmp_path / "leases"
    expires = soon()
    path.write_text(line(expires=expires))

    async def test(leases):
        leases.forget(MAC)
        with pytest.raises(BootError):
            await leases.wait(MAC, 0.05)
        assert leases.current(MAC)
        path.write_text(line(expires=expires + 5))
        assert (await leases.wait(MAC, 5)).expires == expires + 5

    watching(path, test)


def test_an_address_that_was_told_counts_as_a_lease_until_it_is_forgotten(tmp_path):
    path = tmp_path / "leases"
    path.write_text(line(expires=soon()))
    mine = Lease(MAC2, IPv4Address("10.200.45.2"), None)

    async def test(leases):
        heard = []
        leases.on_change(heard.append)
        leases.told(mine)
        assert await leases.wait(MAC2, 5) == leases.current(MAC2) == leases.all()[MAC2] == mine
        assert heard == [mine]
        leases.forget(MAC2)
        assert leases.current(MAC2) is None
        assert set(leases.all()) == {MAC}

    watching(path, test)


async def told(queue, expected):
    async with asyncio.timeout(10):
        for each in expected:
            assert await queue.get() == each


@pytest.mark.parametrize("how", ["deleted", "moved away", "replaced"])
def test_a_lost_file_is_noticed_its_leases_kept_and_the_next_one_read(tmp_path, how):
    path = tmp_path / "leases"
    path.write_text(line(expires=soon()))

    async def test(leases):
        known, lost = leases.all(), asyncio.Queue()
        leases.on_lost(lambda: lost.put_nowait("lost"))
        if how == "deleted":
            path.unlink()
        elif how == "moved away":
            path.rename(tmp_path / "away")
        else:
            (tmp_path / "new").write_text("rubbish\n")
            (tmp_path / "new").replace(path)
        await told(lost, ["lost"])
        assert leases.all() == known
        leases.put_back()
        assert path.read_text() == f"{known[MAC].expires} {MAC} 10.200.45.1 * *\n"
        # What the server writes now is read, and the file that we wrote is not taken for lost.
        waiter = asyncio.create_task(leases.wait(MAC2, 10))
        await asyncio.sleep(0)
        with path.open("a") as file:
            file.write(line(MAC2, "10.200.45.2", expires=soon()))
        assert (await waiter).mac == MAC2
        assert lost.empty()

    watching(path, test)


def test_a_file_that_somebody_else_brings_back_is_read(tmp_path):
    path = tmp_path / "leases"

    async def test(leases):
        lost = asyncio.Queue()
        leases.on_lost(lambda: lost.put_nowait("lost"))
        path.unlink()
        await told(lost, ["lost"])
        path.write_text(line(expires=soon()))
        assert (await leases.wait(MAC, 10)).mac == MAC
        await told(lost, ["lost"])  # the server does not write to this one

    watching(path, test)


def test_other_files_of_the_directory_do_not_matter(tmp_path):
    path = tmp_path / "leases"

    async def test(leases):
        lost = []
        leases.on_lost(lambda: lost.append("lost"))
        (tmp_path / "other").write_text("x")
        (tmp_path / "other").unlink()
        path.write_text(line(expires=soon()))
        assert (await leases.wait(MAC, 10)).mac == MAC
        assert lost == []

    watching(path, test)


def test_put_back_leaves_a_good_file_alone_and_drops_rubbish_and_what_is_over(tmp_path):
    path = tmp_path / "leases"
    good = line(expires=soon(), name="guest", client="01:0a:06:00:00:00:01")
    path.write_text(good)

    async def test(leases):
        leases.put_back()
        assert path.read_text() == good
        leases.learn(parse(line(MAC2, "10.200.45.2", expires=int(time.time()) - 1)))
        path.write_text(good + "rubbish\n")
        leases.put_back()
        assert path.read_text() == f"{good.split()[0]} {MAC} 10.200.45.1 * *\n"

    watching(path, test)
