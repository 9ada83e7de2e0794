from taskgen.problems import Problem, Problems


def told(problems):
    seen = []
    problems.on_change(lambda key, problem: seen.append((key, problem)))
    return seen


def test_a_problem_is_there_from_its_report_until_it_is_cleared():
    problems = Problems(clock=lambda: 5.0)
    seen = told(problems)
    problems.report("disk", "the disk is full", hint="make room", fatal=True)
    assert problems.current == (Problem("disk", "the disk is full", "make room", 5.0, True),)
    problems.clear("disk")
    assert problems.current == ()
    assert [problem and problem.key for _, problem in seen] == ["disk", None]


def test_the_same_report_again_changes_nothing_and_another_text_keeps_its_beginning():
    now = [5.0]
    problems = Problems(clock=lambda: now[0])
    seen = told(problems)
    problems.report("dhcp", "dnsmasq died")
    now[0] = 9.0
    problems.report("dhcp", "dnsmasq died")
    assert len(seen) == 1
    problems.report("dhcp", "dnsmasq died again")
    assert [(p.text, p.since) for p in problems.current] == [("dnsmasq died again", 5.0)]


def test_clearing_what_nobody_reported_tells_nobody():
    problems = Problems()
    seen = told(problems)
    problems.clear("disk")
    assert seen == []
