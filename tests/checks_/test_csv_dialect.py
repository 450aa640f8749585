"""What a contract says of its CSV files, and what it must not say."""

import pytest

from checks.contract.loader import load
from provenance.base.errors import AssayError
from provenance.readers.csv_dialect import Dialect

PLAIN = """\
apiVersion: v3.1.0
kind: DataContract
servers:
  - {{server: s, type: {type}, format: {format}, path: a.csv{server}}}
schema:
  - name: t
    properties:
      - {{name: a, logicalType: string}}
customProperties:
  - {{property: assay.limits, value: {{max_columns: 9}}}}
{more}"""


def loaded(tmp_path, value=None, server="", form="csv", kind="custom"):
    more = f"  - {{property: assay.csv, value: {value}}}\n" if value is not None else ""
    path = tmp_path / "contract.yaml"
    path.write_text(PLAIN.format(type=kind, format=form, server=server, more=more))
    return load(path, root=tmp_path)


@pytest.mark.parametrize(
    ("value", "server", "wanted"),
    [
        (None, "", Dialect()),
        ("{}", "", Dialect()),
        ('{delimiter: ";"}', "", Dialect(";")),
        ('{delimiter: "\\t"}', "", Dialect("\t")),
        ('{quote: "\'"}', "", Dialect(quote="'")),
        ("{quote: none}", "", Dialect(quote="")),
        ("{encoding: Latin-1}", "", Dialect(encoding="iso8859-1")),
        ("{encoding: UTF-16}", "", Dialect(encoding="utf-16")),
        (None, ', delimiter: ";"', Dialect(";")),
        ("{encoding: utf-16}", ', delimiter: ";"', Dialect(";", encoding="utf-16")),
        ('{delimiter: ";"}', ', delimiter: ";"', Dialect(";")),
        ('{skip: 3, comment: "#", footer: 1}', "", Dialect(skip=3, comment="#", footer=1)),
        ('{decimal: ",", thousands: "."}', "", Dialect(decimal=",", thousands=".")),
        ('{thousands: "\\u202f"}', "", Dialect(thousands="\u202f")),
        ("{trim: true, index: a}", "", Dialect(trim=True, index="a")),
    ],
)
def test_reads(tmp_path, value, server, wanted):
    contract = loaded(tmp_path, value, server)
    assert contract.csv == wanted
    assert contract.warnings == ()


@pytest.mark.parametrize(
    ("value", "server", "code", "told"),
    [
        ("{delimeter: x}", "", "C004", "delimiter"),
        ("[1]", "", "C005", "mapping"),
        ('{delimiter: ";;"}', "", "C005", "one ASCII character"),
        ("{delimiter: a}", "", "C005", "delimiter"),
        ("{delimiter: 1}", "", "C005", "string"),
        ("{delimiter: '\"'}", "", "C005", "delimiter"),
        ("{quote: '`'}", "", "C005", "quote"),
        ("{encoding: rot13}", "", "C005", "windows-1252"),
        ("{encoding: utf-61}", "", "C005", "encoding"),
        ('{delimiter: ";"}', ', delimiter: "|"', "C008", "line 4"),
        (None, ", delimiter: ab", "C005", "delimiter"),
        ("{skip: -1}", "", "C005", "at least 0"),
        ("{skip: 1001}", "", "C005", "at most 1000"),
        ("{footer: 1.5}", "", "C005", "footer"),
        ("{footer: '1'}", "", "C005", "footer"),
        ("{comment: '##'}", "", "C005", "comment"),
        ("{comment: a}", "", "C005", "comment"),
        ("{comment: '-'}", "", "C005", "comment"),
        ('{comment: ";", delimiter: ";"}', "", "C008", "delimiter"),
        ('{comment: "|"}', ', delimiter: "|"', "C008", "delimiter"),
        ("{decimal: ';'}", "", "C005", "decimal"),
        ("{thousands: '_'}", "", "C005", "thousands"),
        ('{decimal: ",", thousands: ","}', "", "C008", "decimal and thousands"),
        ('{thousands: "."}', "", "C008", "decimal and thousands"),
        ("{trim: 1}", "", "C005", "trim"),
        ("{index: b}", "", "C007", "unknown column 'b'"),
        ('{index: ""}', "", "C005", "index"),
    ],
)
def test_refuses_with_its_place(tmp_path, value, server, code, told):
    with pytest.raises(AssayError) as caught:
        loaded(tmp_path, value, server)
    assert caught.value.code == f"ASSAY-{code}"
    assert told in str(caught.value)
    assert "contract.yaml:" in caught.value.where


def test_the_delimiter_of_json_documents_is_not_that_of_a_csv(tmp_path):
    assert loaded(tmp_path, None, ", delimiter: new_line", form="json").csv == Dialect()
    assert loaded(tmp_path, None, ", delimiter: new_line", kind="s3").csv == Dialect()
    assert loaded(tmp_path, None, ", delimiter: array", form="json").csv == Dialect()
