"""The Slurm script: what it asks for, and that bash and the command line read it as meant."""

import shlex
import subprocess
from pathlib import Path

import pytest

from trimtab.errors import RunFolderError
from trimtab.study import spec, store
from trimtab.study.slurm import Array, write


@pytest.fixture
def study():
    return spec.load(Path("studies/tiny.toml"))


def test_there_are_no_more_tasks_than_cells(study, tmp_path):
    folder = store.RunFolder(tmp_path)
    array = Array(workers=64, limit="01:00:00", memory="3G", options=("--partition=cpu",))
    text = write(study, folder, array, tmp_path / "tiny.toml").read_text()
    assert "#SBATCH --array=0-7\n" in text  # eight cells
    assert "#SBATCH --partition=cpu\n" in text
    assert "#SBATCH --requeue\n" in text
    assert text.splitlines()[0] == "#!/usr/bin/env bash"


def test_names_with_blanks_and_quotes_reach_the_command_whole(study, tmp_path):
    place = tmp_path / "my 'own' $study"
    place.mkdir()
    array = Array(workers=1, limit="1:00", memory="3G")
    script = write(study, store.RunFolder(place), array, place / "tiny.toml")
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    words = shlex.split(script.read_text().splitlines()[-1])
    assert words[-4:] == ["work", str(place / "tiny.toml"), "-o", str(place)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("options", ("partition=cpu",)), ("options", ("--x\nrm",)), ("limit", " "), ("memory", "4G\n#SBATCH --x")],
)
def test_what_would_be_another_line_is_refused(field, value):
    settings = {"workers": 1, "limit": "1:00", "memory": "1G", field: value}
    with pytest.raises(RunFolderError, match=r"option of sbatch|cannot stand in a line"):
        Array(**settings)
