"""lme4 orders crossed effects alike in every process that this library starts R in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rbridge_mi import rdoor
from rbridge_mi.rdoor.lme4_library import mapped_size

pytestmark = [
    pytest.mark.r,
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere addresses are not chosen"),
]


def mapped(lines: list[str]) -> tuple[Path, int, int]:
    """Return lme4's library, and its first address and its last, of a process' mappings."""
    of_library = [x.split() for x in lines if x.rstrip().endswith("/lme4.so")]
    addresses = [int(x, 16) for line in of_library for x in line[0].split("-")]
    return Path(of_library[0][-1]), addresses[0], addresses[-1]


IN_A_PROCESS = """
from rbridge_mi import rdoor
order = rdoor.call("crossed_order").value.tolist()
print(order)
with open("/proc/self/maps") as maps:
    print(maps.read())
"""


def test_processes_do_not_toss_for_the_order_of_crossed_effects() -> None:
    orders = set()
    for _ in range(4):
        ran = subprocess.run(
            [sys.executable, "-c", IN_A_PROCESS], capture_output=True, check=True, text=True
        )
        order, *lines = ran.stdout.splitlines()
        orders.add(order)
        assert mapped(lines)[1] >> 31 & 1 == 1
    assert len(orders) == 1


# Addresses as they are where a boundary of bit 31 runs through the gaps of a process: above the
# first large gap, whose bit 31 is 1, there is one where it is 0, half as large again as the
# library, and above that one where it is 1, half as large as the library.
AT_A_BOUNDARY = """
import ctypes, sys
from rbridge_mi.rdoor.lme4_library import load_steadily

c = ctypes.CDLL(None)
c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *3 * [ctypes.c_int], ctypes.c_long]
c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
KB, MB = 2**10, 2**20
library, size = sys.argv[1], int(sys.argv[2])

def reserve(size):
    return c.mmap(None, size, 0, 0x4022, -1, 0)

def reserve_until(bit):
    while True:
        start = reserve(64 * MB)
        if start >> 31 & 1 == bit and start + 64 * MB - 1 >> 31 & 1 == bit:
            return start

first_one = reserve_until(1)
first_zero = reserve_until(0)
next_one = reserve_until(1)
for smaller in (8 * MB, MB, 64 * KB):
    while reserve(smaller) > next_one:
        pass
c.munmap(first_one + 8 * MB, size // 2)
c.munmap(first_zero + 8 * MB, size * 3 // 2)
load_steadily(library)
with open("/proc/self/maps") as maps:
    print(maps.read())
"""


@pytest.fixture(scope="module")
def library() -> Path:
    rdoor.require_package("lme4", "the test")
    return mapped(Path("/proc/self/maps").read_text("utf-8").splitlines())[0]


def test_nor_where_gaps_lie_on_both_sides_of_a_boundary(library: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", AT_A_BOUNDARY, library, str(mapped_size(library))],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert mapped(ran.stdout.splitlines())[1] >> 31 & 1 == 1


def test_the_size_of_a_library_is_what_the_system_maps(library: Path, tmp_path: Path) -> None:
    _, start, end = mapped(Path("/proc/self/maps").read_text("utf-8").splitlines())
    # Zeros at a library's end are not in its file, and the whole pages of them have no name.
    assert end - start <= mapped_size(library) <= end - start + 2**16
    (tmp_path / "no.so").write_bytes(b"nothing of the kind")
    with pytest.raises(OSError, match=r"no\.so is no shared library"):
        mapped_size(tmp_path / "no.so")
