"""Which modules of the standard library a zygote loads before it confines itself."""

from __future__ import annotations

from typing import Final

# Loaded before confinement in every zygote: what nearly all generated programs import, and no more. A program that
# imports anything else goes to a zygote that has the next list too; one that hides what it imports loads it by itself.
_LEAN_NAMES: Final = """
    __future__ abc bisect collections contextlib copy enum functools heapq itertools math operator os re string sys
    time types typing
"""
_FURNISHED_NAMES: Final = """
    abc array ast base64 bisect bz2 calendar cmath codecs collections collections.abc contextlib copy dataclasses
    datetime decimal enum fractions functools hashlib heapq io itertools json lzma math numbers operator os pathlib
    pprint re reprlib string struct textwrap time traceback types typing unicodedata zlib _strptime
"""
# Where no file can be opened afterwards, these too, although some of them make a fork dearer.
_FROZEN_NAMES: Final = """
    argparse asyncio colorsys csv difflib fnmatch glob graphlib html inspect ipaddress keyword locale logging pickle
    platform queue random secrets shlex shutil statistics stringprep tempfile threading timeit tokenize urllib.parse
    uuid warnings weakref encodings.ascii encodings.latin_1 encodings.utf_16 encodings.utf_32 encodings.idna
    encodings.punycode encodings.rot_13 encodings.unicode_escape zoneinfo xml.etree.ElementTree html.parser
    concurrent.futures encodings.utf_8_sig encodings.cp1252 encodings.cp437 encodings.hex_codec
    encodings.base64_codec encodings.iso8859_15 cProfile configparser doctest email.message getopt getpass gzip
    multiprocessing optparse sched sqlite3 tomllib tracemalloc unittest.mock zipfile
"""
LEAN: Final = frozenset(_LEAN_NAMES.split())
FURNISHED: Final = tuple(_FURNISHED_NAMES.split())
FROZEN: Final = tuple(_FROZEN_NAMES.split())
