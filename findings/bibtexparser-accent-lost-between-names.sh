#!/usr/bin/env bash
# bibtexparser 2.1.0: the first letter of a name loses its accent where co-authors are divided.
#
# `SeparateCoAuthors` divides an `author` field at "and". A name that begins with an accent outside braces, "and \'Eva",
# loses the command: "Eva", with no failed block and no warning. The same name alone, or in braces, keeps it. A comma
# that is missing between two fields is not told either: both become one value.
# Output seen: one author: ["\\'Eva Kov\\'acs"]; two: ['Jan Novak', "Eva Kov\\'acs"]; a missing comma: '{x}\n year = 2020'.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet bibtexparser==2.1.0
cat > "$folder/check.py" <<'PY'
import bibtexparser
from bibtexparser.middlewares import SeparateCoAuthors


def authors(field):
    library = bibtexparser.parse_string(f"@book{{a, author = {{{field}}}}}", append_middleware=[SeparateCoAuthors()])
    assert not library.failed_blocks
    return library.entries[0]["author"]


alone, second = authors(r"\'Eva Kov\'acs"), authors(r"Jan Novak and \'Eva Kov\'acs")
joined = bibtexparser.parse_string("@book{a,\n title = {x}\n year = 2020}")
print(f"one author: {alone}; two: {second}; a missing comma: {joined.entries[0]['title']!r}")
assert alone == [r"\'Eva Kov\'acs"], "a name alone changed, too"
assert second == ["Jan Novak", r"Eva Kov\'acs"], "the accent is kept"
assert joined.failed_blocks == [] and "2020" in joined.entries[0]["title"], "the missing comma is told"
print("as described: the accent is gone, and nothing is said")
PY
"$folder/env/bin/python" "$folder/check.py"
