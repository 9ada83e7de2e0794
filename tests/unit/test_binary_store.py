"""Uploaded binaries are there whole or not at all, are what their names say, and go when unused."""

import hashlib
import os
import threading

import pytest
from test_binaries import elf

from taskgen.binaries import Binaries
from taskgen.binary_store import BinaryStore
from taskgen.errors import BinaryError, HostError, UploadMissingError

HEY = elf() + b"hey"
SHA = hashlib.sha256(HEY).hexdigest()
ARM = elf(machine=40, bits=1)


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    return BinaryStore(tmp_path / "binaries", grace_s=60, max_bytes=1000, clock=clock)


def sha(content):
    return hashlib.sha256(content).hexdigest()


def names(store):
    return sorted(path.name for path in store.directory.iterdir())


def test_what_was_put_can_be_had(store):
    assert store.put(SHA, HEY, "x86_64")
    assert store.get(SHA) == HEY
    assert store.path(SHA).read_bytes() == HEY
    assert store.has(SHA)
    (entry,) = store.entries()
    assert (entry.sha256, entry.size, entry.architecture) == (SHA, len(HEY), "x86_64")


def test_nobody_else_can_look_into_it(store):
    store.put(SHA, HEY)
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert store.path(SHA).stat().st_mode & 0o777 == 0o600


