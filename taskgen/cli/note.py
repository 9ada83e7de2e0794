"""Remarks on standard error."""

from __future__ import annotations

import sys

from taskgen.printable import printable


def note(text: str) -> None:
    """One line on standard error that begins as all of ours do."""
    print(f"taskgen: {printable(text)}", file=sys.stderr)
