"""Twenty-four tiny cells three ways, and the results must be the same bytes.

On local processes; on two Ray nodes of which one is killed; by three workers on one folder, of which one is killed.
Times and takeovers are printed and stand in ``benchmarks/results/beyond_one_machine.json``.

    python benchmarks/beyond_one_machine.py [FOLDER [local] [ray] [workers]]
"""

import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "beyond_one_machine.json"
PACKAGES = ("trimtab", "torch", "transformers", "accelerate", "ray")
STUDY = """
name = "shared"

[factors]
balancer = ["loss_free", "aux_global"]
expert_init = ["random", "skewed"]
capacity = ["dropless", "tight"]
seed = [0, 1, 2]

[reference]
expert_init = "random"
capacity = "dropless"

[contrast]
treatment = "loss_free"
control = "aux_global"

[endpoints]
primary = "python_loss"
secondary = ["micro_pass1"]

[margins]
python_loss = 0.02

[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.01

[balancers.aux_global]
rule = "switch"
coef = 0.01

[expert_inits.random]

[expert_inits.skewed]
kind = "skewed_router"

[capacities.dropless]

[capacities.tight]
factor = 1.0

[models.tiny]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 48
moe_intermediate_size = 16
num_experts = 4

[data]
vocab_size = 512
rows = 4
row_length = 64
python_bytes = 300000
heldout_bytes = 40000
micro_samples = 400

[training]
steps = 120
warmup_steps = 4
checkpoint_every = 20

[evaluation]
micro_problems = 24
micro_pro_problems = 0
python_windows = 20
generation_batch = 24
max_new_tokens = 24
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def command(verb, study, folder, *options):
    return [sys.executable, "-P", "-m", "trimtab", verb, str(study), "-o", str(folder), *options]


def start(verb, study, folder, *options):
    return subprocess.Popen(
        command(verb, study, folder, *options),
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=3600):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise SystemExit("waited in vain")
        time.sleep(0.1)
    return answer


def holders(folder):
    """Return cell → worker and tag of its first lease, of cells that have trained a step and have no result."""
    found = {}
    for path in folder.glob("leases/*/1.json"):
        cell = folder / "cells" / path.parent.name
        log = cell / "train.jsonl"
        text = path.read_text()
        if text and log.exists() and log.stat().st_size and not (cell / "result.json").exists():
            found[path.parent.name] = json.loads(text)
    return found


def results(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("cells/*/result.json")}


def takeovers(folder):
    lines = []
    for cell in sorted((folder / "leases").iterdir()):
        records = [json.loads(path.read_text()) for path in sorted(cell.iterdir())]
        if len(records) > 1:
            lines.append(f"  {cell.name}: " + " -> ".join(f"{r['worker']} ({r['state']})" for r in records))
    return lines


def measured(run, *arguments):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    answer = run(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return answer, time.monotonic() - began, cpu


def locally(study, folder):
    running = start("run", study, folder, "--no-report")
    _, errors = running.communicate()
    if running.returncode:
        raise SystemExit(errors)
    return errors


def on_ray(study, folder):
    with subprocess.Popen(
        [sys.executable, str(HERE / "two_ray_nodes.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nodes:
        address, node = nodes.stdout.readline().split()
        running = start("run", study, folder, "--no-report", "--ray", address)
        wait_for(lambda: len(results(folder)) >= 6 and any(r.get("tag") == node for r in holders(folder).values()))
        nodes.stdin.write("kill\n")
        nodes.stdin.flush()
        _, errors = running.communicate()
        nodes.stdin.close()
    if running.returncode:
        raise SystemExit(errors)
    return errors


def by_workers(study, folder):
    workers = [start("work", study, folder, "--lease", "12") for _ in range(3)]
    wait_for(lambda: len(results(folder)) >= 6 and holders(folder))
    pid = {
        int(record["worker"].rpartition(":")[2]) for record in holders(folder).values() if record["state"] == "running"
    }
    killed = next(worker for worker in workers if worker.pid in pid)
    killed.kill()
    said = [worker.communicate()[1] for worker in workers]
    if any(worker.returncode for worker in workers if worker is not killed):
        raise SystemExit("\n".join(said))
    return "\n".join(said)


def note(name, **measured):
    """Add one way of running to the file of results, in place of what it said of that way before."""
    RESULTS.parent.mkdir(exist_ok=True)
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    record["command"] = "python benchmarks/beyond_one_machine.py"
    record["versions"] = {package: importlib.metadata.version(package) for package in PACKAGES}
    record["machine"] = {"cores": os.cpu_count(), "python": platform.python_version()}
    record.setdefault("runs", {})[name] = measured
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


def main():
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    place.mkdir(parents=True, exist_ok=True)
    study = place / "shared.toml"
    study.write_text(STUDY)
    for name, run in (("local", locally), ("ray", on_ray), ("workers", by_workers)):
        folder = place / name
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        folder.mkdir(exist_ok=True)
        before = len(results(folder))  # a run that was ended goes on
        if name != "local" and not (folder / "cache").exists():
            (folder / "cache").symlink_to(place / "local" / "cache")
        said, wall, cpu = measured(run, study, folder)
        cells = len(results(folder)) - before
        notes = [line for line in said.splitlines() if line.startswith(("taken over", "failed", "lost"))]
        same = results(folder) == results(place / "local")
        note(
            name,
            cells=cells,
            wall_s=round(wall),
            **{"cpu_s of the driver alone" if name == "ray" else "cpu_s": round(cpu)},
            load=round(os.getloadavg()[0], 1),
            same_bytes_as_local=same,
            retries=notes + ([] if name == "local" else [line.strip() for line in takeovers(folder)]),
        )
        alone = " of the driver alone" if name == "ray" else ""
        load = os.getloadavg()[0]
        print(f"{name}: {cells} cells, {wall:.0f} s wall, {cpu:.0f} CPU s{alone}, load {load:.1f}")
        if name != "local":
            print(f"  results are the bytes of the local run: {same}")
            print("\n".join([*(f"  {line}" for line in notes), *takeovers(folder)]), flush=True)
            if not same:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
