"""What machines said on their consoles."""

from __future__ import annotations

from pydantic import Field

from taskgen.resources.base import Resource


class ConsoleBoot(Resource):
    """A boot of a machine, and what is kept of its console."""

    number: int = Field(description="1 for the first of the machine's slot; grows for ever.")
    why: str = Field(description="launch, reset; unknown: what was noted of it is lost.")
    began: float
    uuid: str = Field(description="Of its QEMU.")
    running: bool = Field(description="It goes on.")
    kept: int = Field(description="Bytes that are kept, the newest.")
    dropped: int = Field(description="Bytes that it said before those.")
    last_output: float | None = Field(
        default=None, description="When it said something last; null: it has said nothing."
    )


class ConsoleLine(Resource):
    """A line of a console, or a piece of one that is long or not through."""

    boot: int = Field(description="Number of the boot.")
    offset: int = Field(description="Tells it from the others of its QEMU; grows.")
    end: int = Field(description="`after=BOOT:END` goes on behind it.")
    text: str = Field(description="Without colours and control characters.")
    whole: bool = Field(description="The line ends here; else the next piece goes on with it.")
    dropped: int = Field(default=0, description="Bytes just before it that are not kept any more.")
    at: float = Field(description="It was begun at this time, or earlier.")
    not_before: float | None = Field(
        default=None,
        description="It was begun at this time, or later: long before `at` where no daemon was"
        " there to see it. null: nobody knows.",
    )
