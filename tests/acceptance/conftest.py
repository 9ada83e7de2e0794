"""Acceptance tests: what a user does, by the installed command."""

from world import network, no_leftovers, own_state, own_world, profile

__all__ = ["network", "no_leftovers", "own_state", "own_world", "profile"]
