"""That Python looks for cycles as before once nothing runs any more."""

import gc
import weakref

import pytest

from taskgen import collector
from taskgen.collector import YOUNG, seldom, settle, tidy


@pytest.fixture(autouse=True)
def as_before():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_seldom_while_anybody_is_inside():
    gc.set_threshold(700, 10, 10)
    with seldom():
        assert gc.get_threshold() == (YOUNG, 10, 10)
        with seldom():
            pass
        assert gc.get_threshold() == (YOUNG, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


def test_also_after_an_error():
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ZeroDivisionError), seldom():
        raise ZeroDivisionError
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (10 * YOUNG, 5, 5)])
def test_a_program_keeps_what_it_has_chosen(chosen):
    gc.set_threshold(*chosen)
    with seldom():
        assert gc.get_threshold() == chosen
    assert gc.get_threshold() == chosen


def test_a_program_keeps_what_it_chooses_meanwhile():
    gc.set_threshold(700, 10, 10)
    with seldom():
        gc.set_threshold(5000, 10, 10)
    assert gc.get_threshold() == (5000, 10, 10)


class Cycle:
    """Refers to itself, so that it does not go with the last reference from elsewhere."""

    def __init__(self):
        self.itself = self


def test_what_has_just_ended_is_tidied_up():
    with seldom():
        gone = weakref.ref(Cycle())
        assert gone() is not None
        tidy()
        assert gone() is None


def test_a_program_that_wants_no_such_looks_is_spared():
    gc.disable()
    try:
        gone = weakref.ref(Cycle())
        tidy()
        assert gone() is not None
    finally:
        gc.enable()


def test_what_is_settled_is_not_looked_through_any_more(monkeypatch):
    monkeypatch.setattr(collector, "_process", collector._Seldom())
    settled = Cycle()
    try:
        settle()
        assert gc.get_freeze_count() > 0
        assert not any(each is settled for each in gc.get_objects())
        kept = Cycle()
        gone = weakref.ref(kept)
        gc.collect()  # it is among the old ones now
        del kept
        tidy()
        assert gone() is None, "what came later is looked through as a whole"
    finally:
        gc.unfreeze()
