"""The command line within the process, as the core's own tests run it."""

from __future__ import annotations

from tests.cli.conftest import cli

__all__ = ["cli"]
