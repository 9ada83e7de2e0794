"""Relative deadline, ms; above 0 it selects EDF.

The Linux guest wants ``executiontime <= deadline <= period``.

``Value(50)``; ``Variants``: 10 to 1000 in steps of 10; ``Random``: one of them; ``HighRandom``: 10
to 100; ``MediumRandom``: 110 to 400; ``LowRandom``: 410 to 1000.
"""

from taskgen.blocks._kinds import Spread

_spread = Spread("deadline", 10, 1000, step=10, thirds=(110, 410))

Value = _spread.value
Variants = _spread.variants
Random = _spread.random
HighRandom = _spread.high_random
MediumRandom = _spread.medium_random
LowRandom = _spread.low_random
