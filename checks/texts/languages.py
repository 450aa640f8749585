"""The language of a text by its script, or by function words: which family, without a model.

Languages that share most of their function words are one family. A text is decided if enough of its
words are of one family and few of any other; names, code and numbers leave it undecided.
Cost: O(words), vectorised.
"""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import conventions, hashing, word_grams
from provenance.rows.arrow_bytes import mask_of

FAMILIES = {
    "English": (
        "the and of to is that it for you with this are was have not be by from or which at "
        "as they we will would can what there their if when your been more about has who its "
        "were should a an i do does did my me in on so all how but no he she his her him our "
        "into out up one some any it's don't then where why only just very like also get than "
    ),
    "German": (
        "der die das und ist nicht ein eine einen mit für auf den dem von zu sie wir ich es "
        "auch sich wird werden bei oder aber wenn man noch nach wie nur über sind war haben "
        "hat kann dass sollten bitte sonst weil ihre ihr im zum zur wurde können in an am so "
        "was er als wo da will um sollte muss sein seine mehr sehr danach zuerst wieder "
    ),
    "Dutch": (
        "de het een en van is niet dat op te zijn voor met die ik je ook maar aan er om bij "
        "naar wordt door nog wel kan dan moet deze als heeft hebben uit geen wat u zo in of "
        "was we hij zij mijn uw over meer worden eerst daarna "
    ),
    "French": (
        "le la les des et est une un que qui dans pour pas vous nous il elle ce cette sur "
        "avec du au plus mais ne se sont être ou si par je votre leur aux ces faut avant très "
        "bien d'un d'une c'est n'est qu'il de en a y on mon ma mes son sa ses d'abord puis "
        "aussi peut pouvez ni sans comme où fait "
    ),
    "Iberian": (
        "el los las que una un por con para no es se su del lo como más pero muy al este esta "
        "está hay ser son sus ya o porque cuando usted nos si sin antes também não os uma em "
        "da do dos das na ao mais são você foi pelo pela isso esse ele ela às mas de la y en "
        "a e te me mi ha he fue pode à desde hasta hacer puede primero después "
    ),
    "Italian": (
        "il lo gli di che non è una un per con del della dei sono si ma anche come più questo "
        "questa nel nella alla al da ha ho le sua suo molto perché quando prima dopo essere "
        "abbiamo bisogna la e in a ci mi ti o se dal i tutto "
    ),
    "Nordic": (
        "och att det är en ett som på av för med inte jag den till har de om vi kan men så "
        "från var ikke og jeg er af til at du skal være han hun blev mange ikkje eller når "
        "vil bli også i et hon efter etter sig seg sin "
    ),
    "Polish": (
        "się nie to na jest że z do w jak co ale po za od tak czy dla może tylko już przez "
        "trzeba należy jeśli bo są być był ma takie potem i a o u jej jego tego przed "
    ),
    "Czech": (
        "se na je že to v s z do si jak ale po za jsem jsou nebo byl není který také když pro "
        "tak co už být ako som sa nie čo aj by podle může lze jeho a i o u k ve ze od této "
    ),
    "Romanian": (
        "și nu este o un pe care din la cu de în sau mai dar ce se că pentru sunt fi a lui ca "
        "fost trebuie poate după foarte dacă aceasta acest al ale am ai "
    ),
    "Hungarian": (
        "a az és hogy nem is egy ez van meg de ha csak már mint kell volt el még után lehet "
        "vagy nagyon minden azt ezt mert én te ő mi ki be "
    ),
    "Finnish": (
        "ja on ei se että en hän mutta oli ovat kun niin jos vain myös kuin tai joka mitä sen "
        "tämä voi ole pitää sitten ennen koska ne me te he "
    ),
    "Turkish": (
        "ve bir bu da de için ile çok ne daha gibi ama değil var yok olan kadar sonra her en "
        "şey ben biz siz çünkü olur önce gerekir mi o ya ki mu iki ise bunu "
    ),
    "Malay": (
        "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena ada "
        "kami bisa atau sudah anda adalah oleh lebih apa dia mereka "
    ),
    "Vietnamese": (
        "và của là không có được cho một những trong các đã này với người khi để từ cũng như "
        "rất nếu thì vào bạn tôi phải ở la anh em ra "
    ),
}
SCRIPTS = ("Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Thai", "Hangul", "Han")
LEAST = 3  # different function words of the family
SHARE = 0.15  # of the words that must be its own, in a text of LONG words or fewer
LONG = 40
TIMES = 2  # as many as of any other family
LETTERS = 8  # of a script that is not Latin
_KANA = r"[\p{Hiragana}\p{Katakana}\p{Han}]"  # Japanese and Chinese are one family here
_NOT_LATIN = r"[\x{370}-\x{1dbf}\x{2c00}-\x{2dff}\x{2e80}-\x{d7ff}\x{f900}-\x{faff}]"
_NAMES = (  # without Polish, which is a verb too
    "english|german|french|spanish|portuguese|italian|dutch|czech|russian|ukrainian|turkish|chinese|"
    "mandarin|japanese|korean|arabic|hindi|hebrew|greek|swedish|norwegian|danish|finnish|hungarian|"
    "romanian|vietnamese|indonesian|thai|deutsch|englisch|französisch|spanisch|anglais|allemand|"
    "espagnol|inglés|alemán|francés|español"
)
_ABOUT = (
    r"(?i:translat|übersetz|tradu[cz]|tłumacz|перев[её]?[дс]|翻译|\bsprache|\bidioma|\blangues?\b|"
    r"\b(?:in|into|which|what|another|other|foreign|native|this|that) languages?\b|"
    rf"\b(?:{_NAMES})\b)|\bPolish\b"
)


