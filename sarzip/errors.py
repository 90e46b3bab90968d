"""The one root exception of sarzip and its few children; each carries its documented exit code."""

from __future__ import annotations

NO_MEMORY = "there is not enough memory; use fewer threads, or make room"
"""What a MemoryError means to whoever runs a command."""


class SarzipError(Exception):
    """Root of every error sarzip raises on purpose: one line with the file, the cause and the remedy."""

    exit_code = 1


class UsageError(SarzipError):
    """The request contradicts itself or names something that may not be done (exit code 2)."""

    exit_code = 2


class InputError(SarzipError):
    """The input cannot be read, or is of a kind that is not supported (exit code 3)."""

    exit_code = 3


class CorruptError(SarzipError):
    """A `.sarz` is damaged, truncated or breaks the format's rules (exit code 4)."""

    exit_code = 4


class TargetError(SarzipError):
    """The size or fidelity asked for cannot be reached (exit code 5)."""

    exit_code = 5


class ModelError(SarzipError):
    """A model is missing, has the wrong hash or does not fit the data (exit code 6)."""

    exit_code = 6


class OutputError(SarzipError):
    """The output cannot be written: permissions, missing folder, full disk, broken pipe (exit code 1)."""

    exit_code = 1
