"""Machine code of compiled functions on disk, loaded without numba.

numba keeps machine code as well, but loading it takes the whole compiler, whose import and registries cost
half a second: as long as coding a scene of 10 MPix. What the code itself needs is LLVM's loader and three of
numba's extension modules, which are there in a hundredth of a second.

A file holds one function: a line of JSON, then an object file with the function as CPython calls it. It is
good for one processor, one installation of numba and one source tree with the contents it was made from.
Whatever is wrong with it, the function is compiled anew.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

Function = Callable[..., Any]

_PACKAGE = Path(__file__).parents[1]
_PREFIX = "sarzip."


class Store:
    """The machine code of one function on disk."""

    def __init__(self, function: Function, signature: str) -> None:
        self._source = Path(function.__code__.co_filename)
        tree = hashlib.sha256(str(self._source).encode()).hexdigest()[:8]
        self._name = (
            f"{self._source.stem}.{function.__qualname__}.{tree}.{sys.implementation.cache_tag}.machine"
        )
        self._folders = (self._source.parent / "__pycache__", _user_cache())
        self._signature = signature
        self._function = function

    def load(self) -> Function | None:
        """The function, or None where there is none on disk for this machine and these sources."""
        for folder in self._folders:
            # Among others RuntimeError of LLVM, and whatever another release of numba has changed.
            with contextlib.suppress(Exception):
                head, _, code = (folder / self._name).read_bytes().partition(b"\n")
                told = json.loads(head)
                # Two source trees may share a cache: what was compiled from another one is not this function.
                own = str(self._source) in told["sources"]
                current = all(_digest(Path(path)) == digest for path, digest in told["sources"].items())
                whole = told["checksum"] == zlib.crc32(code)
                if own and current and whole and told["for"] == [self._signature, *_machine()]:
                    return _Loader.shared().load(code, told, self._function)
        return None

    def save(self, overload: Any) -> None:
        """Keep what numba compiled (its CompileResult), if it can be loaded again and a folder be written."""
        with contextlib.suppress(Exception):
            code = overload.library.serialize_using_object_code()[2][0]
            if overload.environment.consts:
                return
            told = {
                "for": [self._signature, *_machine()],
                "checksum": zlib.crc32(code),
                "sources": {str(path): _digest(path) for path in _sources(self._source)},
                "entry": overload.fndesc.llvm_cpython_wrapper_name,
                "environment": overload.environment.env_name,
                "symbols": sorted(_symbols(overload.library.get_llvm_str())),
            }
            content = json.dumps(told).encode() + b"\n" + code
            for folder in self._folders:
                with contextlib.suppress(OSError):
                    _write(folder / self._name, content)
                    return


class _Loader:
    """LLVM's loader of object files, with what numba's code calls; not for many threads at once."""

    def __init__(self) -> None:
        # As numba.core does: base._load_global_helpers, runtime.nrt, codegen.JITCPUCodegen.
        import llvmlite.binding as llvm

        self._llvm = llvm
        self._dynfunc, helpers, runtime = map(
            _numba_extension, ("_dynfunc", "_helperlib", "core.runtime._nrt_python")
        )
        if "numba" not in sys.modules:
            runtime.memsys_use_cpython_allocator()
        symbols = {f"PyExc_{name}": id(each) for name, each in vars(builtins).items()}
        symbols["_Py_NoneStruct"] = id(None)
        for name, address in (helpers.c_helpers | self._dynfunc.c_helpers).items():
            symbols[f"numba_{name}"] = address
        for name, address in runtime.c_helpers.items():
            symbols[name if name.startswith("_") else f"NRT_{name}"] = address
        for name, address in symbols.items():
            llvm.add_symbol(name, address)
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple().create_target_machine(codemodel="jitdefault", jit=True)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)

    @staticmethod
    @functools.cache
    def shared() -> _Loader:
        """The one of this process."""
        return _Loader()

    def load(self, code: bytes, told: dict[str, Any], source: Function) -> Function:
        """The function in an object file. Raises LookupError where something that it calls is missing."""
        for symbol in told["symbols"]:
            # LLVM ends the process where one is missing.
            if not self._llvm.address_of_symbol(symbol):
                raise LookupError(symbol)
        self._engine.add_object_file(self._llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        environment = self._dynfunc.Environment({})
        place = self._engine.get_global_value_address(told["environment"])
        ctypes.c_void_p.from_address(place).value = id(environment)
        entry = self._engine.get_function_address(told["entry"])
        keep = (self._engine, environment)
        module = sys.modules[source.__module__]
        function: Function = self._dynfunc.make_function(
            module, source.__name__, source.__doc__ or "", entry, environment, keep
        )
        return function


def _numba_extension(name: str) -> ModuleType:
    """An extension module of numba, without the package around it."""
    full = f"numba.{name}"
    if full in sys.modules:
        return sys.modules[full]
    path = _numba_folder().joinpath(*name.split(".")).with_suffix(_suffix())
    spec = importlib.util.spec_from_file_location(full, path, loader=ExtensionFileLoader(full, str(path)))
    assert spec is not None and spec.loader is not None  # a loader is given
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def _numba_folder() -> Path:
    spec = importlib.util.find_spec("numba")
    if spec is None or spec.origin is None:
        raise ImportError("numba is not installed")
    return Path(spec.origin).parent


@functools.cache
def _suffix() -> str:
    return next(each for each in EXTENSION_SUFFIXES if (_numba_folder() / f"_dynfunc{each}").exists())


@functools.cache
def _machine() -> list[Any]:
    """What machine code depends on besides its source."""
    import llvmlite.binding as llvm

    chosen = [os.environ.get(name) for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT")]
    installed = [*_stamp(_numba_folder() / "_version.py"), *_stamp(_numba_folder() / f"_dynfunc{_suffix()}")]
    features = zlib.crc32(llvm.get_host_cpu_features().flatten().encode())
    return [llvm.get_host_cpu_name(), features, *chosen, llvm.llvm_version_info[0], *installed]


@functools.cache
def _digest(path: Path) -> str:
    """SHA-256 of a source: times and sizes do not tell trees apart whose times were made equal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _stamp(path: Path) -> list[int]:
    """What tells that a file has changed; a list as JSON has no tuples."""
    status = path.stat()
    return [status.st_mtime_ns, status.st_size]


def _sources(first: Path) -> set[Path]:
    """A source file and all modules of this package that it imports, whose constants and functions may be
    part of its machine code.
    """
    found, waiting = set(), [first]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        waiting += [(_PACKAGE / name.replace(".", "/")).with_suffix(".py") for name in _imported(path)]
    return found


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(_PREFIX):
            below = str(node.module)[len(_PREFIX) :]
            yield from [below, *(f"{below}.{alias.name}" for alias in node.names)]


def _symbols(assembly: str) -> set[str]:
    """Names that a module in LLVM's language needs from outside."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(assembly)
    named = [*module.functions, *module.global_variables]
    return {each.name for each in named if each.is_declaration and not each.name.startswith("llvm.")}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sarzip"
