"""Orders to a language model within data, also called prompt injection.

A text is one if it holds more orders than mentions of one: "never ignore your instructions" and
"what does 'ignore all previous instructions' mean" are mentions.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows.arrow_bytes import mask_of

_IGNORE = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|overrule|bypass|discard|"
    r"stop (?:following|obeying)|(?:do not|don't|must not) (?:follow|obey)|pay no attention to)"
)
_RULES = r"(?:instructions?|prompts?|rules|guidelines|directions|directives|programming|safeguards)"
_EARLIER = r"(?:previous|prior|preceding|earlier|above|foregoing|initial|original|former|past)"
_OWN = r"(?:your|safety|content|all|any|the|these|those|of|own|other|" + _EARLIER + ")"
_BEFORE = r"(?:above|before|earlier|previously|so far)\b"
_GIVEN = r"(?:you|were|that|are|given|told|stated|listed|to)"
_TOLD = r"you(?: were|'ve been| have been) (?:told|taught|instructed)"
_SHOW = r"(?:reveal|print|show|output|display|repeat|leak|disclose|expose|recite|tell|give)"
_YOURS = (
    r"your\W+(?:\w+\W+)?(?:system|hidden|secret|initial|original|internal)\W+"
    r"(?:prompt|instructions?|message)\b"
)
_OBEY = (
    r"(?:obey|respond only|reply only|answer only|are dan\b|"
    r"answer (?:every|all) (?:questions?|requests?|prompts?|messages?))"
)
_FORMER = r"(?:vorherigen|vorigen|bisherigen|obigen|früheren)"
_ANTERIOR = r"(?:anteriores|previas|precedenti|acima)"
_ABROAD = (  # German, French; Spanish, Italian, Portuguese
    (
        r"(?:ignorier\w*|vergiss|vergessen sie|missachte\w*)",
        rf"{_FORMER}\W+(?:\w+\W+)?(?:anweisungen|instruktionen|regeln|vorgaben)",
    ),
    (
        r"(?:ignore[rz]?|oublie[rz]?)",
        r"(?:instructions|consignes|règles)\W+(?:précédentes|antérieures|ci-dessus)",
    ),
    (
        r"(?:ignor[aei]n?|olvid[ae]n?|dimentica|esqueça)",
        rf"(?:instrucciones|reglas|istruzioni|regole|instruções|regras)\W+{_ANTERIOR}",
    ),
)
_UNBOUND = r"(?:unrestricted|unfiltered|uncensored|unlimited|jailbroken|amoral|evil)"
_ORDERS = (
    # ignore all previous instructions; ignore your rules
    rf"{_IGNORE}\W+(?:{_OWN}\W+){{0,4}}(?:{_EARLIER}|your)\W+(?:{_OWN}\W+){{0,2}}{_RULES}",
    rf"{_IGNORE}\W+(?:{_OWN}\W+)?(?:system|developer)\W+(?:prompts?|instructions?)",
    # disregard the rules above; do not follow the instructions given earlier
    rf"{_IGNORE}\W+(?:{_OWN}\W+){{0,3}}{_RULES}\W+(?:{_GIVEN}\W+){{0,4}}{_BEFORE}",
    rf"(?:forget|disregard|ignore) (?:everything|anything|all)(?: that)? (?:{_BEFORE}|{_TOLD})",
    rf"{_SHOW}\W+(?:\w+\W+){{0,3}}?(?:{_YOURS}|(?:the|this)\W+(?:system|hidden|secret)\W+prompt\b)",
    rf"you are now\W+(?:\w+\W+){{0,3}}?(?:dan\b|{_UNBOUND}|developer mode|free of)",
    rf"(?:act|behave|respond|answer) (?:as|like) (?:an?|the) {_UNBOUND}",
    r"(?:enter|enable|activate|switch to)\W+(?:\w+\W+)?(?:developer|god|dan|jailbreak|debug) mode",
    r"\bsystem (?:override|prompt override)\b",
    rf"from now on,?\W+(?:you\W+)?(?:only |must |will |should |always ){{0,2}}{_OBEY}",
    *(rf"{verb}\W+(?:\w+\W+){{0,3}}?{object_}" for verb, object_ in _ABROAD),
)
_MARKS = (
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|begin_of_text)\|>"
    r"|\[/?INST\]|<</?SYS>>|(?:^|\n)### ?(?:System|Instruction|Assistant|Human):"
)
_SAID = r"(?:\b(?:never|not|cannot|won't|shouldn't|without|refuse to|tries to|try to|attempts? to|"
_SAID += r"asks? (?:you|me|it|them|us) to|tells? (?:you|me|it|them) to|wants (?:you|me|it) to|if|"
_SAID += r"mean(?:s|ing)? (?:of|by)|phrases?|sentences?|(?:what|why) (?:does|do|did|is|would)|"
_SAID += r"like|such as|called|says?)[\s:,]*"
_SAID += r"[\"'\x{201c}\x{2018}]?(?:\w+\s+){0,1})"
ORDER = f"(?i)(?:{'|'.join(_ORDERS)})"
MENTION = f"(?i){_SAID}(?:{'|'.join(_ORDERS)})"


def are_orders(texts: pa.Array) -> np.ndarray:
    """Return which texts order a language model about: bool, shape (u,)."""
    found = mask_of(pc.match_substring_regex(texts, _MARKS))
    at = np.flatnonzero(mask_of(pc.match_substring_regex(texts, ORDER)) & ~found)
    some = texts.take(pa.array(at))
    orders = pc.count_substring_regex(some, ORDER)
    found[at] = mask_of(pc.greater(orders, pc.count_substring_regex(some, MENTION)))
    return found
