"""What `--help` says of every command: each option has a text, and no sentence is too long to read once."""

import importlib.util
from pathlib import Path

import click
import pytest

from trimtab.cli.main import main


def commands(command=main, name="trimtab"):
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            yield from commands(command.get_command(context, child), f"{name} {child}")


COMMANDS = dict(commands())


def test_there_are_as_many_commands_as_the_readme_needs():
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is_for(name):
    command = COMMANDS[name]
    assert command.help
    assert [option.opts for option in command.params if isinstance(option, click.Option) and not option.help] == []


def test_no_sentence_of_a_help_text_has_more_than_200_characters():
    path = Path(__file__).parents[2] / "benchmarks" / "readability.py"
    location = importlib.util.spec_from_file_location("readability", path)
    readability = importlib.util.module_from_spec(location)
    location.loader.exec_module(readability)
    for name, command in COMMANDS.items():
        for text in (command.help, *(getattr(option, "help", None) for option in command.params)):
            for sentence in readability.sentences(text or ""):
                assert len(sentence) <= readability.LIMIT, f"{name}: {sentence}"


def test_the_list_of_commands_tells_whole_sentences_under_heads():
    settings = {**main.context_settings, "terminal_width": 80}  # click remembers the help option of the first call
    listing = main.get_help(click.Context(main, info_name="trimtab", **settings))
    assert "..." not in listing.partition("A first look")[2]
    heads = [line.removesuffix(":") for line in listing.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads[:2] == ["Options", "A first look"]
    assert "Commands" not in heads  # what stands under no head
    for name in main.commands:
        first = COMMANDS[f"trimtab {name}"].help.split("\n\n")[0].split()
        assert " ".join(first).split(". ")[0].rstrip(".") in " ".join(listing.split())
