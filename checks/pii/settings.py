"""Options of the scan, from `assay.checks: {pii: {...}}` of the contract.

Dates, URLs and UUIDs are everywhere in training tables, and bare account and licence numbers look
like any other number: these types are searched for only on request.
"""

import dataclasses
from typing import Any

from checks.kit.contract_model import Contract
from checks.kit.option_types import Takes
from checks.pii.recognizers import CLASSES

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
TAKES: Takes = {
    "entities": tuple(CLASSES),
    "score": "share",
    "max_chars": "whole",
    "steps": "whole",
    "secrets": "flag",
    "entropy": "flag",
    "disguised": "flag",
    "model": "model",
    "model_score": "share",
    "deny": "texts",
    "deny_file": "path",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Options of the check.

    Attributes:
        entities: Presidio's types to search for.
        score: lowest score of a hit, in [0, 1].
        max_chars: longest text to scan.
        steps: limit for one recognizer on one text; `checks.pii.phone` says what is counted.
        secrets: whether to search for keys and passwords.
        entropy: whether high-entropy runs of letters and digits are warned of as secrets.
        disguised: whether to search folded and decoded text too.
        model: folder or installed package of a language model for names; "" for none.
        model_score: lowest score of its hits, in [0, 1].
        deny, deny_file: names to search for, and the path of a text file with more of them.
        deny_file_sha256: digest that the bytes of that file must have; "" for any. A run sets it,
            a contract cannot.
    """

    entities: tuple[str, ...] = ENTITIES
    score: float = 0.4
    max_chars: int = 100_000
    steps: int = 500_000
    secrets: bool = True
    entropy: bool = False
    disguised: bool = True
    model: str = ""
    model_score: float = 0.5
    deny: tuple[str, ...] = ()
    deny_file: str = ""
    deny_file_sha256: str = ""

    @property
    def denies(self) -> bool:
        """Return whether names are denied."""
        return bool(self.deny or self.deny_file)


def settings_of(contract: Contract) -> Settings:
    """Return the settings from the contract's `assay.checks: {pii: ...}`."""
    options: dict[str, Any] = contract.options("pii")
    if "entities" in options:
        options["entities"] = tuple(sorted(set(options["entities"])))
    if "deny" in options:
        options["deny"] = tuple(options["deny"])
    return Settings(**options)
