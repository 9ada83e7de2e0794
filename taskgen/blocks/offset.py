"""Time before the first release, ms.

``Value(5)``; ``Variants``: 0 to 100 in steps of 10; ``Random``: one of them.
"""

from taskgen.blocks._kinds import Spread

_spread = Spread("offset", 0, 100, step=10)

Value = _spread.value
Variants = _spread.variants
Random = _spread.random
