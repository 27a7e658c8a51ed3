"""Python processes that run no file of the working folder, whatever is on the module search path.

Python itself puts the working folder first on the path of ``python -m`` and ``python -c``, and for every empty entry of
PYTHONPATH. A file there that is named like a module, ``json.py`` beside a report, would then be run in its place. This
module imports nothing but what the interpreter has loaded before any path is searched.
"""

import os
import sys

_RUN: str = (
    f"import runpy, sys; sys.path[:] = sys.argv[1].split({os.pathsep!r}); name = sys.argv[2]; del sys.argv[1:3]; "
    "runpy.run_module(name, run_name='__main__', alter_sys=True)"
)


def search_path() -> list[str]:
    """Return ``sys.path`` without the working folder and without relative entries.

    The folder that holds trimtab itself stays, last, where it is the working folder.
    """
    try:
        here = os.path.realpath(os.getcwd())  # noqa: PTH109 - pathlib would be searched for on the path
    except OSError:  # the working folder was deleted
        here = ""
    kept = [entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) != here]  # noqa: PTH117
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    return kept if own in kept else [*kept, own]


def leave_working_folder() -> None:
    """Take the working folder off the path of this process where it is a command of ours: ``trimtab`` or ``-m``.

    A program that imports trimtab keeps its path as it is.
    """
    arguments = sys.argv or [""]
    target = sys.orig_argv[len(sys.orig_argv) - len(arguments)] if arguments[0] == "-m" else ""
    by_module = target.removeprefix("-m").split(".")[0] == "trimtab"
    if by_module or os.path.basename(arguments[0]) == "trimtab":  # noqa: PTH119
        sys.path[:] = search_path()


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module as ``python -m`` does, without working folder and PYTHON* variables.

    Args:
        module: Dotted name of a module on this process' path.
        arguments: Its command line.
    """
    return [sys.executable, "-I", "-c", _RUN, os.pathsep.join(search_path()), module, *arguments]


class Spawning:
    """While entered, processes that :mod:`multiprocessing` spawns, its resource tracker too, are isolated.

    A context for the one thread that starts processes: it changes ``os.environ`` and ``sys.path``, and puts them back.
    """

    def __enter__(self) -> None:
        """Set what a new interpreter and multiprocessing's preparation of it read."""
        self._path = sys.path[:]
        self._environment = {name: os.environ.get(name) for name in ("PYTHONSAFEPATH", "PYTHONPATH")}
        sys.path[:] = search_path()
        given = (self._environment["PYTHONPATH"] or "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(entry for entry in given if entry in sys.path)
        os.environ["PYTHONSAFEPATH"] = "1"

    def __exit__(self, *_: object) -> None:
        """Put path and environment back."""
        sys.path[:] = self._path
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
