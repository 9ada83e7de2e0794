"""Runs all benchmarks one after the other, prints one table in all, and keeps the figures.

``python -m benchmarks [--quick] [--reference] [NAME …]``, as root; figures and charts go to
``benchmarks/results/``
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tools.chart import draw
from benchmarks.tools.reference import keep_reference
from benchmarks.tools.stopping import INTERRUPTED
from benchmarks.tools.table import Line, print_table, read_json, write_json

HERE = Path(__file__).parent
RESULTS = HERE / "results"

#: What is kept in git: the figures of whole runs on a quiet host, with a page and a chart.
REFERENCE = HERE / "reference"

#: Exit statuses of a script that was told to stop.
STOPPED = (INTERRUPTED, -signal.SIGINT, -signal.SIGTERM)

#: Seconds after which a script is told to stop, as it will not end by itself any more; and for what
#: it then has to clean up, before it is ended.
LIMIT_S, CLEANING_S = 1800.0, 60.0


def main() -> int:
    """The exit status: 0 if all could be measured, whatever came of it; 130 if interrupted."""
    options = _options()
    RESULTS.mkdir(exist_ok=True)
    lines: list[Line] = []
    failed: list[str] = []
    files: list[Path] = []
    for name in options.names or scripts():
        print(f"── {name}", flush=True)
        file = RESULTS / f"{name}.json"
        file.unlink(missing_ok=True)  # what is there afterwards was measured now
        # A process for each: none finds the memory or the threads of another.
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file)]
        try:
            status = run([*command, *(["--quick"] if options.quick else [])])
        except subprocess.TimeoutExpired:
            failed.append(f"{name}: not through after {LIMIT_S / 60:g} minutes, not measured")
            continue
        if status in STOPPED:
            return INTERRUPTED
        if status != 0 or not file.exists():
            failed.append(f"{name}: exit status {status}, not measured")
        else:
            measured = read_json(file)
            draw(file.with_suffix(".svg"), name, measured)
            lines += measured
            files.append(file)
    write_json(RESULTS / "all.json", lines)
    if lines:
        draw(RESULTS / "all.svg", "ours beside the bare thing", lines)
    if options.reference and not failed:
        keep_reference(REFERENCE, files)
    if len(options.names) != 1:
        print_table("all", lines)
    missed = sum(line.missed for line in lines)
    print(f"lines: {len(lines)}, goals missed: {missed}; kept in {RESULTS}/")
    for problem in failed:
        print(problem, file=sys.stderr)
    return 1 if failed else 0


def run(command: Sequence[str]) -> int:
    """The exit status of a script. When interrupted, the script cleans up, and we wait for that.

    :raises subprocess.TimeoutExpired: if it did not end within the limit; it is ended now.
    """
    told = False

    def stop(*_: object) -> None:
        nonlocal told
        told = True
        if process is not None:
            process.terminate()

    # Before it is started: it may end all at once.
    process: subprocess.Popen[bytes] | None = None
    handlers = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),  # it gets Ctrl-C itself
        signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
    }
    try:
        process = subprocess.Popen(command, cwd=HERE.parent)
        if told:
            process.terminate()
        try:
            return process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            end(process)
            raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def end(process: subprocess.Popen[bytes]) -> None:
    """Tell a script to stop, and end it if it does not."""
    process.terminate()
    try:
        process.wait(CLEANING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def scripts() -> list[str]:
    """The names of all benchmarks."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and machines: less exact"
    )
    parser.add_argument(
        "--reference",
        action="store_true",
        help=f"also keep them in benchmarks/{REFERENCE.name}/, for git",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(scripts())}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(scripts()):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    if options.quick and options.reference:
        parser.error("--quick is less exact: nothing to be kept for reference")
    return options


if __name__ == "__main__":
    sys.exit(main())
