"""What is wrong with a machine: evidence in, exactly one verdict out. Pure.

:mod:`taskgen.examination` gathers the evidence.
"""

from taskgen.diagnosis.evidence import ConsoleFault, Doing, Evidence, Link, Port
from taskgen.diagnosis.report import report
from taskgen.diagnosis.rules import RULES, Rule, Verdict, diagnose

__all__ = [
    "RULES",
    "ConsoleFault",
    "Doing",
    "Evidence",
    "Link",
    "Port",
    "Rule",
    "Verdict",
    "diagnose",
    "report",
]
