"""Help and completion: an example for every option, none that would not be understood."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from sarzip.cli.examples import EXAMPLES
from sarzip.cli.main import _application

COMMANDS = typer.main.get_command(_application([])).commands


def arguments(line: str) -> list[str]:
    """What of an example goes to sarzip, which may stand anywhere in a pipeline."""
    words = shlex.split(line, comments=True)
    words = words[words.index("sarzip") + 1 :]
    ends = [words.index(mark) for mark in ("|", ">", "&&") if mark in words]
    return words[: min(ends, default=len(words))]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_understood(name):
    for line in EXAMPLES[name].splitlines():
        command, *rest = arguments(line)
        assert command == name
        COMMANDS[name].make_context(name, rest)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "models"])
def test_every_option_has_an_example(name):
    shown = {word for line in EXAMPLES[name].splitlines() for word in arguments(line)}
    options = [set(option.opts) for option in COMMANDS[name].params if option.param_type_name == "option"]
    assert [opts for opts in options if not opts & shown and "--help" not in opts] == []


def test_the_help_ends_with_them():
    done = subprocess.run(
        [sys.executable, "-m", "sarzip", "info", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "80"},
    )
    assert done.stdout.rstrip().endswith(EXAMPLES["info"].splitlines()[-1])
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_values(tmp_path: Path):
    (tmp_path / "sarzip").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sarzip "$@"\n')
    (tmp_path / "sarzip").chmod(0o755)
    script = """
        source <(sarzip --show-completion bash)
        complete() {
            COMP_WORDS=(sarzip "$@"); COMP_CWORD=$#; _sarzip_completion sarzip; echo "${COMPREPLY[@]}"
        }
        complete comp; complete compress --max; complete compress --effort b
    """
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ
        | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
    )
    assert done.stdout.splitlines() == ["compress compare", "--max-error-db --max-error", "best"]
