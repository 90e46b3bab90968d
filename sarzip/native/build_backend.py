"""PEP 517 backend: scikit-build-core, with a compiler from a wheel where the machine has none.

Run as a script it builds the kernels in place, for a checkout that is used without being installed:

    python sarzip/native/build_backend.py
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_COMPILERS = ("cc", "gcc", "clang")
_COMPILER_WHEEL = "ziglang>=0.13"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return [*_backend().get_requires_for_build_wheel(config_settings), *_compiler_requirement()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    return [*_backend().get_requires_for_build_editable(config_settings), *_compiler_requirement()]


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    requires: list[str] = _backend().get_requires_for_build_sdist(config_settings)
    return requires


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Any = None) -> str:
    name: str = _backend().prepare_metadata_for_build_wheel(metadata_directory, config_settings)
    return name


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Any = None) -> str:
    name: str = _backend().prepare_metadata_for_build_editable(metadata_directory, config_settings)
    return name


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    _choose_compiler()
    name: str = _backend().build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    _choose_compiler()
    name: str = _backend().build_editable(wheel_directory, config_settings, metadata_directory)
    return name


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    name: str = _backend().build_sdist(sdist_directory, config_settings)
    return name


def build_in_place(folder: Path = _HERE) -> Path:
    """Build the library into `folder`, with cmake from the PATH; the build tree is thrown away."""
    _choose_compiler()
    with tempfile.TemporaryDirectory() as tree:
        configure = ["cmake", "-S", str(_HERE), "-B", tree, "-DCMAKE_BUILD_TYPE=Release"]
        subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["cmake", "--build", tree, "--parallel"], check=True, stdout=subprocess.DEVNULL)
        # Renamed into place: a process that has the old library open keeps it.
        fresh = folder / "_kernels.so.new"
        shutil.copy(Path(tree) / "_kernels.so", fresh)
        return fresh.replace(folder / "_kernels.so")


def _backend() -> Any:
    from scikit_build_core import build

    return build


def _has_compiler() -> bool:
    return "CC" in os.environ or any(shutil.which(name) for name in _COMPILERS)


def _compiler_requirement() -> list[str]:
    return [] if _has_compiler() else [_COMPILER_WHEEL]


def _choose_compiler() -> None:
    """Name the compiler of the wheel to cmake where the machine has none."""
    if not _has_compiler() and importlib.util.find_spec("ziglang"):
        os.environ["CC"] = f"{sys.executable} -m ziglang cc -mcpu=baseline"


if __name__ == "__main__":
    print(build_in_place())
