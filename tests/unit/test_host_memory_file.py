"""Guests' memory in sealed files, and templates on disk."""

import mmap
import os

import pytest

from taskgen.host import template_file
from taskgen.host.memory_file import MemoryFile

PAGE = mmap.PAGESIZE
SIZE = 64 * PAGE


@pytest.fixture
def memory():
    file = MemoryFile("memory", SIZE)
    yield file
    file.close()


@pytest.fixture
def state():
    file = MemoryFile("state", 0)
    yield file
    file.close()


@pytest.fixture
def disk(tmp_path):
    fd = os.open(tmp_path / "template", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def test_a_sealed_one_can_be_changed_by_nobody(memory):
    memory.write(0, b"kept")
    memory.seal()
    with pytest.raises(PermissionError):
        memory.write(0, b"lost")
    with memory.opened() as fd:
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        with pytest.raises(PermissionError):
            mmap.mmap(fd, SIZE)
        with mmap.mmap(fd, SIZE, flags=mmap.MAP_PRIVATE) as own:
            own[:4] = b"mine"
    assert memory.read()[:4] == b"kept"


def test_one_that_is_mapped_for_writing_is_not_sealed(memory):
    with mmap.mmap(memory.fd, SIZE), pytest.raises(OSError, match="busy"):
        memory.seal()


def test_its_holes_are_no_parts(memory):
    memory.write(10 * PAGE, b"a" * PAGE)
    memory.write(20 * PAGE, b"b" * PAGE)
    assert list(memory.parts()) == [(10 * PAGE, b"a" * PAGE), (20 * PAGE, b"b" * PAGE)]


def test_an_empty_one_has_no_parts(memory):
    assert list(memory.parts()) == []


def test_what_was_written_to_disk_is_read_again(memory, state, disk):
    memory.write(3 * PAGE, b"a" * PAGE)
    memory.write(SIZE - PAGE, b"b" * PAGE)
    state.write(0, b"devices")
    template_file.write(disk, memory, state)
    again, devices = MemoryFile("memory", SIZE), MemoryFile("state", 0)
    template_file.read(disk, again, devices)
    assert again.read() == memory.read()
    assert devices.read() == b"devices"
    again.close()
    devices.close()


def test_the_disk_has_no_zeros(memory, state, disk):
    memory.write(3 * PAGE, b"a" * PAGE)
    template_file.write(disk, memory, state)
    assert os.fstat(disk).st_size < 2 * PAGE


@pytest.mark.parametrize("cut", [0, 10, PAGE, -1])
def test_one_cut_short_is_refused(memory, state, disk, cut):
    memory.write(0, b"a" * PAGE)
    state.write(0, b"devices")
    template_file.write(disk, memory, state)
    os.ftruncate(disk, cut if cut >= 0 else os.fstat(disk).st_size + cut)
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it is that is missing
        template_file.read(disk, MemoryFile("memory", SIZE), MemoryFile("state", 0))


def test_one_for_another_memory_is_refused(memory, state, disk):
    template_file.write(disk, memory, state)
    other = MemoryFile("memory", 2 * SIZE)
    with pytest.raises(ValueError, match="not"):
        template_file.read(disk, other, state)
    other.close()
