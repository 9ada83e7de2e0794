"""Approaches pi by the series of Gregory and Leibniz; its argument is the number of terms.

``Value(1000)``; ``Variants(5)``: 1 to 5 terms; ``Random(10_000)``: up to so many, drawn.
"""

from taskgen.blocks._kinds import Program

_program = Program("pi", usual=100_000)

Value = _program.value
Variants = _program.variants
Random = _program.random
