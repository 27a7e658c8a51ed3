"""Portions of work on a real cluster of two nodes: the same results as here, lost nodes, failures, and ended drivers.

The last test kills a node.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import LlamaConfig, LlamaForCausalLM

from trimtab.cli.main import main
from trimtab.cluster import connection, portions, remote_completer, remote_verdicts
from trimtab.errors import ClusterError
from trimtab.lm.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "two_ray_nodes.py"


@pytest.fixture(scope="module")
def nodes():
    """A cluster of two nodes of one core each on this machine, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as cluster:
        cluster.address, cluster.other = cluster.stdout.readline().split()
        yield cluster
        cluster.stdin.close()


def trimtab(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


SIMULATION = ("-s", "iid", "-s", "skewed", "-r", "LossFree(bias_update_rate=1e-2)", "-r", "NewtonBalancing()",
              "-c", "none", "-c", "1.0", "--shape", "64", "8", "2", "--steps", "24", "--seed", "0",
              "--seed", "1")  # fmt: skip


def test_a_simulation_has_the_same_figures_and_goes_on_after_its_driver_was_ended(nodes, tmp_path):
    here = trimtab("simulate", *SIMULATION, "--json", "--csv", tmp_path / "here.csv", "--plot", tmp_path / "here.svg")
    folder = tmp_path / "parts"
    files = ("--csv", tmp_path / "there.csv", "--plot", tmp_path / "there.svg")
    there = trimtab("simulate", *SIMULATION, "--json", *files, "-o", folder, "--ray", nodes.address)
    assert json.loads(there.stdout) == json.loads(here.stdout)
    assert len(json.loads(here.stdout)) == 2 * 2 * 2 * 2
    for name in ("csv", "svg"):
        assert (tmp_path / f"there.{name}").read_bytes() == (tmp_path / f"here.{name}").read_bytes()
    parts = sorted(folder.iterdir())
    assert len(parts) == 8
    whole = parts[3].read_bytes()
    parts[3].unlink()  # as a driver leaves it that was ended before this arm came back
    again = trimtab("simulate", *SIMULATION, "--json", "-o", folder)
    assert again.stdout == here.stdout
    assert "1 of 1" in again.stderr
    assert parts[3].read_bytes() == whole


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model with a tokenizer, as transformers saves them."""
    folder = tmp_path_factory.mktemp("model")
    texts = ["def f(x):\n    return x + 1\n", 'def g(y):\n    """Doc."""\n    return [y]\n'] * 40
    tokenizer = Tokenizer.train(texts, 300)
    tokenizer.save(folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>", "bos_token": "<bos>"})
    )
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(**shape, vocab_size=tokenizer.vocab_size, bos_token_id=1, eos_token_id=2)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


EVALUATION = ("-b", "humaneval", "--max-new-tokens", "6", "--batch-size", "48", "--temperature", "0.7", "-j", "1",
              "--packages", "none", "--threads", "1")  # fmt: skip


def outcomes(folder):
    lines = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    verdicts = [line for line in lines if "attestation" not in line]
    varying = {"cpu_s", "memory_mib"}
    return [{key: value for key, value in verdict.items() if key not in varying} for verdict in verdicts]


def test_an_evaluation_has_the_same_samples_and_verdicts_and_goes_on(nodes, model, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    trimtab("eval", model, *EVALUATION, "-o", here)
    there.mkdir()
    whole = (here / "samples.jsonl").read_bytes()
    (there / "eval.json").write_bytes((here / "eval.json").read_bytes())
    # As a driver leaves it that was ended within the second batch: its samples are drawn again, together.
    (there / "samples.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:60]) + b'{"benchmark": "huma')
    done = trimtab("eval", model, *EVALUATION, "-o", there, "--ray", nodes.address)
    assert (there / "samples.jsonl").read_bytes() == whole
    assert outcomes(there) == outcomes(here)
    assert len(outcomes(here)) == 164
    assert "humaneval: 164 of 164" in done.stderr
    judged = tmp_path / "judged"
    trimtab("judge", here / "samples.jsonl", "-b", "humaneval", "-j", "1", "--packages", "none", "-o", judged,
            "--ray", nodes.address)  # fmt: skip
    assert outcomes(judged) == outcomes(here)


@pytest.fixture(scope="module")
def runner(nodes):
    """A connection that the following tests share."""
    with portions.opened(nodes.address) as opened:
        yield opened


HABITS = portions.PortionHabits(address="", memory_mib=256)


def shell(name, script):
    return name, {"args": ["sh", "-c", script], "text": True}


def test_nodes_that_do_not_fit_are_named_before_any_portion_is_run(runner, model, tmp_path):
    runner.examine()
    wanted = remote_completer.identity(str(model))
    check = "trimtab.cluster.remote_completer:unfit"
    runner.examine(check, model=str(model), wanted=wanted)
    with pytest.raises(ClusterError, match=r"node .* cannot do this work: it has no model .*nowhere"):
        runner.examine(check, model=str(tmp_path / "nowhere"), wanted=wanted)
    with pytest.raises(ClusterError, match="has other weights than the driver's"):
        runner.examine(check, model=str(model), wanted="another")
    options = {"tier": "auto", "allow_unsandboxed": False, "packages": [], "profile": "auto"}
    with pytest.raises(ClusterError, match=r"with python 3[\d.]+, here with python 2.7"):
        runner.examine(
            "trimtab.cluster.remote_verdicts:unfit",
            options=options,
            driver={"tier": tier_here(), "profile": "threads" if tier_here() == "A" else "pure", "python": "2.7"},
        )
    with pytest.raises(ClusterError, match="other source files"):
        connection.examine_nodes(
            runner._ray, "trimtab.cluster.portions:unfit", {"source": "x", "check": "", "facts": {}}
        )


def tier_here():
    with remote_verdicts.Sandbox(profile="auto") as box:
        return box.attestation["tier"]


def test_what_no_node_holds_is_refused_and_not_waited_for(runner):
    with pytest.raises(ClusterError, match=r"no node holds a task of 64 CPU and 1024 MiB: 1 CPU and 2048 MiB, 1 CPU"):
        list(runner.run("os:getcwd", [("p", {})], portions.PortionHabits(address="", threads=64)))
    with pytest.raises(ClusterError, match="and 2 GPU"):
        list(runner.run("os:getcwd", [("p", {})], portions.PortionHabits(address="", gpus=2)))


def test_results_come_in_order_and_threads_are_what_was_asked_for(runner):
    work = [("slow", {"args": ["sh", "-c", "sleep 1; echo $OMP_NUM_THREADS $MKL_NUM_THREADS"]})]
    work += [("fast", {"args": ["sh", "-c", f"echo {n}"]}) for n in range(5)]
    answers = list(runner.run("subprocess:check_output", work, HABITS))
    assert answers == [b"1 1\n", b"0\n", b"1\n", b"2\n", b"3\n", b"4\n"]


@pytest.mark.parametrize(
    ("end", "why"),
    [("exit 3", "non-zero exit status 3"), ("kill -9 $PPID; sleep 9", "the process that computed it ended")],
)
def test_a_portion_that_fails_by_itself_is_run_once(runner, tmp_path, end, why):
    with pytest.raises(ClusterError, match=rf"^p failed on .*(\n|.)*{why}"):
        list(runner.run("subprocess:check_output", [shell("p", f"echo run >> {tmp_path}/log; {end}")], HABITS))
    time.sleep(1)
    assert (tmp_path / "log").read_text() == "run\n"


def test_portions_of_a_node_that_is_killed_are_run_on_the_other(runner, nodes, tmp_path):
    """Each of two portions waits for the other to have begun, so that each node has one; then a node is killed."""
    begin = f"echo $PPID > {tmp_path}/%d.parent; echo run >> {tmp_path}/%d;"
    script = f"{begin} while ! [ -e {tmp_path}/killed ]; do sleep 0.1; done; echo %d"
    answers = runner.run("subprocess:check_output", [shell("p", script % (n, n, n)) for n in range(2)], HABITS)
    killer = subprocess.Popen(  # when both have begun, and after that lets them end
        [sys.executable, "-c", KILLER, tmp_path, str(nodes.stdin.fileno()), str(nodes.stdout.fileno())],
        pass_fds=(nodes.stdin.fileno(), nodes.stdout.fileno()),
    )
    assert list(answers) == ["0\n", "1\n"]
    assert killer.wait() == 0
    runs = sorted((tmp_path / str(n)).read_text() for n in range(2))
    assert runs == ["run\n", "run\nrun\n"]


KILLER = """
import os, sys, time
from pathlib import Path
place = Path(sys.argv[1])
while not all((place / name).exists() for name in "01"):
    time.sleep(0.1)
parents = [(place / f"{n}.parent").read_text().strip() for n in range(2)]
os.write(int(sys.argv[2]), b"kill\\n")
said = b""
try:
    while b"killed\\n" not in said:  # Ray may say something before
        more = os.read(int(sys.argv[3]), 4096)
        assert more, said
        said += more
    while all(Path("/proc", parent).exists() for parent in parents):  # until the one on the killed node is gone
        time.sleep(0.1)
finally:
    (place / "killed").touch()  # the portions end whatever happened here
"""
