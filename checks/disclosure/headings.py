"""Columns that are quasi-identifiers by their names: what a neighbour or an employer may know."""

from checks.kit.column_words import words_of


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS = _set(
    "age alter edad eta idade leeftijd alder wiek sex gender geschlecht sexo sesso sexe kjonn kon "
    "birth birthdate birthday dob born geburtsdatum geburtstag naissance nacimiento nascita "
    "nascimento zip zipcode postcode postal postalcode plz cap city town village district county "
    "municipality region state province country ort stadt ville ciudad citta cidade gemeinde "
    "occupation profession job employment employer beruf metier profesion professione nationality "
    "citizenship race ethnicity religion marital married education school degree language height "
    "weight household children dependents"
)
_OTHER = _set("average mean account loan product contract order device network solid")


def is_quasi_identifier(name: str) -> bool:
    """Return whether a column's name says that others may know it of a person."""
    words = words_of(name)
    return bool(words & _WORDS) and not words & _OTHER
