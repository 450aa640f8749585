"""A table of one column and its contract, where a run is only scenery."""

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: few
name: few
version: 1.0.0
status: active
servers:
  - {server: here, type: local, path: few.csv, format: csv}
schema:
  - name: few
    quality: [%s]
    properties:
      - {name: id, logicalType: integer}
"""


def write(folder, rows, rule=""):
    """Write the table and its contract, with a rule on the table; return the contract's path."""
    (folder / "few.csv").write_text("id\n" + "".join(f"{number}\n" for number in range(rows)))
    path = folder / "contract.yaml"
    path.write_text(CONTRACT % rule)
    return path
