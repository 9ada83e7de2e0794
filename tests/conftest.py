"""What all kinds of tests share."""

from hypothesis import settings

# Other work may have the processors: no example fails for being slow.
settings.register_profile("shared host", deadline=None)
settings.load_profile("shared host")
