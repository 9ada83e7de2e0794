"""What all resources have in common."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

T = TypeVar("T")


class Resource(BaseModel):
    """What the server tells."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(BaseModel):
    """What the server is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """In JSON ``5.0`` is an integer; ``"5"`` and ``true`` are none."""
        return int(value) if isinstance(value, float) and value.is_integer() else value


class Page(Resource, Generic[T]):
    """A part of a list."""

    items: list[T]
    next: str | None = Field(
        default=None, description="Give it as `after` for the next page; null: there is none."
    )


class Problem(Resource):
    """An error, as RFC 9457 describes it (`application/problem+json`)."""

    type: str = Field(
        default="about:blank",
        description="Tells one kind of error from another: `/problems/<name of the exception>`.",
    )
    title: str = Field(description="The kind of error, in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(default="", description="What happened, and to what.")
    hint: str | None = Field(default=None, description="What to do about it.")
    instance: str | None = Field(default=None, description="The path that was asked for.")
