"""What lives in other mount namespaces, as in containers, has paths like ours and is left alone."""

import subprocess
import sys
from contextlib import contextmanager

from taskgen.host.command_lines import end_all, find, is_dnsmasq

#: Waits under a server's name, until its input ends.
_WAITING = "import sys; print('up', flush=True); sys.stdin.read()"

_SCRIPT = """
{prepare}
mkdir -p {directory}; echo theirs > {directory}/dnsmasq.conf
exec -a dnsmasq {python} -c "$0" --conf-file={directory}/dnsmasq.conf
"""


@contextmanager
def server(directory, *, elsewhere):
    """Something that looks like the DHCP server of a fleet in ``directory``."""
    prepare = f"mount -t tmpfs other {directory.parent}" if elsewhere else ":"
    script = _SCRIPT.format(prepare=prepare, directory=directory, python=sys.executable)
    world = ["unshare", "--mount"] if elsewhere else []
    with subprocess.Popen(
        [*world, "bash", "-c", script, _WAITING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def test_a_server_with_the_same_path_in_another_world_is_not_ours(tmp_path):
    directory = tmp_path / "run" / "taskgen"
    directory.mkdir(parents=True)
    config = directory / "dnsmasq.conf"

    def ours(argv):
        return is_dnsmasq(argv, config)

    with server(directory, elsewhere=True) as theirs:
        for written in (False, True):
            config.unlink(missing_ok=True)
            if written:
                config.write_text("ours")
            assert list(find(ours)) == []
            assert end_all(ours) == []
        assert theirs.poll() is None


def test_a_server_of_our_world_is_ours_also_when_its_file_is_gone(tmp_path):
    directory = tmp_path / "run" / "taskgen"
    config = directory / "dnsmasq.conf"
    for gone in (False, True):
        with server(directory, elsewhere=False) as own:
            if gone:
                config.unlink()
            assert end_all(lambda argv: is_dnsmasq(argv, config)) == [
                f"process {own.pid} (dnsmasq)"
            ]
