"""The verbs that give a result: "scores", "reaches", "is"."""

from __future__ import annotations

import re
from typing import Final

RESULT_VERBS: Final = (
    r"achiev(?:e|es|ed|ing)|reach(?:es|ed|ing)?|obtain(?:s|ed|ing)?|scor(?:e|es|ed|ing)|attain(?:s|ed|ing)?|gets?|got"
    r"|yield(?:s|ed|ing)?|report(?:s|ed|ing)?|records?|recorded|hits?|posts?|posted|delivers?|delivered|register(?:s|ed)"
    r"|shows?|showed|performs?|performed|demonstrat(?:es|ed)|exhibit(?:s|ed)|stands|comes|sets|earns?|earned|has|have|had"
    r"|is|are|was|were|ranks?|boasts|manages|managed"
)
RESULT_VERB: Final = re.compile(rf"\b(?:{RESULT_VERBS})\b", re.IGNORECASE)
