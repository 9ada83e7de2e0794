"""Multiplies two square matrices; its argument is their size.

``Value(40)``; ``Variants(5)``: sizes 1 to 5; ``Random(100)``: up to that, drawn.
"""

from taskgen.blocks._kinds import Program

_program = Program("tumatmul", quota="8M", usual=100)

Value = _program.value
Variants = _program.variants
Random = _program.random
