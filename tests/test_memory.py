"""Free memory is the least that the machine and every cgroup around this process have left."""

from pathlib import Path

import pytest

from pipeline.machine_memory import available_memory

MEGABYTE = 2**20


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def machine(proc: Path, memberships: str = "", free_kilobytes: int = 1000 * 1024) -> None:
    write(proc, meminfo=f"MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:  {free_kilobytes} kB\n")
    write(proc / "self", cgroup=memberships)


def version_2(folder: Path, limit: str, usage: int, cache: int) -> None:
    stat = f"anon 1\ninactive_file {cache * MEGABYTE}\nactive_file 5\n"
    files = {"memory__max": f"{limit}\n", "memory__current": f"{usage * MEGABYTE}\n"}
    write(folder, memory__stat=stat, **files)


def available(tmp_path: Path) -> int | None:
    return available_memory(tmp_path / "proc", tmp_path / "cgroups")


def test_without_limits_it_is_what_the_machine_has(tmp_path: Path) -> None:
    machine(tmp_path / "proc")
    assert available(tmp_path) == 1000 * MEGABYTE


def test_a_limit_of_version_2_counts_cached_files_as_free(tmp_path: Path) -> None:
    machine(tmp_path / "proc", "0::/job\n")
    version_2(tmp_path / "cgroups/job", str(500 * MEGABYTE), 300, 100)
    assert available(tmp_path) == 300 * MEGABYTE


def test_a_limit_further_up_counts_too(tmp_path: Path) -> None:
    machine(tmp_path / "proc", "0::/user/job\n")
    version_2(tmp_path / "cgroups/user/job", "max", 10, 0)
    version_2(tmp_path / "cgroups/user", str(200 * MEGABYTE), 50, 0)
    assert available(tmp_path) == 150 * MEGABYTE


def test_inside_a_container_the_limit_is_at_the_root(tmp_path: Path) -> None:
    machine(tmp_path / "proc", "0::/../../of/the/host\n")
    version_2(tmp_path / "cgroups", str(64 * MEGABYTE), 4, 0)
    assert available(tmp_path) == 60 * MEGABYTE


@pytest.mark.parametrize(
    ("limit", "expected"), [(300 * MEGABYTE, 220), (9223372036854771712, 1000)]
)
def test_a_limit_of_version_1_is_known_too(tmp_path: Path, limit: int, expected: int) -> None:
    machine(tmp_path / "proc", "5:cpu:/job\n4:memory:/job\n0::/\n")
    folder = tmp_path / "cgroups/memory/job"
    write(folder, memory__limit_in_bytes=str(limit), memory__stat=f"total_inactive_file {MEGABYTE}")
    write(folder, memory__usage_in_bytes=str(81 * MEGABYTE))
    assert available(tmp_path) == expected * MEGABYTE


def test_more_used_than_allowed_is_nothing_left(tmp_path: Path) -> None:
    machine(tmp_path / "proc", "0::/\n")
    version_2(tmp_path / "cgroups", str(10 * MEGABYTE), 11, 0)
    assert available(tmp_path) == 0


def test_without_such_files_nothing_is_known(tmp_path: Path) -> None:
    assert available(tmp_path) is None


def test_of_this_machine_it_is_a_number_of_bytes() -> None:
    found = available_memory()
    assert found is None or 2**20 < found < 2**50
