"""The error tree in the docstring is the error tree."""

import inspect
import re

from trimtab import errors


def test_the_docstring_lists_every_error_under_its_parent():
    classes = {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.TrimtabError)
    }
    drawn = re.findall(r"^\s*([│├└─ ]*)(\w+)", errors.__doc__.split("::")[1].split("A message")[0], re.MULTILINE)
    depths = {name: len(lead) // 4 for lead, name in drawn if name in classes}
    assert depths.keys() == classes.keys()
    for name, value in classes.items():
        lineage = [base for base in value.__mro__[1:] if issubclass(base, errors.TrimtabError)]
        assert depths[name] == len(lineage), name


def test_a_hint_is_printed_on_a_line_of_its_own():
    assert str(errors.StudyError("no")) == "no"
    assert str(errors.StudyError("no", hint="yes")) == "no\n  hint: yes"


def test_a_missing_extra_says_what_to_install():
    error = errors.MissingExtraError("altair", extra="report")
    assert isinstance(error, ImportError)
    assert "pip install 'trimtab[report]'" in str(error)


def test_nearest_offers_the_closest_name_and_lists_all():
    assert errors.nearest("swich", ["switch", "none"]) == "did you mean 'switch'? (valid: 'none', 'switch')"
    assert errors.nearest("zzz", ["switch"]) == "(valid: 'switch')"
