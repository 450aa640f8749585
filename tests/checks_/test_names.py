"""Names and places: by a model that the user has, by a deny list, by the name of a column."""

import itertools
import json
import random
import subprocess
import sys

import pyarrow as pa
import pytest
import tables

from checks.kit import findings
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from checks.pii import Pii, deny_list, names
from checks.pii.headings import kind_of
from checks.pii.redaction import pseudonym, redact
from checks.pii.search import PLACEHOLDER
from provenance.base.errors import AssayError
from provenance.rows.column_types import ColumnSpec

PEOPLE = ("Anna Berg", "Olaf Lund", "Mary Smith", "Jonas Vik")
TOWNS = ("Bergen", "Molde", "Lisbon")


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    """Save a pipeline that knows a few names by rule."""
    import spacy

    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns(
        [{"label": "PERSON", "pattern": name} for name in PEOPLE]
        + [{"label": "GPE", "pattern": town} for town in TOWNS]
    )
    folder = tmp_path_factory.mktemp("ruled") / "model"
    pipeline.to_disk(folder)
    return str(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Save a pipeline whose recognizer was trained on a handful of sentences: persons only."""
    import spacy
    from spacy.training import Example
    from spacy.util import fix_random_seed

    fix_random_seed(7)
    draw = random.Random(7)
    pipeline = spacy.blank("en")
    pipeline.add_pipe("ner").add_label("PER")
    texts = []
    for person in PEOPLE:
        for frame in ("please call {} today", "{} paid late", "the letter of {} came"):
            text = frame.format(person)
            start = text.index(person)
            marks = {"entities": [(start, start + len(person), "PER")]}
            texts.append(Example.from_dict(pipeline.make_doc(text), marks))
    texts += [Example.from_dict(pipeline.make_doc("the car needs a new roof"), {"entities": []})]
    optimizer = pipeline.initialize(lambda: texts)
    for _ in range(30):
        draw.shuffle(texts)
        pipeline.update(texts, sgd=optimizer)
    folder = tmp_path_factory.mktemp("trained") / "model"
    pipeline.to_disk(folder)
    return str(folder)


def contract_of(column="note", kind="string", *, action="quarantine", marked=True, **options):
    columns = (Column(ColumnSpec(column, kind), pii=action, is_personal=marked),)
    return Contract("t", "1", "c.yaml", "0" * 64, columns, checks={"pii": options})


def run(table, contract):
    check = Pii(Context(contract, table.schema, table.num_rows))
    (shard,) = tables.cut(table)
    model = check.finish(check.fit(shard))
    return findings.ordered(check.score(shard, model)).to_pylist(), model


TEXTS = ["please call Anna Berg today", "Molde was wet", "the car needs a new roof", None]


def test_persons_and_places_act_like_other_types(ruled):
    found, model = run(pa.table({"note": TEXTS}), contract_of(model=ruled))
    assert [(f["row"], f["rule"], f["severity"]) for f in found] == [
        (0, "pii.PERSON", "error"),
        (1, "pii.LOCATION", "error"),
    ]
    assert "Anna" not in json.dumps(found)
    told = " ".join(model.notes)
    assert "A language model searched all texts for LOCATION, PERSON" in told
    assert "ASSAY-K020: dates and addresses were not searched for" in told
    contract = contract_of(model=ruled, action="redact")
    assert {f["severity"] for f in run(pa.table({"note": TEXTS}), contract)[0]} == {"info"}
    clean = redact(pa.array(TEXTS), "note", contract)
    assert clean.to_pylist() == ["please call <PERSON> today", "<LOCATION> was wet", *TEXTS[2:]]
    assert Pii.scan_clean(pa.table({"note": TEXTS}), contract).num_rows == 2
    assert Pii.scan_clean(pa.table({"note": clean}), contract).num_rows == 0


def test_a_trained_model_is_read_and_what_it_lacks_is_said(trained):
    found, model = run(pa.table({"note": TEXTS}), contract_of(model=trained))
    assert (0, "pii.PERSON") in [(f["row"], f["rule"]) for f in found]
    assert 2 not in [f["row"] for f in found]
    told = " ".join(model.notes)
    assert "ASSAY-K020: places, dates and addresses were not searched for" in told


def test_the_threshold_counts(ruled):
    assert run(pa.table({"note": TEXTS}), contract_of(model=ruled, model_score=0.9))[0] == []


def test_without_a_model_everything_is_said():
    _, model = run(pa.table({"note": TEXTS}), contract_of())
    (told,) = [note for note in model.notes if note.startswith("ASSAY-K020")]
    assert told == (
        "ASSAY-K020: personal names, places, dates and addresses were not searched for: "
        "no language model is configured."
    )


def empty(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    return tmp_path


def broken(tmp_path):
    empty(tmp_path)
    (tmp_path / "config.cfg").write_text("[nlp]\nlang = 7\n")
    (tmp_path / "meta.json").write_text("{}")
    return tmp_path


def nameless(tmp_path):
    import spacy

    spacy.blank("en").to_disk(tmp_path)
    return tmp_path


def gliner(tmp_path):
    (empty(tmp_path) / "gliner_config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path / "nowhere", "does not exist"),
        (empty, "holds no model"),
        (broken, "cannot be loaded"),
        (nameless, "neither persons nor places"),
        (gliner, "gliner is not installed|cannot be loaded"),
        (lambda _: "en_core_web_nowhere", "no spaCy pipeline"),
        (lambda _: "antigravity", "no spaCy pipeline"),  # never just imported
    ],
)
def test_a_model_that_cannot_be_used_is_an_error_and_nothing_passes(tmp_path, make, why):
    contract = contract_of(model=str(make(tmp_path / "model")))
    table = pa.table({"note": TEXTS})
    with pytest.raises(AssayError, match=why) as caught:
        run(table, contract)
    assert caught.value.code == "ASSAY-K003"
    assert "antigravity" not in sys.modules
    # what is written all the same holds no text that was not read
    assert redact(pa.array(TEXTS), "note", contract).to_pylist() == ["<UNSCANNED>"] * 3 + [None]
    assert set(Pii.scan_clean(table, contract)["rule"].to_pylist()) == {"pii.unscanned"}


def test_a_text_that_the_model_cannot_read_spoils_no_other(ruled, monkeypatch):
    reader = names.load(ruled)
    read = reader.read

    def fails(texts, least):
        if any("roof" in text for text in texts):
            raise RuntimeError
        return read(texts, least)

    monkeypatch.setattr(reader, "read", fails)
    found, _ = run(pa.table({"note": TEXTS}), contract_of(model=ruled))
    assert [(f["row"], f["rule"]) for f in found] == [
        (0, "pii.PERSON"),
        (1, "pii.LOCATION"),
        (2, "pii.unscanned"),
    ]


@pytest.mark.parametrize("words", [0, 1, 119, 120, 121, 150, 1_000])
def test_windows_leave_nothing_of_a_text_out(words):
    text = "  " + " ".join(f"w{n}" for n in range(words)) + "\n"
    found = list(names.windows(text))
    seen = [set(text[start:end].split()) for start, end in found]
    assert set().union(*seen) == set(text.split())
    for pair in itertools.pairwise(text.split()):
        assert any(set(pair) <= some for some in seen)


DENIED = ["Zoë Quist", "O'Hara", "nguyen van an", "Weiß", "Иван Петров"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("paid by zoë quist.", "zoë quist"),
        ("ZOE-QUIST paid", "ZOE-QUIST"),
        ("zo\u0065\u0308 quist", "zo\u0065\u0308 quist"),
        ("mr o'hara's car", "o'hara"),
        ("for Nguyen  Van An", "Nguyen  Van An"),
        ("Herr WEISS kam", "WEISS"),
        ("(weiß)", "weiß"),
        ("z\u200boe quist", "z\u200boe quist"),
        ("\uff3aoe quist", "\uff3aoe quist"),
        ("zo%C3%AB quist", "zo%C3%AB quist"),
        ("от Ивана и иван петров", "иван петров"),
        ("quist and zoe", None),
        ("oharas", None),
        ("zoe is quist", None),
        ("zoe\n\nquist", None),
        ("weissbier", None),
    ],
)
def test_denied_names_are_found_as_whole_words(text, name):
    contract = contract_of(deny=DENIED)
    found, _ = run(pa.table({"note": ["nothing", text]}), contract)
    assert [f["rule"] for f in found] == (["pii.DENIED"] if name else [])
    for item in found:
        assert item["severity"] == "error"
        assert not any(word in item["evidence"].lower() for word in ("zo", "quist", "o'hara"))
    (clean,) = redact(pa.array([text]), "note", contract).to_pylist()
    assert clean == (text.replace(name, "<DENIED>") if name else text)


def test_a_file_of_tens_of_thousands_of_names(tmp_path):
    draw = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    listed = ["".join(draw.choices(letters, k=9)).title() for _ in range(30_000)]
    path = tmp_path / "names.txt"
    path.write_text("# customers\n" + "\n".join(listed) + "\n")
    texts = [f"the letter of {name.upper()}, again" for name in listed[:500]]
    texts += [f"plain words number {n}" for n in range(20_000)]
    contract = contract_of(deny_file=str(path))
    found, model = run(pa.table({"note": texts}), contract)
    assert [f["row"] for f in found] == list(range(500))
    assert "the 30,000 names on the deny list" in " ".join(model.notes)
    path.write_text("plain\n")  # a changed file is read anew
    assert len(run(pa.table({"note": texts}), contract)[0]) == 20_000


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_deny_list_that_cannot_be_read_is_an_error(tmp_path, content):
    path = tmp_path / "names.txt"
    if content:
        path.write_bytes(content)
    contract = contract_of(deny_file=str(path))
    with pytest.raises(AssayError, match=r"K003.*deny list"):
        run(pa.table({"note": ["x"]}), contract)
    assert Pii.scan_clean(pa.table({"note": ["x"]}), contract)["rule"].to_pylist() == [
        "pii.unscanned"
    ]


def test_placeholders_are_no_names(ruled):
    text = "for <PERSON:abcdefghijklmnop> and <PERSON>"
    assert [m[0] for m in PLACEHOLDER.finditer(text)] == [
        "<PERSON:abcdefghijklmnop>",
        "<PERSON>",
    ]
    contract = contract_of(model=ruled, deny=["person"])
    assert run(pa.table({"note": [text]}), contract)[0] == []
    found, _ = run(pa.table({"note": ["for <ANNA> person"]}), contract_of(deny=["anna"]))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("name", "names of persons"),
        ("Full Name", "names of persons"),
        ("customer_name", "names of persons"),
        ("lastName", "names of persons"),
        ("Prénom", "names of persons"),
        ("nachname", "names of persons"),
        ("Förnamn", "names of persons"),
        ("imię", "names of persons"),
        ("фамилия", "names of persons"),
        ("氏名", "names of persons"),
        ("home_address", "places or addresses"),
        ("Straße", "places or addresses"),
        ("ciudad", "places or addresses"),
        ("zip_code", "places or addresses"),
        ("DOB", "dates of birth"),
        ("birth_date", "dates of birth"),
        ("geburtsdatum", "dates of birth"),
        ("product_name", None),
        ("file name", None),
        ("email_address", None),
        ("ip_address", None),
        ("note", None),
        ("surface", None),
        ("velocity", None),
    ],
)
def test_the_name_of_a_column_warns(column, kind):
    assert kind_of(column) == kind
    table = pa.table({column: ["a", "b"]})
    _, model = run(table, contract_of(column, marked=False))
    told = model.overall.to_pylist()
    assert [(f["rule"], f["severity"], f["column"]) for f in told] == (
        [("pii.column", "warning", column)] if kind else []
    )
    assert run(table, contract_of(column))[1].overall.num_rows == 0  # someone has decided


def test_numbers_count_where_the_columns_name_tells_of_them():
    numbers = [2125550187, 12, None, 4111111111111111]
    for kind in (pa.int64(), pa.float64()):
        for column, rules in (
            ("mobile", ["pii.PHONE_NUMBER"]),
            ("creditcard", ["pii.CREDIT_CARD"]),
            ("amount", []),
        ):
            table = pa.table({column: pa.array(numbers, kind)})
            logical = "integer" if kind == pa.int64() else "number"
            found, _ = run(table, contract_of(column, logical))
            assert [f["rule"] for f in found] == rules, (column, found)
            assert Pii.scan_clean(table, contract_of(column, logical)).num_rows == len(rules)


def test_one_person_has_one_pseudonym_however_written():
    key, other = b"k" * 32, b"o" * 32
    same = [
        ("EMAIL_ADDRESS", "Anna.Berg@Example.org", "anna.berg@example.org"),
        ("CREDIT_CARD", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("PERSON", "Anna  Berg", "ANNA BERG"),
    ]
    for entity, one, two in same:
        assert pseudonym(one, entity, key) == pseudonym(two, entity, key)
        assert pseudonym(one, entity, key) != pseudonym(one, entity, other)
        assert pseudonym(one, entity, key) != pseudonym(one, "IBAN_CODE", key)
    assert pseudonym("AbC", "SECRET", key) != pseudonym("abc", "SECRET", key)


def test_pseudonyms_look_like_no_value(ruled):
    values = pa.array([f"write to p{n}@example.org" for n in range(3_000)])
    contract = contract_of(model=ruled, deny=["abc"], action="pseudonymise")
    clean = redact(values, "note", contract, key=b"k" * 32)
    assert len(clean.unique()) == 3_000
    assert Pii.scan_clean(pa.table({"note": clean}), contract).num_rows == 0
    again = redact(clean, "note", contract, key=b"k" * 32)
    assert again.equals(clean)


def test_nothing_of_a_model_is_imported_without_one():
    code = (
        "import sys, pyarrow as pa\nfrom checks.pii import Pii\n"
        "from checks.kit.contract_model import Contract\n"
        "c = Contract('t', '1', 'c', '0' * 64, (), checks={'pii': {'deny': ['anna']}})\n"
        "assert Pii.scan_clean(pa.table({'note': ['anna', 'b']}), c).num_rows == 1\n"
        "print([m for m in ('spacy', 'gliner', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_deny_list_of_nothing_denies_nothing():
    assert deny_list.names_of(["", "--"], "").by_first == {}
