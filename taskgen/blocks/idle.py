"""Uses CPU time and does nothing with it; its argument is how much, in ms. 0 never ends.

``Value(20)``; ``Variants(50)``: 1 to 50 ms; ``Random(50)``: up to that, drawn; ``Idle``: never ends
by itself, so that ``criticaltime`` or the next release has to end it.
"""

from taskgen.blocks._kinds import Program
from taskgen.frozen import freeze

_program = Program("idle", usual=50)

Value = _program.value
Variants = _program.variants
Random = _program.random
Idle = freeze(Value(0))
