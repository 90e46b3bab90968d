"""The application object, and the way from an exception to one line on stderr and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

import typer

from sarzip.cli.examples import Command
from sarzip.cli.render import dashed
from sarzip.errors import NO_MEMORY, OutputError, SarzipError, UsageError
from sarzip.system.streams import ReaderGone
from sarzip.version import __version__

EPILOG = (
    "Exit codes: 0 done; 1 unexpected, or the output cannot be written; 2 usage; 3 input unreadable or "
    "unsupported; 4 corrupt or truncated .sarz; 5 target not reachable; 6 model missing or wrong hash."
)
_INTERRUPTED = 130
_TERMINATED = 143
_TERMINATED_WORDS = "terminated; nothing was written"

_COMMANDS = (
    "compress",
    "decompress",
    "info",
    "verify",
    "preview",
    "vrt",
    "stac",
    "compare",
    "sample",
    "bench",
    "train",
    "models",
    "clean",
)
"""In the order of the help; each a function or a group, in a module of its name."""


def _application(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the command that is called; with all of them where there is none of that name:
    to import all and read their signatures takes as long as decoding a small scene.
    """
    app = typer.Typer(
        name="sarzip",
        help="Compress SAR imagery into small, self-describing, checksummed .sarz files, and back.",
        epilog=EPILOG,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    called = [name for name in _COMMANDS if name in arguments[:1]]
    for name in called or _COMMANDS:
        command = getattr(import_module(f"sarzip.cli.{name}_command"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, cls=Command)(command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"sarzip {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
) -> None:
    pass


class _Terminated(BaseException):
    """SIGTERM, as an exception, so that every `finally` runs and no partial file stays."""


class _Asked:
    """Whether this process was asked to end: libraries that call back may turn the exception into another."""

    def __init__(self) -> None:
        self.terminated = False

    def terminate(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM."""
        self.terminated = True
        raise _Terminated


def run(arguments: Sequence[str]) -> int:
    """Run the command line with these arguments and return its exit code."""
    asked = _Asked()
    signal.signal(signal.SIGTERM, asked.terminate)
    try:
        app = _application(arguments)
        result = app(args=list(arguments) or ["--help"], prog_name="sarzip", standalone_mode=False)
        if result == _INTERRUPTED:  # typer's own answer to SIGINT
            raise KeyboardInterrupt
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except ReaderGone:
        return OutputError.exit_code  # as with head, which need not be told
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; nothing was written", _INTERRUPTED)
    except _Terminated:
        return _fail(_TERMINATED_WORDS, _TERMINATED)
    except Exception as error:
        if asked.terminated:
            return _fail(_TERMINATED_WORDS, _TERMINATED)
        return _failed(error)


def _failed(error: Exception) -> int:
    if isinstance(error, SarzipError):
        return _fail(str(error), error.exit_code)
    if isinstance(error, MemoryError):
        return _fail(f"{NO_MEMORY} ({error})", SarzipError.exit_code)
    # Usage errors: some releases of typer use click's classes and others a copy of them; both say this.
    if hasattr(error, "format_message"):
        return _fail(f"{error.format_message()} (see sarzip --help)", UsageError.exit_code)
    if os.environ.get("SARZIP_DEBUG"):
        raise error
    return _fail(f"unexpected {type(error).__name__}: {error} (SARZIP_DEBUG=1 shows where)", 1)


def _fail(message: str, code: int) -> int:
    line = dashed(" ".join(message.split()))
    print(f"sarzip: {line}", file=sys.stderr)
    return code
