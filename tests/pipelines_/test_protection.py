"""Personal data by column: redacted, pseudonymised, quarantined; never in what is published."""

import json

import pyarrow.parquet as pq
import pytest

ADDRESSES = ["anna.berg@example.org", "olaf@example.net", "anna.berg@example.org"]
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: letters
name: letters
version: 1.0.0
status: active
schema:
  - name: letters
    properties:
      - {{name: id, logicalType: integer, primaryKey: true}}
      - {{name: size, logicalType: number}}
      - name: letter
        logicalType: string
        customProperties:
          - {{property: assay.pii, value: {action}}}
"""


@pytest.mark.parametrize("action", ["quarantine", "redact", "pseudonymise", "allow"])
def test_each_action_does_what_it_says(warm, tmp_path, action):
    lines = [f"{n},{n % 17},plain words number {n}" for n in range(60)]
    for row, address in zip((5, 6, 50), ADDRESSES, strict=True):
        lines[row] = f"{row},1,please write to {address} about it"
    (tmp_path / "in.csv").write_text("id,size,letter\n" + "\n".join(lines) + "\n")
    (tmp_path / "c.yaml").write_text(CONTRACT.format(action=action))
    words = ["run", "c.yaml", "--source", "in.csv", "--store", "store", "--direct", "--json"]
    done = warm.assay(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    path = tmp_path / told["path"]
    clean = {r["id"]: r["letter"] for r in pq.read_table(path / "clean").to_pylist()}
    if action == "quarantine":
        assert told["rows"]["quarantine"] == 3
        assert not {5, 6, 50} & clean.keys()
    else:
        assert told["rows"]["clean"] == 60
    if action == "redact":
        assert clean[5] == clean[50] == "please write to <EMAIL_ADDRESS> about it"
    if action == "pseudonymise":
        assert clean[5] == clean[50] != clean[6]
        assert clean[5].startswith("please write to <EMAIL_ADDRESS:")
    if action == "allow":
        assert clean[6] == "please write to olaf@example.net about it"
    published = [p for p in path.rglob("*") if p.is_file() and p.parent.name != "quarantine"]
    published = [p for p in published if action != "allow" or p.parent.name != "clean"]
    ledger = list((tmp_path / "store" / "ledger").rglob("*.parquet"))
    for file in [*published, *ledger]:
        text = _text(file)
        assert not any(address in text for address in ADDRESSES), file
    assert not any(address in done.stdout + done.stderr for address in ADDRESSES)


def _text(path):
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist())
    return path.read_bytes().decode("latin-1")
