"""What a use case takes of the machine: cores, memory, and what its container grants of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sarzip.pipeline import memory
from sarzip.system import machine as runtime
from sarzip.system import memory as cgroup


@pytest.fixture
def group(tmp_path):
    """Function that makes control groups: the lines of /proc/self/cgroup, and files by path."""

    def make(own: str, files: dict[str, str]) -> cgroup.Listing:
        listing, mounted = tmp_path / "own", tmp_path / "cgroup"
        listing.write_text(own)
        for name, text in files.items():
            path = mounted / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return cgroup.Listing(listing, mounted)

    return make


def test_version_2_counts_every_group_around(group):
    stat = "anon 50\ninactive_file 300\n"
    outer = {
        "memory.max": "5000\n",
        "memory.current": "4500\n",
        "memory.stat": stat,
        "cpu.max": "150000 100000",
    }
    inner = {"memory.max": "max\n", "memory.current": "400\n", "memory.stat": stat, "cpu.max": "max 100000\n"}
    found = group(
        "0::/slice/job\n",
        {f"slice/{name}": text for name, text in outer.items()}
        | {f"slice/job/{name}": text for name, text in inner.items()},
    )
    assert cgroup.free_memory(found) == 5000 - 4500 + 300
    assert cgroup.cores(found) == 2


def test_version_1_in_a_container(group):
    """Whose paths are those of the machine outside."""
    found = group(
        "4:memory:/docker/0123\n2:cpu,cpuacct:/docker/0123\n1:name=systemd:/x\n0::/\n",
        {
            "memory/memory.limit_in_bytes": "1000",
            "memory/memory.usage_in_bytes": "1300",
            "memory/memory.stat": "total_inactive_file 100\n",
            "cpu/cpu.cfs_quota_us": "400000",
            "cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert cgroup.free_memory(found) == 0
    assert cgroup.cores(found) == 4


def test_without_limits_or_without_control_groups(group, tmp_path, monkeypatch):
    found = group(
        "1:cpu:/\n0::/\n",
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000", "memory.max": "max"},
    )
    for listing in (found, found._replace(own=tmp_path / "nothing")):
        assert (cgroup.free_memory(listing), cgroup.cores(listing)) == (None, None)
    monkeypatch.setattr(cgroup, "free_memory", lambda: None)
    assert memory.available_memory() == pytest.approx(memory.machine_memory(), rel=0.2)


@pytest.mark.parametrize(("granted", "expected"), [(None, 6), (2, 2), (64, 6)])
def test_threads_by_default(granted, expected, monkeypatch):
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(cgroup, "cores", lambda: granted)
    assert runtime.choose_machine("cpu").threads == expected
    assert runtime.choose_machine("cpu", 17).threads == 17


def test_a_limit_lowers_what_is_available(monkeypatch):
    monkeypatch.setattr(cgroup, "free_memory", lambda: 12345)
    assert memory.available_memory() == 12345


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_peak_memory_is_not_that_of_the_parent():
    program = "from sarzip.system.machine import peak_memory; print(peak_memory())"
    large = bytearray(400 << 20)
    large[::4096] = b"x" * len(large[::4096])
    found = int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    assert 1 << 20 < found < 200 << 20
