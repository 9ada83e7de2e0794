"""Task binaries over the API."""

import asyncio
import hashlib

import pytest
from api_tools import elf, served

from taskgen.api.context import Limits

CONTENT = elf(b"x" * 1000)
HASH = hashlib.sha256(CONTENT).hexdigest()


def test_a_binary_is_uploaded_once_and_can_be_had_again(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            path = f"/v1/binaries/{HASH}"
            assert (await api.client.head(path)).status_code == 404
            assert (await api.client.get(path)).status_code == 404
            assert (await api.client.put(path, content=CONTENT)).status_code == 201
            assert (await api.client.put(path, content=CONTENT)).status_code == 204
            assert (await api.client.head(path)).status_code == 200
            assert (await api.client.get(path)).content == CONTENT
            assert (await api.get("binaries"))["items"] == [
                {"sha256": HASH, "size": len(CONTENT), "architecture": "x86_64"}
            ]

    asyncio.run(main())


@pytest.mark.parametrize(
    "given",
    [
        ("0" * 64, CONTENT, 422, HASH),
        (HASH, CONTENT[:-1], 422, "SHA-256"),
        (HASH, b"", 422, "SHA-256"),
        (hashlib.sha256(b"#!/bin/sh").hexdigest(), b"#!/bin/sh", 422, "ELF"),
        (hashlib.sha256(elf(machine=99)).hexdigest(), elf(machine=99), 422, "99"),
        (HASH.upper(), CONTENT, 422, "sha256"),
        ("..%2f..%2fetc%2fpasswd", CONTENT, 404, ""),
        ("passwd", CONTENT, 422, "sha256"),
    ],
)
def test_what_is_no_binary_is_refused_and_not_kept(tmp_path, monkeypatch, given):
    sha256, content, status, what = given

    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            response = await api.client.put(f"/v1/binaries/{sha256}", content=content)
            assert response.status_code == status
            assert what in response.json()["detail"]
            assert (await api.get("binaries"))["items"] == []

    asyncio.run(main())


def test_a_binary_has_a_limit_of_its_own(tmp_path, monkeypatch):
    async def pieces():
        for start in range(0, len(CONTENT), 100):
            yield CONTENT[start : start + 100]

    async def main():
        limits = Limits(body_bytes=10, binary_bytes=len(CONTENT) - 1)
        async with served(tmp_path, monkeypatch, fakes=0, limits=limits) as api:
            for content in CONTENT, pieces():
                response = await api.client.put(f"/v1/binaries/{HASH}", content=content)
                assert response.status_code == 413
        limits = Limits(body_bytes=10, binary_bytes=len(CONTENT))
        (tmp_path / "second").mkdir()
        async with served(tmp_path / "second", monkeypatch, fakes=0, limits=limits) as api:
            response = await api.client.put(f"/v1/binaries/{HASH}", content=pieces())
            assert response.status_code == 201

    asyncio.run(main())
