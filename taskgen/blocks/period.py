"""Time between releases, ms; 0: released once.

``Value(50)``; ``Variants``: 10 to 1000 in steps of 10; ``Random``: one of them; ``HighRandom``: 10
to 100; ``MediumRandom``: 110 to 400; ``LowRandom``: 410 to 1000.
"""

from taskgen.blocks._kinds import Spread

_spread = Spread("period", 10, 1000, step=10, thirds=(110, 410))

Value = _spread.value
Variants = _spread.variants
Random = _spread.random
HighRandom = _spread.high_random
MediumRandom = _spread.medium_random
LowRandom = _spread.low_random
