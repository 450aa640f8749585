"""What is told of a source stands in the JSON, on the terminal and in the report, with its page."""

import html
import json

import pytest
from bad_files import kind, reader

from pipelines import cli, console
from provenance.base.codes import CODES

ODD = {5: "NULL", 6: "=1+1", 7: "<b>bold</b>", 8: "1,234", 9: "plain"}
WANTED = {"ASSAY-I001", "ASSAY-I020", "ASSAY-I028", "ASSAY-I031", "ASSAY-I037"}


@pytest.fixture(scope="module")
def told(warm, tmp_path_factory):
    """The JSON of a run on a source that earns every warning of reading, and its report."""
    folder = tmp_path_factory.mktemp("told")
    made = kind.cells(200)
    for row, text in ODD.items():
        made[row][7] = text
    made[11][2] = "forty"
    data = kind.as_csv(made).replace(b"\n", b"\r\n", 30).replace(b"\r\n", b"\r\n\r\n", 2)
    (folder / "in.csv").write_bytes(b"\xef\xbb\xbf" + data)
    (folder / "contract.yaml").write_text(kind.CONTRACT)
    words = ["run", "contract.yaml", "--source", "in.csv", "--direct", "--store", "s", "--json"]
    done = warm.assay(*words, cwd=folder, env={"XDG_CONFIG_HOME": str(folder / "config")})
    told = json.loads(done.stdout)
    return told, (folder / told["path"] / "report.html").read_text()


def test_warnings_of_reading_are_in_the_json_on_the_terminal_and_in_the_report(told):
    facts, report = told
    warnings = {item["code"]: item for item in facts["warnings"]}
    assert warnings.keys() >= WANTED
    shown = " ".join(console.summary(facts, is_color=False).split())
    page = html.unescape(report)
    for code in WANTED:
        message = warnings[code]["message"]
        assert code in shown
        assert " ".join(message.split()) in shown
        assert code in page
        assert message in page


def test_the_row_that_cannot_be_cast_is_a_finding_with_its_code_in_the_report(told):
    facts, report = told
    (ingest,) = [check for check in facts["checks"] if check["check"] == "ingest"]
    assert (ingest["findings"], ingest["rows"]) == (1, 1)
    assert "ASSAY-V010" in report


def test_a_refusal_is_in_the_json_and_on_the_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contract.yaml").write_text(kind.CONTRACT)
    (tmp_path / "in.csv").write_bytes(kind.as_csv(kind.cells(), delimiter=";"))
    words = ["run", "contract.yaml", "--source", "in.csv", "--direct", "--store", "s", "--json"]
    assert cli.main(words) == 3
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert error["code"] == "ASSAY-I038"
    assert set(error) == {"code", "message", "where", "fix"}
    for part in error.values():
        assert part in err


def test_every_code_that_a_bad_file_earns_has_a_page(capsys):
    codes = {case.code for case in reader.all_cases() if case.code}
    assert codes <= CODES.keys()
    for code in sorted(codes):
        assert cli.main(["explain", code]) == 0
        assert CODES[code][0] in capsys.readouterr().out
