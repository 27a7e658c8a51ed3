"""What reviewers rate: six items from 1 to 5, with words for 1, 3 and 5, so that a number means the same to all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question with its anchors."""

    id: str
    asks: str
    one: str
    three: str
    five: str


LOWEST: Final = 1
HIGHEST: Final = 5
ITEMS: Final = (
    Item(
        id="answer",
        asks="Is each part of the question answered, or is it said that nothing was found?",
        one="the question is not taken up",
        three="some parts are answered, others passed over in silence",
        five="every combination has an answer or says how many records were screened in vain",
    ),
    Item(
        id="numbers",
        asks="Does each number agree with the place it is said to come from?",
        one="numbers contradict their source or have none",
        three="a few have no place to look them up",
        five="every number has a place, and every one looked up was right",
    ),
    Item(
        id="sources",
        asks="Are the works named so that they can be found, with the version that was read?",
        one="works are missing or made up",
        three="some lack an identifier or a version",
        five="each has an identifier, a version, and the claims that rest on it",
    ),
    Item(
        id="conflicts",
        asks="Are contradictions between sources shown?",
        one="contradictions were seen and left out",
        three="they are hinted at",
        five="each is named with both sides",
    ),
    Item(
        id="limits",
        asks="Is it said what the search and the sources cannot tell?",
        one="nothing is said",
        three="in general words only",
        five="what was not read, asked or measured is counted and named",
    ),
    Item(
        id="restraint",
        asks="Does the wording claim no more than the evidence bears?",
        one="conclusions go far beyond it",
        three="here and there too firm",
        five="each statement is as firm as its evidence",
    ),
)
