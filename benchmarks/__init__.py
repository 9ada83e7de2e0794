"""Our speed beside the bare thing's: one script for each question, helpers in ``tools/``."""
