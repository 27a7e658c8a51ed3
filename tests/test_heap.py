import subprocess
import sys

import pytest

from trimtab.heap import keep_freed_memory

# Four blocks of 32 MiB are taken, filled and freed, again and again; the page faults of the last round are printed.
ROUNDS = """
import resource, sys
import torch
from trimtab.heap import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(2**23) for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="this C library cannot be told")
def test_freed_memory_is_not_taken_from_the_kernel_anew():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", ROUNDS, how], capture_output=True, check=True, text=True).stdout)
        for how in ("keep", "plain")
    }
    assert faults["keep"] < 100 < faults["plain"]
