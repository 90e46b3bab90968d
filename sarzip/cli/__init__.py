"""The command line: parse, call one use case, render. Exit codes are those of sarzip.errors."""

from __future__ import annotations

from sarzip.cli.main import run

__all__ = ["run"]
