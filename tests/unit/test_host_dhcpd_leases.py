"""The lease file of ISC's dhcpd: whole, growing, replaced, odd."""

import asyncio
import time
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.host.dhcpd_leases import DhcpdLeases
from taskgen.host.inotify import Inotify
from taskgen.host.leases import Lease, Said, watch_leases

MAC = "0a:06:00:00:00:01"
MAC2 = "0a:06:00:00:00:02"
ENDS = 1795432526  # 2026/11/23 11:15:26 UTC

#: As dhcpd 4.4.3 writes it when it starts.
HEAD = """\
# The format of this file is documented in the dhcpd.leases(5) manual page.
# This lease file was written by isc-dhcp-4.4.3-P1

# authoring-byte-order entry is generated, DO NOT DELETE
authoring-byte-order little-endian;

"""


def block(mac=MAC, address="10.200.45.1", ends="1 2026/11/23 11:15:26", state="active"):
    return f"""\
lease {address} {{
  starts 1 2026/11/23 10:15:26;
  ends {ends};
  cltt 1 2026/11/23 10:15:26;
  binding state {state};
  next binding state free;
  rewind binding state free;
  hardware ethernet {mac};
  uid "\\001\\012\\006\\000\\000\\000\\001";
  set vendor-class-identifier = "udhcp 1.35.0";
  client-hostname "guest";
}}
"""


def read(text):
    return DhcpdLeases().read(text)


def test_whole_file():
    assert read(HEAD + block() + block(MAC2, "10.200.45.2")) == Said(
        {
            MAC: Lease(MAC, IPv4Address("10.200.45.1"), ENDS),
            MAC2: Lease(MAC2, IPv4Address("10.200.45.2"), ENDS),
        }
    )


def test_of_two_blocks_for_an_address_the_last_counts():
    said = read(block(ends="1 2026/11/23 10:15:26") + block())
    assert said.leases[MAC].expires == ENDS


@pytest.mark.parametrize("state", ["free", "expired", "released", "abandoned", "backup"])
def test_an_address_that_was_given_back_is_not_leased(state):
    assert read(block() + block(state=state)) == Said({})


def test_an_address_that_was_never_leased_has_no_mac():
    text = "lease 10.200.45.1 {\n  starts epoch 0;\n  binding state free;\n}\n"
    assert read(text) == Said({})


@pytest.mark.parametrize(
    ("ends", "expires"),
    [
        ("never", None),
        ("epoch 1795432526; # Mon Nov 23 12:15:26 2026", ENDS),
        ("4 1970/01/01 00:00:00", 0),
    ],
)
def test_ends(ends, expires):
    assert read(block(ends=ends)).leases[MAC].expires == expires


def test_times_do_not_depend_on_where_we_are(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert read(block()).leases[MAC].expires == ENDS
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.integers(0, len(HEAD + block() + block(MAC2, "10.200.45.2"))))
def test_a_file_that_is_still_being_written_is_no_rubbish(cut):
    text = HEAD + block() + block(MAC2, "10.200.45.2")
    said = read(text[:cut])
    assert said.rubbish == ""
    assert said.leases.items() <= read(text).leases.items()
    assert said.torn or text[:cut] == "" or text[cut - 1] == "\n"


@pytest.mark.parametrize(
    ("rubbish", "words"),
    [
        ("what is this\n", "line 1: 'what is this'"),
        ("}\n", "line 1: '}'"),
        ("lease 10.200.45.300 {\n", "line 1: a lease without an end"),
        (block(address="10.200.45.300"), "no address"),
        (block(mac="0a:06:00:00:00"), "without a MAC"),
        (block(ends="1 2026/13/23 11:15:26"), "2026/13/23"),
        (block(ends="soon"), "line 1"),
        (block().replace("  binding state active;\n", ""), "without a state"),
        (block()[: -len("}\n")], "line 1: a lease without an end"),
        ("\0" * 100 + "\n", "line 1"),
    ],
)
def test_rubbish_is_told_and_the_other_leases_count(rubbish, words):
    said = read(rubbish + block(MAC2, "10.200.45.2"))
    assert words in said.rubbish
    assert said.leases.keys() == {MAC2}


@given(st.text())
def test_any_text_is_survived(text):
    read(text)


@given(st.integers(0, 10**10), st.booleans())
def test_what_is_written_says_the_same(expires, endless):
    lease = Lease(MAC, IPv4Address("10.200.45.1"), None if endless else expires)
    assert read(DhcpdLeases().write([lease])) == Said({MAC: lease})


def test_a_file_that_the_server_replaces_is_followed(tmp_path):
    """As dhcpd does from time to time."""
    path = tmp_path / "dhcpd.leases"
    ends = time.strftime("%w %Y/%m/%d %H:%M:%S", time.gmtime(time.time() + 3600))
    path.write_text(HEAD + block(ends=ends))

    async def main():
        with Inotify() as inotify:
            async with watch_leases(path, inotify, DhcpdLeases()) as leases:
                assert leases.current(MAC)
                await asyncio.to_thread(replace)
                waiter = asyncio.create_task(leases.wait(MAC2, 10))
                await asyncio.sleep(0)
                with path.open("a") as file:
                    file.write(block(MAC2, "10.200.45.2", ends=ends))
                assert (await waiter).mac == MAC2

    def replace():
        new = tmp_path / "dhcpd.leases.1795426766"
        new.write_text(path.read_text())
        (tmp_path / "dhcpd.leases~").hardlink_to(path)
        new.replace(path)

    asyncio.run(main())


def test_rubbish_in_a_watched_file_is_told_and_changes_nothing(tmp_path):
    path = tmp_path / "dhcpd.leases"
    ends = time.strftime("%w %Y/%m/%d %H:%M:%S", time.gmtime(time.time() + 3600))
    path.write_text(block(ends=ends))

    async def main():
        with Inotify() as inotify:
            async with watch_leases(path, inotify, DhcpdLeases()) as leases:
                known, told = leases.all(), asyncio.Queue()
                leases.on_rubbish(told.put_nowait)
                with path.open("a") as file:
                    file.write("what is this\n")
                async with asyncio.timeout(10):
                    assert "what is this" in await told.get()
                assert leases.all() == known
                leases.put_back()
                assert DhcpdLeases().read(path.read_text()) == Said(known)

    asyncio.run(main())
