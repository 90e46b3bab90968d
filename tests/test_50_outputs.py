"""Outputs: what may be replaced, temporary names, and what killed processes leave."""

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sarzip.errors import OutputError, UsageError
from sarzip.system.outputs import atomic_path, binary_output, check_destination, refuse_same_file
from sarzip.system.parts import SIDECARS, is_part, is_part_of, leftovers, part_path, remove_abandoned


def write(destination, content=b"new", force=False):
    with binary_output(destination, force) as file:
        file.write(content)


def left_by_a_dead_process(final):
    """The name of a part of a process that has ended."""
    code = (
        "import sys, pathlib; from sarzip.system.parts import *; print(part_path(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(final)]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def test_special_files_are_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for name in (
        pipe,
        link,
        Path("/dev/null"),
        Path("/dev/stdout"),
        Path("/proc/self/fd/1"),
        Path("/dev/new"),
    ):
        for force in (False, True):
            with pytest.raises(UsageError, match="use - to write to standard output"):
                write(name, force=force)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()


def test_a_link_to_nowhere_is_refused_before_the_work(tmp_path):
    link = tmp_path / "a.sarz"
    link.symlink_to("nowhere/a.sarz")
    with pytest.raises(UsageError, match="link to nowhere"):
        check_destination(link, force=False)
    write(link, force=True)
    assert link.read_bytes() == b"new" and not link.is_symlink()


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "kept").write_bytes(b"old")
    link = tmp_path / "a.sarz"
    link.symlink_to("kept")
    write(link, force=True)
    assert (tmp_path / "kept").read_bytes() == b"old" and link.read_bytes() == b"new"


@pytest.mark.parametrize("other", ["hard link", "symbolic link", "path"])
def test_an_output_is_not_its_input(tmp_path, other):
    source, same = tmp_path / "a.tif", tmp_path / "b.tif"
    source.touch()
    if other == "hard link":
        same.hardlink_to(source)
    elif other == "symbolic link":
        same.symlink_to(source)
    else:
        same = tmp_path / ".." / tmp_path.name / "a.tif"
    with pytest.raises(UsageError, match="is the input itself"):
        refuse_same_file(source, same)
    refuse_same_file(source, tmp_path / "c.tif", "-")
    refuse_same_file("https://example.org/a.tif", source)


@pytest.mark.parametrize("letter", ["y", "ü", "\udce9"])
def test_names_as_long_as_the_file_system_allows(tmp_path, letter):
    size = len(os.fsencode(letter))
    final = tmp_path / (letter * (250 // size) + ".sarz")
    assert len(os.fsencode(part_path(final).name + ".aux.xml")) <= 255
    write(final)
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [os.fsencode(final.name)]
    with pytest.raises(OutputError, match="too long for the file system"):
        write(tmp_path / (letter * (254 // size) + ".sarz"))


def test_a_name_that_leaves_no_room_for_its_sidecar(tmp_path):
    final = tmp_path / ("y" * 250 + ".tif")
    with pytest.raises(OutputError, match=r"belongs beside the output"), atomic_path(final) as part:
        part.touch()
        part.with_name(part.name + ".aux.xml").touch()
    assert not list(tmp_path.iterdir())


def test_sidecars_of_others_do_not_attach(tmp_path):
    final = tmp_path / "a.tif"
    for suffix in SIDECARS:
        beside = tmp_path / f"a.tif{suffix}"
        beside.symlink_to("nowhere")
        with pytest.raises(UsageError, match="would attach itself"):
            write(final)
        write(final, force=True)
        assert list(tmp_path.iterdir()) == [final]
        final.unlink()


@pytest.mark.parametrize(
    "name", ["a.tif", ".tif", "a", "a.b\nc.sarz", "x" * 300 + ".tif", "a." + "t" * 100, "ü" * 90]
)
def test_parts_are_known_by_their_names(name):
    final = Path(name)
    part = part_path(final)
    for suffix in ("", *SIDECARS):
        assert is_part(part.name + suffix) and is_part_of(part.with_name(part.name + suffix), final)
    assert is_part(part_path(part).name)
    assert part.suffix in (final.suffix, ".sarzip-part") and part.name.startswith(".")
    assert not is_part(final.name) and not is_part_of(part, Path("other.tif"))


def test_what_killed_processes_left_is_removed_by_the_next_output(tmp_path):
    dead = left_by_a_dead_process(tmp_path / "dead.tif")
    foreign = tmp_path / re.sub(r"\.[0-9a-f]{8}-", ".00000000-", part_path(tmp_path / "foreign.tif").name)
    stale = tmp_path / ".stale.00000000.sarzip-part.tif"
    own, other = part_path(tmp_path / "own.tif"), tmp_path / "sarzip-part.tif"
    for path in (dead, dead.with_name(dead.name + ".aux.xml"), foreign, stale, own, other):
        path.touch()
    os.utime(stale, (time.time() - 90_000,) * 2)
    found = {each.path.name: (each.owner, each.abandoned) for each in leftovers(tmp_path)}
    assert found == {
        dead.name: ("gone", True),
        dead.name + ".aux.xml": ("gone", True),
        foreign.name: ("unknown", False),
        stale.name: ("unknown", True),
        own.name: ("running", False),
    }
    write(tmp_path / "new.sarz")
    assert set(tmp_path.iterdir()) == {foreign, own, other, tmp_path / "new.sarz"}


def test_a_folder_that_cannot_be_read_is_no_obstacle(tmp_path):
    remove_abandoned(tmp_path / "missing")
