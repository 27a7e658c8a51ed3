"""The words of which sentences about results are made: the verbs that give a result, and those that change nothing."""

from __future__ import annotations

from typing import Final

from trimtab.claims.wording import any_of, word_set

RESULT_VERBS: Final = (
    r"achiev(?:e|es|ed|ing)|reach(?:es|ed|ing)?|obtain(?:s|ed|ing)?|scor(?:e|es|ed|ing)|attain(?:s|ed|ing)?|gets?|got"
    r"|yield(?:s|ed|ing)?|report(?:s|ed|ing)?|records?|recorded|hits?|posts?|posted|delivers?|delivered|register(?:s|ed)"
    r"|shows?|showed|performs?|performed|demonstrat(?:es|ed)|exhibit(?:s|ed)|stands|comes|sets|earns?|earned|has|have|had"
    r"|is|are|was|were|ranks?|boasts|manages|managed|solves|solved|resolves|resolved"
)
RESULT_VERB: Final = any_of(rf"{RESULT_VERBS}")
_PLAIN: Final = word_set("""
a an the of to in on for at by as and or is are was were be been being that this these those it its it's our their which
who also then thus hence so such has have had having do does did done both each per via here there i.e e.g respectively
overall we us i they them from
achieve achieves achieved achieving reach reaches reached reaching obtain obtains obtained obtaining get gets got
getting score scores scored scoring yield yields yielded yielding attain attains attained attaining report reports
reported reporting show shows showed shown showing give gives gave given giving perform performs performed performing
record records recorded recording register registers registered hit hits post posts posted deliver delivers delivered
see sees saw produce produces produced demonstrate demonstrates demonstrated exhibit exhibits exhibited stand stands
stood come comes came sets set establish establishes established earn earns earned boast boasts manage manages managed
remain remains remained rank ranks ranked measure measured measures observe observed find found achieves evaluate
evaluated evaluates solve solves solved resolve resolves resolved
performance performances result results accuracy accuracies value values rate rates point points percent percentage
absolute model models method methods system systems approach approaches baseline baselines benchmark
benchmarks dataset datasets task tasks test tests suite leaderboard evaluation evaluations table column row margin gap
difference improvement gain gains lead advantage increase decrease level terms comparison compared setting settings
metric metrics number numbers counterpart llm llms variant version family competitor competitors rival
strong impressive remarkable notable competitive good solid excellent outstanding respectable new significant
significantly substantial substantially considerable considerably clear clearly large small slight slightly just even
only still already notably remarkably impressively surprisingly interestingly however moreover furthermore additionally
finally specifically particular particularly flagship proposed open-source open-sourced latest recent popular superior
promising merely further wide well much far down up out
release releases released introduce introduces introduced announce announces announced present presents presented
launch launches launched
striking standout commendable staggering leading top competitive whopping mere stunning exceptional great astonishing
formidable high low record noteworthy robust stellar amazing modest decent stunning top-tier overall
about around roughly approximately nearly almost but while whereas although though yet
""")
# Adverbs that change what is said; any other one only colors it ("markedly").
_HEDGING: Final = word_set("""
possibly potentially allegedly reportedly supposedly theoretically hypothetically conditionally previously initially
originally formerly partly partially jointly separately internally externally presumably probably likely nominally
seemingly apparently ostensibly hardly rarely barely scarcely eventually ultimately early daily family only
""")


def plain(word: str) -> bool:
    """Whether a word may stand in a sentence about results without changing what it says."""
    return word in _PLAIN or (word.endswith("ly") and word not in _HEDGING and len(word) > 4)
