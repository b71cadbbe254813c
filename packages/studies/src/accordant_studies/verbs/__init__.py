"""What the studies add to the command line: `reproduce`, and more commands of `objectives`.

Knows the verbs' names and summaries, so that `accordant --help` imports nothing else. The wheel's
entry points (`accordant.verbs`) name the records.
"""

from __future__ import annotations

from accordant.cli.verbs import Verb

REPRODUCE = Verb(
    "Look",
    "Run a paper's claim in miniature and say whether its shape shows.",
    "accordant_studies.verbs.reproduce",
)
OBJECTIVES = Verb(
    "Look",
    "Show an objective's logic and its loss, compare two, and draw how all are ordered.",
    "accordant_studies.verbs.objectives",
)
