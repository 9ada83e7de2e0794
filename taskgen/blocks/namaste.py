"""Says namaste on the console, and ends."""

from taskgen.frozen import FrozenMapping

HelloWorld = FrozenMapping(
    {"pkg": "namaste", "quota": "1M", "executiontime": 10, "criticaltime": 1000}
)