def test_it_can_be_repeated(store):
    assert store.put(SHA, HEY)
    inode = store.path(SHA).stat().st_ino
    assert not store.put(SHA, HEY)
    assert store.path(SHA).stat().st_ino == inode
    assert names(store) == [SHA]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ab" * 32, HEY, f"the SHA-256 of its content is {SHA}"),
        (SHA.upper(), HEY, "the SHA-256 of its content"),
        ("../" + SHA, HEY, "the SHA-256 of its content"),
        (sha(b"text"), b"text", "not an ELF file"),
        (sha(b""), b"", "not an ELF file"),
        (sha(ARM), ARM, "is for arm, the target is x86_64"),
        (sha(elf() + b"x" * 1000), elf() + b"x" * 1000, "has 1064 bytes, 1000 are allowed"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(store, name, content, message):
    with pytest.raises(BinaryError, match=message):
        store.put(name, content, "x86_64")
    assert names(store) == []


def test_it_may_be_for_one_of_several_architectures(store):
    assert store.put(sha(ARM), ARM, "x86_64", "arm")
    assert store.put(SHA, HEY)
    with pytest.raises(BinaryError, match="is for x86_64, the target is arm or aarch64"):
        store.put(SHA, HEY, "arm", "aarch64")


@pytest.mark.parametrize("name", ["ab" * 32, "", ".", "..", "../secret", "/etc/passwd", SHA + "\n"])
def test_nothing_else_can_be_had(store, name):
    (store.directory.parent / "secret").write_bytes(HEY)
    for ask in (store.get, store.path, lambda one: store.keep(one, "x86_64")):
        with pytest.raises(UploadMissingError):
            ask(name)
    assert not store.has(name)


def test_a_disk_that_is_full_leaves_nothing(store, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("taskgen.whole_file.os.fsync", full)
    with pytest.raises(HostError, match=f"{SHA}: cannot be kept: No space left"):
        store.put(SHA, HEY)
    assert names(store) == []
    monkeypatch.undo()
    assert store.put(SHA, HEY)


def test_a_crash_leaves_the_whole_or_nothing(store, monkeypatch):
    """What is written stands under another name until it is whole, and is swept later."""
    pid = os.fork()
    if pid == 0:
        try:
            monkeypatch.setattr("taskgen.whole_file.os.replace", lambda *names: os._exit(0))
            store.put(SHA, HEY)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    (left,) = names(store)
    assert left.startswith(".new-")
    assert not store.has(SHA)
    assert store.entries() == []


def test_what_no_job_names_goes_after_a_while(store, clock):
    other = elf() + b"other"
    store.put(SHA, HEY)
    store.put(sha(other), other)
    (store.directory / ".new-left").write_bytes(b"half")
    os.utime(store.directory / ".new-left", (clock.now, clock.now))
    (store.directory / "README").write_text("somebody's")
    assert store.sweep(set()) == []
    clock.now += 61
    assert store.sweep({SHA}) == [sha(other)]
    assert names(store) == sorted(["README", SHA])
    with pytest.raises(UploadMissingError, match="upload it again"):
        store.get(sha(other))
    assert store.sweep(set()) == [SHA]


@pytest.mark.parametrize("use", ["put", "has", "keep"])
def test_what_was_asked_for_stays_for_a_while(store, clock, use):
    store.put(SHA, HEY)
    clock.now += 50
    {
        "put": lambda: store.put(SHA, HEY),
        "has": lambda: store.has(SHA),
        "keep": lambda: store.keep(SHA, "x86_64"),
    }[use]()
    clock.now += 50
    assert store.sweep(set()) == []
    assert store.has(SHA)


def test_what_was_damaged_is_missed_and_can_be_put_again(store):
    store.put(SHA, HEY)
    store.path(SHA).write_bytes(HEY[:-1] + b"!")
    with pytest.raises(UploadMissingError, match="is damaged"):
        store.get(SHA)
    assert store.put(SHA, HEY)
    assert store.get(SHA) == HEY


def test_one_is_read_once_as_long_as_there_is_room(store, monkeypatch):
    monkeypatch.setattr("taskgen.binary_store.CACHE_BYTES", 150)
    contents = [elf() + bytes([number]) * 10 for number in range(3)]
    for content in contents:
        store.put(sha(content), content)
    reads = []
    original = store._read
    monkeypatch.setattr(store, "_read", lambda one: reads.append(one) or original(one))
    first, second, third = map(sha, contents)
    for one in (first, first, second, first, third, first, second):
        assert sha(store.get(one)) == one
    assert reads == [first, second, third, second]


def test_it_may_be_used_from_several_threads(store, clock):
    """Swept all the time; what was put is there when put() has returned, and can be asked for."""
    contents = [elf() + bytes([number]) for number in range(4)]
    stop, failures = threading.Event(), []

    def use(content):
        for _ in range(100):
            store.put(sha(content), content)
            if store.get(sha(content)) != content:
                failures.append(content)

    def sweep():
        while not stop.is_set():
            store.sweep(set())

    sweeper = threading.Thread(target=sweep)
    users = [threading.Thread(target=use, args=(content,)) for content in contents * 2]
    for thread in (sweeper, *users):
        thread.start()
    for thread in users:
        thread.join(60)
    stop.set()
    sweeper.join(60)
    assert not failures
    assert names(store) == sorted(map(sha, contents))


def test_a_place_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(HostError, match="nowhere/binaries: no place for task binaries"):
        BinaryStore(tmp_path / "nowhere" / "binaries")


# Where runs look for theirs.


def test_the_jobs_own_go_before_those_of_the_profile(store, tmp_path):
    (tmp_path / "hey").write_bytes(elf() + b"the profile's")
    (tmp_path / "pi").write_bytes(elf() + b"pi")
    store.put(SHA, HEY)
    binaries = Binaries([tmp_path], "x86_64", store)
    tasks = [{"pkg": "hey"}, {"pkg": "pi"}, {"pkg": "hey"}]
    hey, pi = binaries.of(tasks, {"hey": SHA})
    assert (hey.name, hey.content, hey.sha256) == ("hey", HEY, SHA)
    assert pi.content == elf() + b"pi"
    assert binaries.of(tasks)[0].content == elf() + b"the profile's"
    (only,) = binaries.of([{"pkg": "mine"}], {"mine": SHA})
    assert only.content == HEY


def test_one_that_is_gone_is_not_replaced_by_another_of_its_name(store, tmp_path):
    (tmp_path / "hey").write_bytes(elf())
    with pytest.raises(UploadMissingError, match=f"{SHA}: was not uploaded, or is not kept"):
        Binaries([tmp_path], "x86_64", store).of([{"pkg": "hey"}], {"hey": SHA})
    with pytest.raises(UploadMissingError, match="only a daemon takes uploads"):
        Binaries([tmp_path], "x86_64").of([{"pkg": "hey"}], {"hey": SHA})


def test_one_for_another_architecture_is_refused(store):
    store.put(sha(ARM), ARM)
    binaries = Binaries([], "x86_64", store)
    for ask in (binaries.of, lambda tasks, own: binaries.check(["hey"], own)):
        with pytest.raises(BinaryError, match="is for arm, the target is x86_64"):
            ask([{"pkg": "hey"}], {"hey": sha(ARM)})


def test_a_check_notices_what_is_only_in_memory_any_more(store):
    store.put(SHA, HEY)
    binaries = Binaries([], "x86_64", store)
    binaries.of([{"pkg": "hey"}], {"hey": SHA})
    store.path(SHA).unlink()
    with pytest.raises(UploadMissingError):
        binaries.check(["hey"], {"hey": SHA})
