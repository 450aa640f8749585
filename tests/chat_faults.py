"""Conversations with twelve kinds of planted faults, and a test set.

`made(rows, seed)` returns what was planted in which row. Every draw comes from the seed.
"""

import dataclasses

import chat_words as w
from chats import LONG_ENOUGH, REFUSAL, SYSTEMS, TYPING, Speaker, words_of


@dataclasses.dataclass
class Chats:
    """Rows as JSON objects, the kind planted by row, the rows of the test set."""

    rows: list
    planted: dict
    test: list


@dataclasses.dataclass
class Place:
    """Where a fault is planted: who draws, a conversation, honest rows, the test set."""

    speaker: Speaker
    chat: list
    honest: list
    test: list

    def pick(self, among):
        return self.speaker.draw.choice(among)

    def turn(self, *roles):
        """Return the place of a turn of one of these speakers; by default the assistant's."""
        role = self.pick(roles or ("assistant",))
        return self.pick([n for n, turn in enumerate(self.chat) if turn["role"] == role])

    def said(self, at):
        return self.chat[at]["content"]

    def changed(self, at, text):
        """Return the conversation with another text in one turn."""
        turns = map(dict, self.chat)
        return [turn | {"content": text} if n == at else turn for n, turn in enumerate(turns)]

    def inserted(self, at, piece):
        """Return the conversation with a piece between two words of a turn."""
        words = self.said(at).split(" ")
        words.insert(self.speaker.draw.randint(0, len(words)), piece)
        return self.changed(at, " ".join(words))


def made(rows, seed, share=0.002):
    """Return conversations, at least `share` of them with each kind of fault."""
    speaker = Speaker(seed)
    test = [speaker.long_chat() for _ in range(max(20, rows // 100))]
    chats = [speaker.chat() for _ in range(rows)]
    each = max(2, round(rows * share))
    first = rows // 5  # rows before it stay honest: copies are made of them
    planted = {}
    for number, row in enumerate(speaker.draw.sample(range(first, rows), each * len(PLANTERS))):
        kind = KINDS[number % len(KINDS)]
        chats[row] = PLANTERS[kind](Place(speaker, chats[row], chats[:first], test))
        planted[row] = kind
    named = [{"id": f"c{n}", "messages": chat} for n, chat in enumerate(chats)]
    return Chats(named, planted, [{"id": f"t{n}", "messages": chat} for n, chat in enumerate(test)])


def pii(place):
    number = place.speaker.draw.randint
    piece = place.pick([
        f"reach me at anna.{number(10, 99)}@gmail.com",
        f"my phone number is (212) 5{number(10, 99)}-{number(1000, 9999)}",
        "my card is 4111 1111 1111 1111", f"SSN 219-{number(10, 98)}-{number(1000, 9999)}",
        "IBAN GB82 WEST 1234 5698 7654 32",
    ])  # fmt: skip
    return place.inserted(place.turn(*TYPING), piece)


def copy(place):
    """Repeat an honest conversation with other names and numbers, and one word in 50 changed."""
    source = place.pick([chat for chat in place.honest if words_of(chat) >= LONG_ENOUGH])
    swap = {name: place.pick(w.NAMES) for name in w.NAMES}
    swap |= {name: place.pick(w.PLACES) for name in w.PLACES}

    def other(word):
        plain = word.strip(",.?!:")
        if word.isdigit():
            return str(place.speaker.draw.randint(2, 960))
        if plain in swap:
            return word.replace(plain, swap[plain])
        return place.pick(w.KINDS) if place.speaker.draw.random() < 0.02 else word

    return [turn | {"content": " ".join(map(other, turn["content"].split(" ")))} for turn in source]


def empty(place):
    return place.changed(place.turn(*TYPING), place.pick(["", " ", "\n", None]))


def role(place):
    at, chat = place.turn(), [dict(turn) for turn in place.chat]
    how = place.speaker.draw.randrange(4)
    if how == 0:
        chat[at]["role"] = place.pick(["asistant", "narrator", "", None])
    elif how == 1:
        chat[at]["role"] = "user"
    elif how == 2:
        chat.insert(at, dict(chat[at]))
    else:
        chat.insert(at, {"role": "system", "content": SYSTEMS[0]})
    return chat


def tested(place):
    """Repeat a conversation of the test set, or one of its turns with words around it."""
    source = place.pick(place.test)
    texts = [turn["content"] for turn in source if turn["role"] in TYPING]
    text = place.pick([text for text in texts if len(text.split()) >= 14 and text != REFUSAL])
    at = place.turn("user")
    return place.pick([
        [dict(turn) for turn in source],
        place.changed(at, f"hi, {text}"),
        place.changed(at, f"Hello! {text} Many thanks.".upper()),
        place.changed(at, f"{place.said(at)}\n\n{text}"),
    ])  # fmt: skip


def instruction(place):
    return place.inserted(place.turn(*TYPING), place.speaker.fill(place.pick(w.INJECTIONS)))


def mojibake(place):
    at = place.turn()
    raw = f"{place.said(at)} {place.pick(w.ACCENTS)}.".encode()
    try:
        return place.changed(at, raw.decode("cp1252"))
    except UnicodeDecodeError:
        return place.changed(at, raw.decode("latin-1"))


def hidden(place):
    at = place.turn(*TYPING)
    text, middle = place.said(at), len(place.said(at)) // 2
    marks = ["\u200b", "\u202e", "\u2066", "\ufeff", "\u2060", "\U000e0041\U000e0042"]
    return place.changed(at, text[:middle] + place.pick(marks) + text[middle:])


def truncated(place):
    """Leave out the last answer, or all behind some letter of one."""
    if place.speaker.draw.random() < 0.3:
        return place.chat[:-1]
    text = " ".join(place.speaker.some(w.ANSWERS, 3, 9))
    cut = place.speaker.draw.randint(len(text) // 3, len(text) - 8)
    while not (text[cut - 1].isalpha() and text[cut].isalpha()):
        cut -= 1
    return place.changed(len(place.chat) - 1, text[:cut])


def long(place):
    piece = " ".join(place.speaker.some(w.ANSWERS, 5, 20))
    size = place.speaker.draw.randint(60_000, 300_000)
    return place.changed(place.turn(), piece * (size // len(piece)))


def language(place):
    name = place.pick([*w.FOREIGN])
    said = [place.speaker.foreign(name) for _ in range(place.speaker.draw.randint(1, 3))]
    return place.changed(place.turn(), " ".join(said))


def broken(place):
    pieces = ["caf\ufffd", "it\ufffd\ufffds", "smile \\ud83d again", "lone \ud83d"]
    return place.inserted(place.turn(), place.pick(pieces))


PLANTERS = {
    "pii": pii, "copy": copy, "empty": empty, "role": role, "test set": tested,
    "instruction": instruction, "mojibake": mojibake, "hidden": hidden, "truncated": truncated,
    "over-long": long, "language": language, "broken": broken,
}  # fmt: skip
KINDS = tuple(PLANTERS)
