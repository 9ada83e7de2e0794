"""A file is there whole or not at all, whatever happens while it is written."""

import os
import stat

import pytest

from taskgen.whole_file import unused_name, whole_file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "it.json"


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def write(path, content, **options):
    with whole_file(path, **options) as file:
        file.write(content)


def write_half(path, error):
    with whole_file(path) as file:
        file.write(b"half")
        raise error


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_old_content_is_there_until_the_new_one_is_whole(path):
    write(path, b"old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_content_and_nothing_else(path, error):
    write(path, b"old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_that_cannot_keep_it_leaves_the_old_content(path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    write(path, b"old")
    monkeypatch.setattr("taskgen.whole_file.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    write(path, b"new", durable=False)  # nobody waits for the disk
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_content_and_name_are_on_the_disk_in_this_order(path, monkeypatch):
    synced, fsync = [], os.fsync

    def watched(descriptor):
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr("taskgen.whole_file.os.fsync", watched)
    write(path, b"new")
    assert synced == [(f"{path}.new", False), (str(path.parent), True)]


def test_a_crash_leaves_the_old_content_and_what_it_left_goes_with_the_next(path):
    write(path, b"old")
    if (pid := os.fork()) == 0:
        with whole_file(path) as file:
            file.write(b"half")
            file.flush()
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert path.read_bytes() == b"old"
    (left,) = set(path.parent.iterdir()) - {path}
    assert left.name == "it.json.new"
    left.chmod(0o666)
    write(path, b"new", mode=0o600)
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o600)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "expected"), [(0o666, 0o644), (0o600, 0o600)])
def test_it_never_has_more_than_its_mode(path, umask, mode, expected):
    with whole_file(path, mode=mode) as file:
        file.write(b"secret")
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == expected
    assert mode_of(path) == expected


def test_a_name_that_must_not_be_taken_from_anybody_is_not(path):
    write(path, b"first", replace=False)
    with pytest.raises(FileExistsError):
        write(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_that_lies_in_the_way_is_not_followed(path, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    (tmp_path / "it.json.new").symlink_to(theirs)
    write(path, b"ours")
    assert (path.read_bytes(), theirs.read_bytes()) == (b"ours", b"theirs")
    assert not path.is_symlink()


def test_where_there_is_no_room_for_it_what_lies_there_stays(path):
    path.with_name("it.json.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        write(path, b"new")
    assert [each.name for each in path.parent.iterdir()] == ["it.json.new"]


def test_unused_names_differ_and_lie_in_the_same_directory(path):
    one, other = unused_name(path), unused_name(path)
    assert one != other
    assert one.parent == other.parent == path.parent
    write(path, b"new", temporary=one)
    assert path.read_bytes() == b"new"
    assert not one.exists()
