"""Programs that only some tests need: ``provision.sh --dev`` installs them."""

import os
import shutil

import pytest


def needed(program):
    """Where it is. Without it the test is skipped, but where all of them have to run, as in CI."""
    found = shutil.which(program)
    if found is None:
        reason = f"needs {program}: ./provision.sh --dev installs it"
        (pytest.fail if os.environ.get("TASKGEN_TEST_EVERYTHING") else pytest.skip)(reason)
    return found
