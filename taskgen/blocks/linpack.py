"""Solves a dense system of linear equations, as LINPACK does; its argument is the matrix's size.

``Value(100)``; ``Variants(5)``: sizes 1 to 5; ``Random(200)``: up to that, drawn.
"""

from taskgen.blocks._kinds import Program

_program = Program("linpack", quota="8M", usual=200)

Value = _program.value
Variants = _program.variants
Random = _program.random
