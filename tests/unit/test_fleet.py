"""The plan: lowest slots first, highest go first, never more than allowed or needed."""

from hypothesis import given
from hypothesis import strategies as st

from taskgen.fleet import SERVING, STARTING, Abandon, Launch, Member, Retire, plan
from taskgen.lifecycle import MachineState as S


def decide(members=None, **keys):
    values = {"limit": 4, "slots": 42, "backlog": 100, "boots_at_once": 2, **keys}
    return plan(members={n: Member(s) for n, s in (members or {}).items()}, **values)


def test_an_empty_fleet_launches_as_many_as_may_boot_at_once():
    assert decide() == [Launch(1), Launch(2)]


def test_the_next_machine_boots_once_another_is_ready():
    assert decide({1: S.READY, 2: S.BOOTING}) == [Launch(3)]


def test_a_machine_that_stops_keeps_its_slot_until_it_is_gone():
    assert decide({1: S.STOPPING}) == [Launch(2), Launch(3)]


def test_no_more_machines_than_runs():
    assert decide(backlog=1) == [Launch(1)]
    assert decide(backlog=0) == []


def test_no_more_machines_than_the_network_holds():
    assert decide({1: S.RUNNING}, slots=1) == []


def test_lowering_the_limit_retires_the_highest_slots():
    assert decide(dict.fromkeys(range(1, 5), S.RUNNING), limit=2) == [Retire(4), Retire(3)]


def test_a_limit_of_none_abandons_what_boots_and_retires_what_serves():
    members = {1: S.RUNNING, 2: S.READY, 3: S.BOOTING}
    assert decide(members, limit=0) == [Abandon(3), Retire(2), Retire(1)]


def test_a_machine_that_already_retires_is_not_counted_again():
    members = {1: Member(S.RUNNING), 2: Member(S.RUNNING, retiring=True)}
    assert plan(limit=1, slots=9, backlog=9, boots_at_once=2, members=members) == []


def test_a_machine_that_boots_for_nothing_is_abandoned_but_one_that_serves_is_not():
    assert decide({1: S.RUNNING, 2: S.BOOTING}, backlog=1) == [Abandon(2)]
    assert decide({1: S.RUNNING, 2: S.READY}, backlog=1) == []


members = st.dictionaries(
    st.integers(1, 12), st.builds(Member, st.sampled_from(S), st.booleans()), max_size=12
)


@given(members, st.integers(1, 15), st.integers(1, 12), st.integers(0, 20), st.integers(0, 4))
def test_carrying_out_a_plan_respects_every_bound(members, limit, slots, backlog, boots):
    actions = plan(limit=limit, slots=slots, backlog=backlog, boots_at_once=boots, members=members)
    touched = [action.slot for action in actions]
    assert len(touched) == len(set(touched))
    working = {n for n, m in members.items() if not m.retiring and m.state in STARTING | SERVING}
    launched = {a.slot for a in actions if isinstance(a, Launch)}
    gone = {a.slot for a in actions if isinstance(a, Retire | Abandon)}
    assert launched.isdisjoint(members)
    assert launched <= set(range(1, slots + 1))
    assert gone <= working
    starting = {n for n in working if members[n].state in STARTING}
    assert len(launched) <= max(0, boots - len(starting))
    if launched:
        assert len(working | launched) <= min(limit, slots, backlog)
        assert not gone
    assert len(working - gone) <= max(min(limit, slots), 0) or not working - gone


def test_a_held_slot_stays_empty_and_counts_as_a_machine():
    assert decide({1: S.RUNNING}, held={2}) == [Launch(3), Launch(4)]
    assert decide({1: S.RUNNING}, held={2}, limit=2) == []
    assert decide(held={1}, limit=1) == []


def test_what_is_restarted_comes_first_and_needs_no_work():
    assert decide({1: S.READY}, backlog=0, again={2}) == [Launch(2)]
    assert decide({1: S.READY, 2: S.BOOTING}, backlog=0, again={2}) == []
    assert decide({1: S.READY}, again={5}, boots_at_once=1) == [Launch(5)]
    assert decide(dict.fromkeys(range(1, 5), S.READY), again={5}) == []


def test_nothing_takes_the_place_of_a_machine_that_is_restarted():
    members = {1: Member(S.RUNNING, retiring=True), 2: Member(S.RUNNING)}
    keys = {"slots": 9, "backlog": 9, "boots_at_once": 2, "members": members}
    assert plan(limit=2, again={1}, **keys) == []
    assert plan(limit=2, **keys) == [Launch(3)]


def test_an_adopted_machine_is_one_that_serves():
    assert decide({1: S.ADOPTING}, backlog=0) == []
    assert decide({1: S.ADOPTING, 2: S.ADOPTING}, limit=1) == [Retire(2)]
    assert decide({1: S.ADOPTING}, limit=2, boots_at_once=1) == [Launch(2)]
