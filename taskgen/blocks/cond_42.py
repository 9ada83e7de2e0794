"""Ends at once if its argument is 42, else counts for a while.

``Value(41)``; ``Variants(50)``: 1 to 50; ``Random(100)``: up to that, drawn; ``Break``: ends
at once.
"""

from taskgen.blocks._kinds import Program
from taskgen.frozen import freeze

_program = Program("cond_42", usual=100)

Value = _program.value
Variants = _program.variants
Random = _program.random
Break = freeze(Value(42))
