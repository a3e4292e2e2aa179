"""Settings of all tests."""

import re

from hypothesis import HealthCheck, settings

# The same examples in every run, and nothing that depends on how busy the machine is.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# Other examples in every run, and many of them: pytest --hypothesis-profile long
settings.register_profile(
    "long",
    settings.get_profile("repeatable"),
    derandomize=False,
    max_examples=4000,
)
settings.load_profile("repeatable")


def pytest_make_parametrize_id(config, val, argname):
    """Name a parameter without its address, which differs from process to process."""
    if callable(val) and hasattr(val, "__name__"):
        return val.__name__
    return type(val).__name__ if re.search(" at 0x[0-9a-f]+", repr(val)) else None
