"""Memory that is free goes back to the system. Each test has a process of its own."""

import subprocess
import sys

RSS_KB = """
def rss_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
"""


def said(program):
    done = subprocess.run(
        [sys.executable, "-c", RSS_KB + program], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_what_is_free_between_pieces_in_use_is_given_back():
    held_kb, left_kb = said("""
from taskgen import heap
pieces = [bytes(700) for _ in range(50_000)]
kept = pieces[-1]
del pieces
held_kb = rss_kb()
heap.give_back()
print(held_kb, rss_kb())
""")
    assert int(held_kb) - int(left_kb) > 20_000


def test_all_threads_use_one_heap():
    (heaps,) = said("""
import ctypes, os, re, tempfile, threading
from taskgen import heap
heap.share()
for _ in range(3):
    thread = threading.Thread(target=lambda: [bytes(700) for _ in range(1000)])
    thread.start()
    thread.join()
with tempfile.TemporaryFile() as told:
    os.dup2(told.fileno(), 2)
    ctypes.CDLL(None).malloc_stats()
    told.seek(0)
    print(len(re.findall(rb"^Arena", told.read(), re.M)))
""")
    assert heaps == "1"
