"""Harmless files named like modules: each writes an empty marker file when it is run, and nothing else.

The decoys stand where a program's input stands. What imports one of them has searched for a module there.
"""

NAMES = """
    abc argparse ast base64 click codecs collections concurrent contextlib copy ctypes dataclasses datetime encodings
    enum fractions functools gguf gzip hashlib heapq html httpx importlib inspect io json linecache logging lxml math
    multiprocessing numbers numpy opcode operator os pathlib pypdfium2 pickle platform posixpath pydantic queue random
    re regex resource rich safetensors scipy secrets select selectors shutil signal site sitecustomize socket stat
    statistics string struct subprocess tempfile threading token tokenize tokenizers tomllib torch tqdm traceback
    transformers trimtab types typing unicodedata usercustomize uuid warnings weakref xml zlib
""".split()  # noqa: SIM905 - a table of words


def plant(folder, markers, names=NAMES):
    """Write the decoys into a folder; each would write ``markers/NAME``."""
    folder.mkdir(parents=True, exist_ok=True)
    markers.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(markers / name)!r}, 'w').close()\n")


def run_by(markers):
    """Return the names of the decoys that were run."""
    return sorted(path.name for path in markers.iterdir())
