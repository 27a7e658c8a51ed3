"""One lab for the room, and self-invoking problems with planted faults."""

import pytest

from trimtab.codeeval import benchmark_readers
from trimtab.codeeval.selfinvoke.program_lab import Lab

RECORD = {
    "raw_problem": "def double(x):\n    '''Twice x.'''\n",
    "raw_solution": "    return x + x\n",
    "new_problem": "# Let total_double return the sum of the doubles of a list.\ndef total_double(xs):\n",
    "new_solution": "    return sum(double(x) for x in xs)\n",
    "test_code": "assert total_double([1, 2]) == 6\nassert total_double([5]) == 10\nassert total_double([]) == 0\n",
}


@pytest.fixture(scope="session")
def lab():
    with Lab() as running:
        yield running


@pytest.fixture
def pro():
    """Make a self-invoking problem, sound but for the fields that are given."""

    def make(**fields):
        return benchmark_readers.self_invoking(RECORD | fields, "made/0", "base/0", "made")

    return make
