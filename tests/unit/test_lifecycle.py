"""Walks the whole table of states."""

import itertools

import pytest

from taskgen.errors import StateError
from taskgen.lifecycle import TRANSITIONS, Lifecycle, MachineState


def at(state):
    life = Lifecycle("taskgen-1")
    life._state = state
    return life


@pytest.mark.parametrize(("a", "b"), list(itertools.product(MachineState, MachineState)))
def test_exactly_the_transitions_of_the_table_are_allowed(a, b):
    life = at(a)
    if b in TRANSITIONS[a]:
        life.to(b)
        assert life.state is b
    else:
        with pytest.raises(StateError, match=rf"taskgen-1 cannot become {b}: state is {a}"):
            life.to(b)
        assert life.state is a


def test_every_state_is_reached_from_new_and_reaches_stopped():
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            state = todo.pop()
            if state not in seen:
                seen.add(state)
                todo += TRANSITIONS[state]
        return seen

    assert reach(MachineState.NEW) == set(MachineState)
    assert all(MachineState.STOPPED in reach(state) for state in MachineState)
