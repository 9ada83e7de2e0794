"""Fixed priority; **0 is the most urgent**, 127 the least.

``Value(10)``; ``Variants``: 0 to 127; ``Random``: one of them; ``HighRandom``: 0 to 42, the most
urgent; ``MediumRandom``: 43 to 85; ``LowRandom``: 86 to 127.
"""

from taskgen.blocks._kinds import Spread

_spread = Spread("priority", 0, 127, thirds=(43, 86))

Value = _spread.value
Variants = _spread.variants
Random = _spread.random
HighRandom = _spread.high_random
MediumRandom = _spread.medium_random
LowRandom = _spread.low_random
