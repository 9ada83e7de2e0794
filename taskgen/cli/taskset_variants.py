"""``taskgen taskset variants``"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import click
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from taskgen.cli.console import output
from taskgen.cli.note import note
from taskgen.cli.taskset_input import drawn, load, set_option
from taskgen.cli.taskset_text import counted, emit, one
from taskgen.errors import TaskSetError
from taskgen.variant import Variant, thawed
from taskgen.variant_stream import VariantStream
from taskgen.variants import Variants

#: Variants that are shown where nothing else is said.
LIMIT = 20

#: Rows that are laid out together: a table needs all its rows at once, and there may be millions.
PAGE = 500


def _shard(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match:
        raise click.BadParameter(f"{text!r} is not a part, as 0/4 is the first of four")
    return int(match[1]), int(match[2])


@click.command()
@click.argument("name")
@click.option("--count", is_flag=True, help="Say only how many there are.")
@click.option("--all", "everything", is_flag=True, help="Show all, not only the first.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help=f"Show so many at most.  [default: {LIMIT}]",
)
@click.option(
    "--from",
    "start",
    type=int,
    default=0,
    metavar="I",
    help="Begin at variant I; -I counts from the end.",
)
@click.option(
    "--shard",
    callback=_shard,
    metavar="K/N",
    help="Only part K (from 0) of N: every N-th variant.",
)
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="N drawn at random, none twice."
)
@click.option(
    "--seed",
    type=int,
    metavar="S",
    help="Of the sample; the same one draws the same.  [default: 0]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "xml", "csv"]),
    default="table",
    show_default=True,
    help="json, xml: one variant in each line.",
)
@set_option
def variants(  # noqa: PLR0917 - click passes each option by its name
    name: str,
    count: bool,
    everything: bool,
    limit: int | None,
    start: int,
    shard: tuple[int, int] | None,
    sample: int | None,
    seed: int | None,
    form: str,
    changes: tuple[str, ...],
) -> None:
    """List the variants of a task-set.

    That is their number, and the values of what varies.

    NAME is what taskgen run takes. Only what is shown is built, so it does not matter how many
    there are; the first 20 are shown where nothing else is said.
    """
    if everything and limit:
        raise click.UsageError("--all and --limit exclude each other")
    if seed is not None and sample is None:
        raise click.UsageError("--seed belongs to --sample")
    if sample is not None and (start or count):
        raise click.UsageError("--sample takes neither --from nor --count")
    found = load(name, changes).variants()
    if isinstance(found, VariantStream):
        if sample is not None or count or start < 0:
            raise TaskSetError(
                f"{name}: nobody knows how many variants there are",
                hint="values of a key come one after the other; --from I and --limit N work",
            )
        whole: Iterable[Variant] = (found.shard(*shard) if shard else found).walk(start)
    else:
        found = whole = _part(found, start, shard)
        if count:
            print(found.count)
            return
        if sample is not None:
            found = whole = found.sample(sample, seed or 0)
    ends = None if everything or (sample and not limit) else limit or LIMIT
    rows = iter(drawn(whole, name))
    _write(rows if ends is None else islice(rows, ends), form)
    _tell_rest(found, ends, rows)


def _part(found: Variants, start: int, shard: tuple[int, int] | None) -> Variants:
    """What is left from variant ``start`` on, of one part. Positions count from the whole."""
    first = start + found.count if start < 0 else start
    if not 0 <= first < found.count:
        raise TaskSetError(f"--from {start}: there is no such variant", hint=_numbers(found.count))
    if not shard:
        return found[first:] if first else found
    k, n = shard
    return found.shard(k, n)[max(0, -((k - first) // n)) :]


def _numbers(count: int) -> str:
    return f"there {'are' if count > 1 else 'is'} {counted(count, 'variant')}: 0 to {count - 1}"


def _tell_rest(found: Variants | VariantStream, ends: int | None, rows: Iterator[Variant]) -> None:
    """Say that not all were shown, if so."""
    if ends is None:
        return
    if isinstance(found, Variants):
        if found.count > ends:
            note(f"shown: {ends} of {found.count} variants (--all, --limit N, --from I)")
    elif next(rows, None) is not None:
        note(f"shown: {ends} variants; nobody knows how many there are (--limit N, --from I)")


def _write(rows: Iterator[Variant], form: str) -> None:
    if form == "json":
        for variant in rows:
            print(json.dumps(thawed(variant)))
    elif form == "xml":
        for variant in rows:
            print(variant.description().decode("ascii"))
    elif form == "csv":
        _write_csv(rows)
    else:
        while page := list(islice(rows, PAGE)):
            emit(_table(page))


def _write_csv(rows: Iterator[Variant]) -> None:
    first = list(islice(rows, 1))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for variant in first:
        writer.writerow(["variant", *variant.parameters])
    for variant in chain(first, rows):
        values = (v if isinstance(v, str) else one(v) for v in variant.parameters.values())
        writer.writerow([variant.index, *values])


def _short(value: Any) -> str:
    """For people; the other formats have all digits."""
    return f"{value:.6g}" if isinstance(value, float) else one(value)


def _table(page: list[Variant]) -> Table:
    """A column for each value that varies; one column for all where that is too wide."""
    names = list(page[0].parameters)
    cells = [[_short(value) for value in variant.parameters.values()] for variant in page]
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    index_width = max(len("variant"), len(str(page[-1].index)), len(str(page[0].index)))
    table = Table(show_edge=False)
    table.add_column("variant", justify="right", no_wrap=True)
    if names and index_width + 3 + sum(width + 3 for width in widths) <= output().width:
        for name in names:
            table.add_column(Text(name), justify="right", no_wrap=True)
        for variant, row in zip(page, cells, strict=True):
            table.add_row(str(variant.index), *map(Text, row))
        return table
    table.add_column("values", overflow="fold")
    for variant, row in zip(page, cells, strict=True):
        pairs = (f"{name}={value}" for name, value in zip(names, row, strict=True))
        table.add_row(str(variant.index), Text(", ".join(pairs) or "nothing varies"))
    return table
