"""Each heading of docs/troubleshooting.md is a message that exists in the source."""

import ast
import re
from pathlib import Path

import pytest

import taskgen

ROOT = Path(taskgen.__file__).parent
PAGE = (ROOT.parent / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)


def texts():
    """All texts of the source, with … in the place of what is put in."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
                yield "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


TEXTS = set(texts())


def test_the_page_has_messages():
    assert len(HEADINGS) > 20
    assert len(set(HEADINGS)) == len(HEADINGS)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_is_a_message(heading):
    assert heading in TEXTS
