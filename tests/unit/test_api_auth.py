"""Over TCP a token is needed; on the Unix socket, the file's mode decides."""

import asyncio

import httpx
import pytest
from api_tools import TOKEN, served
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from taskgen.api.auth import TokenOnly


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x",
     f"Bearer {TOKEN[:-1]}", "Bearer \xe9", f"Bearer {TOKEN} {TOKEN}"],
)  # fmt: skip
def test_who_does_not_know_the_token_gets_nothing(tmp_path, monkeypatch, authorization):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api, httpx.AsyncClient() as client:
            headers = (
                {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
            )
            for path in ("/v1/status", "/v1/openapi.json", "/metrics", "/nope", "/v1/events"):
                response = await client.get(api.tcp + path, headers=headers)
                assert response.status_code == 401
                assert response.headers["www-authenticate"].startswith("Bearer")
                assert response.headers["content-type"] == "application/problem+json"
                assert response.json()["hint"]
                assert TOKEN not in response.text

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_who_knows_the_token_gets_everything(tmp_path, monkeypatch, scheme):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api, httpx.AsyncClient() as client:
            headers = {"Authorization": f"{scheme} {TOKEN}"}
            assert (await client.get(f"{api.tcp}/v1/status", headers=headers)).status_code == 200

    asyncio.run(main())


def test_two_tokens_are_none(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api, httpx.AsyncClient() as client:
            headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
            assert (await client.get(f"{api.tcp}/v1/status", headers=headers)).status_code == 401

    asyncio.run(main())


def test_the_unix_socket_needs_none(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            assert (await api.get("status"))["pid"]

    asyncio.run(main())


def test_a_console_needs_the_token_too(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            url = f"ws{api.tcp.removeprefix('http')}/v1/machines/taskgen-1/console"
            for headers, status in ({}, 401), ({"Authorization": f"Bearer {TOKEN}"}, 404):
                with pytest.raises(InvalidStatus) as refused:
                    async with connect(url, additional_headers=headers):
                        pass
                assert refused.value.response.status_code == status
                assert b'"detail"' in refused.value.response.body

    asyncio.run(main())


def test_an_empty_token_is_refused():
    with pytest.raises(ValueError, match="empty token"):
        TokenOnly(None, "")
