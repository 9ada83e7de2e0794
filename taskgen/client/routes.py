"""Makes methods of described calls: blocking ones for one client, awaited ones for the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from taskgen.client.call import Call
from taskgen.resources import Page

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(ABC):
    """Carries out calls, and blocks meanwhile."""

    @abstractmethod
    def execute(self, call: Call[T]) -> T:
        """Send a call and wait for its answer.

        :raises DaemonUnreachableError: if there is none.
        :raises TaskgenError: if the daemon says that something is wrong.
        """


class Awaiting(ABC):
    """Carries out calls in an event loop."""

    @abstractmethod
    async def execute(self, call: Call[T]) -> T:
        """Send a call and wait for its answer; raises as :meth:`Blocking.execute`."""


class Route(Generic[P, T]):
    """A method of both clients, from the description of its call."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Blocking | Awaiting | None, owner: type) -> object:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> object:
            return client.execute(self._describe(*args, **kwargs))

        return update_wrapper(method, self._describe)


class Listing(Generic[P, T]):
    """A method that gives a list item by item, its pages fetched as they are needed."""

    def __init__(self, describe: Callable[P, Call[Page[T]]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, client: Blocking | Awaiting | None, owner: type) -> object:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> object:
            call = self._describe(*args, **kwargs)
            return _walk(client, call) if isinstance(client, Blocking) else _awalk(client, call)

        return update_wrapper(method, self._describe)


def _walk(client: Blocking, call: Call[Page[T]]) -> Generator[T, None, None]:
    while True:
        page = client.execute(call)
        yield from page.items
        if page.next is None:
            return
        call = call.behind(page.next)


async def _awalk(client: Awaiting, call: Call[Page[T]]) -> AsyncGenerator[T, None]:
    while True:
        page = await client.execute(call)
        for item in page.items:
            yield item
        if page.next is None:
            return
        call = call.behind(page.next)
