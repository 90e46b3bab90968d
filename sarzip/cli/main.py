"""The application object, and the way from an exception to one line on stderr and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

import typer

from sarzip import __version__
from sarzip.errors import SarzipError, UsageError

EPILOG = (
    "Exit codes: 0 done; 1 unexpected, or the output cannot be written; 2 usage; 3 input unreadable or "
    "unsupported; 4 corrupt or truncated .sarz; 5 target not reachable; 6 model missing or wrong hash."
)
_INTERRUPTED = 130
_TERMINATED = 143

_MODULES = {
    "codec_commands": ("compress", "decompress", "info", "verify"),
    "view_commands": ("preview",),
    "quality_commands": ("compare", "sample"),
    "bench_commands": ("bench",),
    "model_commands": ("models", "train"),
}
"""The commands and where they are."""


def _application(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the module of the command that is called; with all where that is none of them:
    typer reads the signatures of all it has, which takes longer than to decode a small scene.
    """
    app = typer.Typer(
        name="sarzip",
        help="Compress SAR imagery into small, self-describing, checksummed .sarz files, and back.",
        epilog=EPILOG,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    called = arguments[0] if arguments else ""
    for module in [name for name, commands in _MODULES.items() if called in commands] or _MODULES:
        import_module(f"sarzip.cli.{module}").register(app)
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


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def run(arguments: Sequence[str]) -> int:
    """Run the command line with these arguments and return its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app = _application(arguments)
        result = app(args=list(arguments) or ["--help"], prog_name="sarzip", standalone_mode=False)
        if result == _INTERRUPTED:  # typer's own answer to SIGINT
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except SarzipError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; nothing was written", _INTERRUPTED)
    except _Terminated:
        return _fail("terminated; nothing was written", _TERMINATED)
    except Exception as error:
        # Usage errors: some releases of typer use click's classes and others a copy of them; both say this.
        if hasattr(error, "format_message"):
            return _fail(f"{error.format_message()} (see sarzip --help)", UsageError.exit_code)
        if os.environ.get("SARZIP_DEBUG"):
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (SARZIP_DEBUG=1 shows where)", 1)


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"sarzip: {line}", file=sys.stderr)
    return code
