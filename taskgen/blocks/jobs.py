"""Number of activations; the key is ``numberofjobs``.

``Value(10)``; ``Variants``: 1 to 20; ``Random``: one of them; ``Endless``: without end, so that
the run needs a limit of its own.
"""

from taskgen.blocks._kinds import Spread
from taskgen.frozen import freeze

_spread = Spread("numberofjobs", 1, 20)

Value = _spread.value
Variants = _spread.variants
Random = _spread.random
Endless = freeze(Value(0))