def of(texts: pa.Array) -> np.ndarray:
    """Return the family of each text: int64, shape (u,), -1 where it is undecided.

    Args:
        texts: large_string, shape (u,), without null.
    """
    families = np.full(len(texts), -1, np.int64)
    for low, high in word_grams.parts(texts):
        families[low:high] = _by_words(texts.slice(low, high - low))
    other = np.flatnonzero(mask_of(pc.match_substring_regex(texts, _NOT_LATIN)))
    if len(other):
        families[other] = _by_script(texts.take(pa.array(other)), families[other])
    return families


def are_about_languages(texts: pa.Array) -> np.ndarray:
    """Return which texts speak of a language or of translating: bool, shape (u,)."""
    return mask_of(pc.match_substring_regex(texts, _ABOUT))


def foreign(rows: Counter[int]) -> tuple[frozenset[int], int]:
    """Return the families that are rare next to one, and the number of rows with one of them.

    If more rows than a fault may have are of other families, no language is foreign.

    Args:
        rows: number by family.
    """
    total = sum(rows.values())
    if not total:
        return frozenset(), 0
    main = max(sorted(rows), key=lambda code: rows[code])
    strangers = total - rows[main]
    if conventions.is_one(strangers, total):
        return frozenset(), 0
    return frozenset(rows.keys() - {main}), strangers


def _by_words(texts: pa.Array) -> np.ndarray:
    places, codes, vocabulary = hashing.tokens(texts)
    if not len(places):
        return np.full(len(texts), -1, np.int64)
    length = np.bincount(places, minlength=len(texts))
    is_own = [
        mask_of(pc.is_in(vocabulary, pa.array(words.split(), vocabulary.type)))
        for words in FAMILIES.values()
    ]
    is_any = np.logical_or.reduce(is_own)[codes]
    places, codes = _different(places[is_any], codes[is_any], len(vocabulary))
    counts = np.stack([np.bincount(places[own[codes]], minlength=len(texts)) for own in is_own])
    best = counts.argmax(0)
    most, next_most = np.sort(counts, 0)[[-1, -2]]
    is_clear = (most >= LEAST) & (most >= SHARE * np.minimum(length, LONG))
    return np.where(is_clear & (most >= TIMES * next_most), best, -1)


def _different(places: np.ndarray, codes: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the different words of each text."""
    keys = np.sort(places * words + codes)  # np.unique hashes, which takes ten times as long
    keys = keys[np.r_[True, keys[1:] != keys[:-1]][: len(keys)]]
    return keys // words, keys % words


def _by_script(texts: pa.Array, families: np.ndarray) -> np.ndarray:
    """Return the families of texts of which most letters are of another script than Latin."""
    every = _counts(texts, r"\p{L}")
    found = families.copy()
    for number, script in enumerate(SCRIPTS):
        own = _counts(texts, _KANA if script == "Han" else rf"\p{{{script}}}")
        found[(own >= LETTERS) & (2 * own > every)] = len(FAMILIES) + number
    return found


def _counts(texts: pa.Array, pattern: str) -> np.ndarray:
    counts: np.ndarray = pc.count_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return counts
