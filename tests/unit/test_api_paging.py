"""Lists in parts, of what comes and goes between two of them."""

import asyncio
import hashlib

from api_tools import elf, served

from taskgen.api.paging import page_by_name


def names(every, after="", limit=2):
    page = page_by_name(every, after, limit, str)
    return page.items, page.next


def test_names_are_listed_by_the_numbers_in_them():
    machines = ["taskgen-10", "taskgen-9", "taskgen-1"]
    assert names(machines) == (["taskgen-1", "taskgen-9"], "taskgen-9")
    assert names(machines, after="taskgen-9") == (["taskgen-10"], None)
    assert names(["10.0.0.10", "10.0.0.9"], limit=9)[0] == ["10.0.0.9", "10.0.0.10"]
    assert names(["1a", "a1", "", "11"], limit=9)[0] == ["", "1a", "11", "a1"]
    assert names(["taskgen-1"], after="\u0663") == ([], None)  # a digit elsewhere


def test_a_list_goes_on_behind_what_is_gone_by_now():
    assert names(["taskgen-1", "taskgen-3"], after="taskgen-2") == (["taskgen-3"], None)
    assert names(["taskgen-1"], after="taskgen-2") == ([], None)


def test_binaries_that_go_between_two_pages_hide_no_others(tmp_path, monkeypatch):
    contents = {hashlib.sha256(c).hexdigest(): c for c in (elf(bytes([n])) for n in range(5))}
    hashes = sorted(contents)

    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            for sha256, content in contents.items():
                api.context.binaries.put(sha256, content)
            found, after = [], ""
            while after is not None:
                page = await api.get("binaries", limit=1, after=after)
                found += [each["sha256"] for each in page["items"]]
                after = page["next"]
                if after:
                    (api.context.binaries.directory / after).unlink()
            assert sorted(found) == hashes

    asyncio.run(main())
