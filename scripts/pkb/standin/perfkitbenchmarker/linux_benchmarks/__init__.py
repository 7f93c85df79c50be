"""Holds the module under test, as the real package does after it was copied."""

import os

__path__.append(
    os.path.normpath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
)
