"""What the research prototypes took, from the constants that they published: mere sleeps."""

from __future__ import annotations

#: After a machine was launched they waited that long for it, whether or not it was ready before.
BOOT_S = 20.0

#: Waits between the end of one task-set and the start of the next, on the same machine.
BETWEEN_SETS_S = 4.0
