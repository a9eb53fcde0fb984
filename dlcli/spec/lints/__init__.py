"""The lints: what a spec says that trains silently and badly, told from the spec alone.

Each rule is a small function in one of the modules here, which yields a warning where an experienced person would shake
their head nine times of ten. What takes the built model to tell is in `dlcli.model.lints`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from dlcli.errors import Problem
from dlcli.spec.blocks import UNUSED as UNUSED_BLOCK
from dlcli.spec.lints import callbacks, hidden, inputs, metrics, optimizing, outputs, schedules, splits
from dlcli.spec.lints.rules import facts_of
from dlcli.spec.lints.silencing import UNUSED, check_codes, without_silenced
from dlcli.spec.parts import Parts
from dlcli.spec.variables import UNUSED as UNUSED_VARIABLE

_RULES = (
    *splits.RULES, *inputs.RULES, *hidden.RULES, *outputs.RULES, *optimizing.RULES, *schedules.RULES, *metrics.RULES,
    *callbacks.RULES,
)  # fmt: skip
MODEL_CODES: Mapping[str, str] = {
    "out-of-memory": "a training that needs more memory than there is",
    "nothing-to-train": "a model without trainable weights",
    "slow-precision": "mixed precision on a processor that is slower with it",
    "dense-after-flatten": "one Dense layer behind Flatten that has nearly all of very many weights",
}
"""the warnings of `dlcli.model.lints`: by code, what each is about"""
CODES: Mapping[str, str] = {
    **{rule.code: rule.description for rule in _RULES},
    **MODEL_CODES,
    UNUSED_BLOCK: "a block that is never used",
    UNUSED_VARIABLE: "a variable that is set and never used",
    UNUSED: "a silenced warning that does not occur",
}
"""every warning: by code, what it is about"""
# Whether these occur depends on the machine as well: that they do not occur on one says nothing of the next.
_OF_THE_MACHINE = frozenset({"out-of-memory", "slow-precision"})


def lint(parts: Parts) -> Iterator[Problem]:
    """Every warning that the sections without mistakes give rise to, silenced or not."""
    facts = facts_of(parts)
    for rule in _RULES:
        yield from rule.problems(facts)


def codes_asked(parts: Parts) -> frozenset[str]:
    """The codes of the warnings that `lint` can give for these sections: of the rules that have all they need."""
    facts = facts_of(parts)
    return frozenset({UNUSED_BLOCK, UNUSED_VARIABLE, *(rule.code for rule in _RULES if rule.can_tell(facts))})


def check_silence(silence: Mapping[str, str]) -> Iterator[Problem]:
    """A mistake for each code in `silence` that no warning has."""
    yield from check_codes(silence, CODES)


def silenced(
    problems: Iterable[Problem], silence: Mapping[str, str], asked: Collection[str] = CODES.keys()
) -> Iterator[Problem]:
    """Of all warnings of a spec, those that it does not silence; and one for each code that it silences in vain.

    Args:
        problems: the warnings of all rules that were asked, of this package and of `dlcli.model.lints` together.
        silence: reasons by code, as in the spec.
        asked: the codes of the rules that were asked, if not all of them: `codes_asked`, and MODEL_CODES if the model
            was built. Nothing is said to be silenced in vain that nobody has looked for.
    """
    yield from without_silenced(problems, silence, set(asked) - _OF_THE_MACHINE)
