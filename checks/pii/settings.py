"""Options of the scan, from `assay.checks: {pii: {...}}` of the contract.

Dates, URLs and UUIDs are everywhere in training tables, and bare account and licence numbers look
like any other number: those types are searched only if they are asked for.
"""

import dataclasses
from typing import Any

from checks.kit.contract import Contract
from checks.pii.recognizers import known
from provenance.errors import AssayError

ENTITIES = (
    "CREDIT_CARD",
    "CRYPTO",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "MEDICAL_LICENSE",
    "PHONE_NUMBER",
    "UK_NHS",
    "US_ITIN",
    "US_PASSPORT",
    "US_SSN",
)
_OPTIONS: dict[str, type | tuple[type, ...]] = {
    "entities": list,
    "score": (int, float),
    "max_chars": int,
    "seconds": (int, float),
    "secrets": bool,
    "entropy": bool,
    "disguised": bool,
    "model": str,
    "model_score": (int, float),
    "deny": list,
    "deny_file": str,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Options of the check.

    Attributes:
        entities: Presidio's types to search for.
        score: least score of a hit, in [0, 1].
        max_chars: longest text that is scanned.
        seconds: limit of one pattern on one text.
        secrets: whether to search for keys and passwords.
        entropy: whether random runs of letters and digits count as secrets, as warnings.
        disguised: whether to search folded and decoded text too.
        model: folder or installed package of a language model for names; "" for none.
        model_score: least score of what it finds, in [0, 1].
        deny, deny_file: names to search for, and the path of a text with more of them.
    """

    entities: tuple[str, ...] = ENTITIES
    score: float = 0.4
    max_chars: int = 100_000
    seconds: float = 5.0
    secrets: bool = True
    entropy: bool = False
    disguised: bool = True
    model: str = ""
    model_score: float = 0.5
    deny: tuple[str, ...] = ()
    deny_file: str = ""

    @property
    def denies(self) -> bool:
        """Return whether there is a deny list."""
        return bool(self.deny or self.deny_file)


def settings_of(contract: Contract) -> Settings:
    """Return the settings that the contract's `assay.checks: {pii: ...}` asks for.

    Raises:
        AssayError: ASSAY-C004 or C005 for an unknown option or entity.
    """
    options: dict[str, Any] = contract.options("pii")
    if unknown := sorted(options.keys() - _OPTIONS.keys()):
        raise AssayError(
            "C004",
            f"unknown option of the pii check: {unknown[0]}",
            where="assay.checks.pii",
            fix=f"use one of {', '.join(sorted(_OPTIONS))}",
        )
    for name, value in options.items():
        if not isinstance(value, _OPTIONS[name]):
            raise AssayError(
                "C005",
                f"option {name!r} of the pii check is of the wrong type",
                where="assay.checks.pii",
                fix=f"it is {getattr(Settings(), name)!r} if left out",
            )
    if not 0 <= options.get("model_score", 0) <= 1:
        what = "model_score of the pii check is a share between 0 and 1"
        raise AssayError("C005", what, where="assay.checks.pii", fix="e.g. 0.5")
    if "entities" in options:
        options["entities"] = known(options["entities"])
    if "deny" in options:
        options["deny"] = _listed(options["deny"])
    return Settings(**options)


def _listed(names: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(name, str) for name in names):
        fix = "quote it, as 'Ja'; many names go to a file, see deny_file"
        what = "a name of the deny list is no text"
        raise AssayError("C005", what, where="assay.checks.pii.deny", fix=fix)
    return tuple(names)
