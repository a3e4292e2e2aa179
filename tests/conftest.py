"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# The same examples in every run, and nothing that depends on how busy the machine is.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")
