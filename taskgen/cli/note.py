"""Remarks on standard error."""

from __future__ import annotations

import sys


def note(text: str) -> None:
    """One line on standard error that begins as all of ours do."""
    print(f"taskgen: {text}", file=sys.stderr)
