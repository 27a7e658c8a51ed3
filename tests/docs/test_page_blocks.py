"""Every code block of the pages runs, or says why not and is checked as far as that goes."""

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from trimtab.cli.main import main
from trimtab.errors import BenchmarkError

ROOT = Path(__file__).parents[2]
# Names that a block which is not run leaves to the reader.
READERS_OWN = {"train_dataset", "format_reward", "GRPOTrainer"}
# Words that begin a command and are not ours; what they name is checked where it can be.
OTHER_COMMANDS = {"source", "git", "make", "pip", "python", "cp", "cd", "lm_eval", "T", "bash", "ls"}


def of(*languages):
    location = importlib.util.spec_from_file_location("page_blocks", Path(__file__).with_name("page_blocks.py"))
    module = importlib.util.module_from_spec(location)
    sys.modules["page_blocks"] = module
    location.loader.exec_module(module)
    return [block for block in module.blocks() if block.language in languages]


def pages_with(*languages):
    by_page = {}
    for block in of(*languages):
        by_page.setdefault(block.page, []).append(block)
    return [pytest.param(on_page, id=page) for page, on_page in by_page.items()]


def test_every_block_has_a_language_that_is_checked():
    checked = {"python", "console", "toml", "yaml", "text", ""}
    assert not {(block.page, block.line) for block in of("bash", "sh", "json", "shell")}
    assert len(of(*checked)) > 60


def reference_function(name):
    from trimtab.codeeval import problems  # noqa: PLC0415 - only where a page calls a benchmark's function

    for benchmark in ("humaneval", "mbpp-full"):
        try:
            tasks = problems.load(benchmark).problems
        except BenchmarkError as error:
            pytest.skip(f"{name} is of {benchmark}: {error}")
        for task in tasks:
            if task.entry_point == name:
                namespace = {}
                before = task.prompt if benchmark == "humaneval" else ""
                exec(before + task.canonical_solution, namespace)  # noqa: S102 - a published reference
                return namespace[name]
    raise AssertionError(f"{name} is neither defined on its page nor given")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("on_page", pages_with("python"))
def test_python_of_a_page_runs_from_top_to_bottom(  # noqa: PLR0917 - fixtures
    on_page, pages, givens, reader_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-dense-model").symlink_to(reader_folder / "my-dense-model")
    namespace = {"__name__": "page"}
    texts = {(block.page, block.line): block.text for block in of("text")}
    for block in on_page:
        where = f"{block.page}:{block.line}"
        missing = pages.free_names(block.text) - set(namespace)
        if not block.runs:
            compile(block.text, where, "exec")
            assert missing <= set(givens) | READERS_OWN, f"{where}: {missing - set(givens) - READERS_OWN}"
            imports_resolve(block.text)
            continue
        for name in sorted(missing):
            namespace[name] = givens[name]() if name in givens else reference_function(name)
        capsys.readouterr()
        exec(compile(block.text, where, "exec"), namespace)  # noqa: S102 - our own pages
        shown = texts.get((block.page, block.line + block.text.count("\n") + 3))  # right below it, a blank line between
        if shown:
            assert capsys.readouterr().out.split() == shown.split(), where


def imports_resolve(source):
    for module, names in re.findall(r"^from (trimtab[\w.]*) import (.+?)(?:  #.*)?$", source, flags=re.MULTILINE):
        for name in names.split(","):
            assert hasattr(importlib.import_module(module), name.strip()), f"{module} has no {name}"


def check_call(arguments):
    """Parse one call of trimtab as its command does, without running it."""
    command, context = main, click.Context(main, info_name="trimtab")
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, list(arguments))
        context = click.Context(command, parent=context, info_name=name)
    values, rest, _ = command.make_parser(context).parse_args(list(arguments))
    assert not rest, rest
    for parameter in command.params:
        value = values.get(parameter.name)
        if parameter.required:
            assert value is not None, f"{command.name} needs {parameter.name}"
        if isinstance(value, str | tuple | list) and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)


def check_other(command):
    """Check what can be checked of a command that is not ours."""
    words = command.split()
    assert words[0].split("=")[0] in OTHER_COMMANDS, command
    if words[0] == "source":
        assert words[1] == ".venv/bin/activate", command  # which `make` has made
        assert "-m venv .venv" in (ROOT / "Makefile").read_text()
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), command
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in re.findall(r"'trimtab\[([\w,]+)\]'", command):
        assert set(extra.split(",")) <= set(extras), command
    for name in re.findall(r"python (?:-P )?((?:examples|benchmarks)/\S+\.py)", command):
        assert (ROOT / name).is_file(), command
    for name in re.findall(r"python -P -m (trimtab[\w.]*)", command):
        assert importlib.util.find_spec(name), command


def appears(line, printed):
    """Whether a line of the page is printed, in the words and order of the page."""
    return " ".join(line.split()) in {" ".join(row.split()) for row in printed}


@pytest.mark.parametrize("on_page", pages_with("console"))
def test_commands_of_a_page_run_as_they_stand(on_page, pages, reader_folder):
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    for block in on_page:
        for command, shown in pages.commands(block.text):
            where = f"{block.page}:{block.line}: {command}"
            for call in pages.trimtab_calls(command.replace("$T", "")):
                check_call(call)
            if not block.runs:
                if "trimtab" not in command.split():
                    check_other(command)
                continue
            done = subprocess.run(
                ["bash", "-e", "-c", command], cwd=reader_folder, env=environment, capture_output=True, text=True,
                timeout=300, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{where}\n{done.stdout}\n{done.stderr}"
            printed = (done.stdout + done.stderr).splitlines()
            if block.remark != "output varies":
                for line in shown:
                    assert line.strip() in {"", "…", "..."} or appears(line, printed), f"{where}\n{line}\n{done.stdout}"


@pytest.mark.parametrize("on_page", pages_with("toml"))
def test_toml_is_read_as_what_the_page_says_it_is(on_page, tmp_path):
    from trimtab.study import spec  # noqa: PLC0415 - loads only where pages run

    for block in on_page:
        table = tomllib.loads(block.text)
        if "factors" in table:
            path = tmp_path / "study.toml"
            path.write_text(block.text)
            assert list(spec.load(path).cells())
            continue
        if set(table) <= {"training", "resources"}:  # in place of these parts of a study
            study = (ROOT / "studies" / "tiny.toml").read_text()
            for part in table:
                study = re.sub(rf"(?ms)^\[{part}\]$.*?(?=^\[|\Z)", "", study)
            assert spec.parse(f"{study}\n{block.text}", f"{block.page}:{block.line}")
            continue
        assert set(table) <= {"models", "metrics", "select"}, f"{block.page}:{block.line}"


def test_yaml_is_yaml():
    for block in of("yaml"):
        assert isinstance(yaml.safe_load(block.text), dict), f"{block.page}:{block.line}"


def test_a_command_that_does_not_exist_is_found():
    for wrong in (
        ["evalu", "x"],
        ["compare", "a", "b", "--margins", "2"],
        ["eval", "m"],
        ["work", "s", "--cells", "no"],
    ):
        with pytest.raises((click.UsageError, AssertionError)):
            check_call(wrong)


def test_a_name_that_nobody_gives_is_found(pages):
    assert pages.free_names("from trimtab import attach\ngates = attach(model, rule)\n") == {"model", "rule"}
    assert pages.free_names("model, gates = load(model)\n") == {"load", "model"}
    assert json.dumps(sorted(pages.free_names("for row in rows:\n    print(row)\n"))) == '["rows"]'
