"""Settings for every test."""

from hypothesis import settings

settings.register_profile("storygan", deadline=None)  # a machine at work is not a failure
settings.load_profile("storygan")
