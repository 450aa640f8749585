"""Every code of Assay, in one table: what it means and what to do. Codes are never reused.

`assay explain CODE` and docs/errors.md are made from this table, and a test holds them together.
"""

EXIT = {"pass": 0, "fail": 1, "usage": 2, "unchecked": 3, "integrity": 4, "interrupted": 130}

_EXIT_BY_LETTER = {
    "I": EXIT["unchecked"],
    "V": EXIT["fail"],
    "C": EXIT["usage"],
    "K": EXIT["unchecked"],
    "L": EXIT["integrity"],
    "E": EXIT["unchecked"],
    "G": EXIT["fail"],
}

# what the checks say of the data; other K codes say that they could not
_OF_DATA = ("K010", "K011", "K012", "K013", "K014", "K015", "K017", "K022")

# code: (what it means, what to do about it)
CODES: dict[str, tuple[str, str]] = {
    # I: the source cannot be read as it claims to be
    "I001": ("The source is empty or holds blank lines only.", "Check that the export finished."),
    "I002": (
        "The source has columns but no rows.",
        "Check the export; set a rowCount rule with a minimum of 0 if no rows are meant.",
    ),
    "I003": (
        "The end is missing: of a Parquet or gzip file (refused), or of the last row (rejected).",
        "Copy or export the file again.",
    ),
    "I004": ("The content is not of the type that the name says.", "Rename or replace the file."),
    "I005": (
        "A checksum inside the file, or a recorded digest, does not match its bytes.",
        "Restore the file from where it came; the disk or the transfer may be at fault.",
    ),
    "I006": (
        "The file would unpack to more than the limits allow.",
        "If it is honest, raise assay.limits in the contract (max_unpacked_bytes, max_ratio).",
    ),
    "I007": ("The file is encrypted.", "Decrypt it before the run."),
    "I008": (
        "A column's type in the file is not the one that the contract promises.",
        "Correct the column's logicalType, or flatten nested columns before the export.",
    ),
    "I009": ("The source has too many columns.", "Raise assay.limits.max_columns if it is meant."),
    "I010": (
        "The source is not a regular file (a pipe, a device, a folder, or on procfs).",
        "Give a regular file; its content is never shown in messages.",
    ),
    "I011": (
        "The source is a symbolic link that leaves the data root, loops or dangles.",
        "Copy the file in, or give its real path.",
    ),
    "I012": ("An archive's member name leaves the archive.", "Unpack it by hand and check it."),
    "I013": ("The file changed while it was read.", "Run again when its writer has finished."),
    "I014": ("The source is missing or may not be read.", "Check the path and its permissions."),
    "I015": (
        "The source is a URL of a kind that is not read, or whose extra is not installed.",
        "Install the extra that is named, e.g. `pip install 'assay[s3]'`, or copy the file.",
    ),
    "I017": ("The files of one dataset disagree in columns or types.", "Export them alike."),
    "I018": (
        "The source's columns are not the contract's: some are missing, unknown or unnamed.",
        "Repair the export, or correct the contract's properties (`assay init` writes them).",
    ),
    "I020": ("The text starts with a byte order mark; it is dropped.", "Nothing to do."),
    "I021": (
        "The text is in another encoding than UTF-8, or than the one that the contract names.",
        "Convert it to UTF-8, or name a CSV's encoding under assay.csv (`assay init` finds it).",
    ),
    "I022": (
        "A row holds bytes that are not UTF-8, or not of the named encoding; it is rejected.",
        "Export as UTF-8, or name a CSV's encoding under assay.csv (`assay init` finds it).",
    ),
    "I023": ("A row holds a NUL byte; it is quarantined.", "Find what wrote binary into text."),
    "I024": (
        "A row has not as many fields as the header; it is rejected. If all have, all is refused.",
        "Quote fields that hold the delimiter, or repair the header.",
    ),
    "I025": (
        "A quote is never closed (refused), or it swallows rows that follow (rejected).",
        "Repair the quote; raise assay.limits.max_lines_per_row if such long fields are meant.",
    ),
    "I026": ("A column name occurs twice.", "Rename one of them."),
    "I027": ("A column has no name.", "Name it in the header."),
    "I028": ("The text mixes line ends; it is read all the same.", "Nothing to do."),
    "I030": (
        "A field is larger than the limit; its row is quarantined.",
        "Raise assay.limits.max_field_bytes if it is meant.",
    ),
    "I031": (
        "Cells of a text column look like missing values; they are kept as text.",
        "List the words under missingValues if they mean missing.",
    ),
    "I034": ("An integer does not fit into 64 bits; its row is quarantined.", "Declare a string."),
    "I035": (
        "A cell is not a value of its column's type; its row is quarantined with the raw text.",
        "Repair the source, correct the logicalType, or list the word under missingValues.",
    ),
    "I036": (
        "A cell is not a date or time of the contract's format; its row is quarantined.",
        "Repair the source, or correct logicalTypeOptions.format.",
    ),
    "I037": (
        "Cells begin like spreadsheet formulas or hold HTML; they are kept as text.",
        "Escape them where you export to a spreadsheet or a page.",
    ),
    "I038": (
        "The delimiter seems to be another one.",
        "Name it under assay.csv in the contract (`assay init` finds it), or convert the file.",
    ),
    # V: the values are not what a model should learn from
    "V001": ("A number is NaN, which is not the same as missing.", "Leave the cell empty."),
    "V002": ("A number is infinite or overflows.", "Repair the source."),
    "V004": ("A number is absurdly far from its column.", "Repair the source, or set a maximum."),
    "V005": ("A text holds control characters.", "Strip them at the source."),
    "V006": ("A text holds invisible or direction-changing characters.", "Strip them."),
    "V007": (
        "A category is spelt with look-alike letters of another script.",
        "Use the usual one.",
    ),
    "V008": ("A category differs from a usual one in blanks or case only.", "Use the usual one."),
    "V009": ("A key occurs more than once; all its rows are quarantined.", "Repair the key."),
    "V010": (
        "A required cell is missing, or a word stands where a number belongs.",
        "Fill or repair it; drop `required`, or list the word under missingValues, if it is meant.",
    ),
    "V012": ("The label has fewer than two classes.", "Check the export's filter."),
    "V013": ("A label is missing or not one of the valid ones.", "Relabel or reject the row."),
    "V014": ("The label has about one class per row.", "Name another column as the label."),
    "V015": (
        "A column is missing everywhere (the data fail) or has one value (a warning).",
        "Repair the export, or give the column assay.role: ignore.",
    ),
    "V016": ("There are too few rows to judge.", "Gather at least 20 rows."),
    "V017": ("Many near copies of one row; the copies are quarantined.", "Review the source."),
    "V018": (
        "A column gives the label away.",
        "Remove it; or give it assay.role: ignore, and leave it out when you train.",
    ),
    "V019": ("A column has very many categories; it is hashed.", "Nothing to do."),
    "V020": (
        "Rows of the dataset are in the test set too.",
        "Reject them, or cut the test set anew: a model knows these rows by heart.",
    ),
    # C: the contract or the command line
    "C001": (
        "The YAML has aliases or merge keys, or is too deep or large.",
        "Write it out plainly.",
    ),
    "C002": (
        "The YAML is not UTF-8, malformed, has tags, or characters that people do not see.",
        "Repair the line that is named.",
    ),
    "C003": ("A key occurs twice, or there are two documents.", "Keep one."),
    "C004": ("An unknown key.", "Use the nearest name, which the message gives."),
    "C005": ("A value of the wrong type, or an empty contract.", "See docs/contract.md."),
    "C006": ("A pattern is not an RE2 regular expression, or is too large.", "Rewrite it."),
    "C007": ("An unknown column.", "Use the nearest name, which the message gives."),
    "C008": ("Rules that contradict each other, or a column given twice.", "Keep one."),
    "C009": (
        "An SQL rule does more than read the table, or cannot be read in a moment.",
        "Write one SELECT over the table.",
    ),
    "C010": (
        "A path of the contract leaves its root.",
        "Move the file below the contract's folder, or name it on the command line.",
    ),
    "C011": ("The contract cannot be read.", "Check the path; `assay init` writes one."),
    "C012": ("The command line cannot be understood.", "See `assay COMMAND --help`."),
    "C013": ("No such run, row or code.", "`assay ledger log` lists the runs."),
    "C014": ("A decision cannot be applied.", "See `assay review --help` for the columns."),
    # K: what the checks say of the dataset, or that they could not
    "K001": (
        "A check failed to run, so the verdict is `fail`: not checked is never passed.",
        "Run again with --debug and report what it shows; or turn the check off in the contract.",
    ),
    "K002": (
        "A stage or check ran out of time, so nothing passes.",
        "Raise check_seconds or ingest_seconds under assay.limits, or split the source.",
    ),
    "K003": ("A check could not run for want of something.", "Give what the message names."),
    "K010": (
        "The data drifted from the reference.",
        "If it is meant: `assay review RUN --anchor`.",
    ),
    "K011": (
        "More rows are quarantined than the policy allows.",
        "List them with `assay review RUN --list`; decide with `assay review RUN --apply CSV`.",
    ),
    "K012": ("More rows are rejected than the policy allows.", "Repair the source."),
    "K013": (
        "The scan of the clean dataset found personal data.",
        "Set assay.pii of the column, or mend what kept the check `pii` from searching it.",
    ),
    "K014": ("A dataset-level rule of the contract is broken.", "Repair the data or the rule."),
    "K015": (
        "The warnings fail the run, as the policy asks.",
        "List them with `assay review RUN --list`.",
    ),
    "K016": (
        "Two counts that must agree do not, so neither is believed.",
        "Run again with --debug and report what it shows.",
    ),
    "K017": (
        "A column drifts from the reference night by night, and it adds up.",
        "Find out since when and why; if it is meant, `assay review RUN --anchor`.",
    ),
    "K018": (
        "The reference is the clean dataset of an earlier run, as a person decided.",
        "Nothing to do; `assay review RUN --anchor` anchors another run.",
    ),
    "K020": (
        "Personal names and places were not searched for: no language model is used.",
        "Name a model or a deny list (docs/privacy.md), or keep such columns out of training.",
    ),
    "K021": (
        "The privacy budget is spent: nothing is published of the protected columns.",
        "Raise assay.policy.epsilon_total if you accept that more can be learned of one person.",
    ),
    "K022": (
        "A source changed at once from what it was on all the nights before.",
        "Ask that source what changed; hold its rows back until you know.",
    ),
    # L: the ledger or a recorded digest does not hold
    "L001": ("An entry is missing.", "Restore it from a copy; until then trust no later run."),
    "L002": (
        "The end of the ledger is cut off, the ledger is gone, or it is an older copy.",
        "Restore it from a copy that has at least as many entries as your newest checkpoint.",
    ),
    "L003": ("An entry cannot be read.", "Restore it from a copy."),
    "L004": ("An entry was edited.", "Restore it from a copy and find out who wrote."),
    "L005": ("Entries are out of order.", "Restore them from a copy."),
    "L006": ("An entry was replayed or copied in.", "Remove the stray file after a look."),
    "L007": ("A signature is not by a trusted key.", "Pin the right public key, or restore."),
    "L008": (
        "The ledger forks, or is not the one that the checkpoint or this user saw.",
        "Compare both branches with a copy kept elsewhere.",
    ),
    "L009": ("A staged file was left over by a run that died.", "Nothing to do: it is swept."),
    "L010": ("The clock is ahead or behind by more than five minutes.", "Set the clock."),
    "L011": (
        "A run's file is missing or does not have its recorded digest, or was never recorded.",
        "Restore a recorded file from a copy; remove one that is not recorded, after a look.",
    ),
    "L012": ("A checkpoint or proof cannot be read.", "Give the file as `assay ledger` wrote it."),
    "L013": (
        "A symlink, pipe or device stands in the store where one of its own files belongs.",
        "Remove it after a look; Assay did not put it there.",
    ),
    # E: the environment
    "E001": ("The store is on a read-only file system.", "Choose another with --store."),
    "E002": ("The disk is full.", "Free space; nothing half done was left behind."),
    "E003": ("The store may not be written.", "Fix its permissions or choose another --store."),
    "E004": ("Another run holds the ledger for too long.", "Wait for it, or look at its process."),
    "E005": ("A part of the run was killed.", "Run again; look at the memory limits."),
    "E101": ("The Prefect server did not start or answer.", "Use `--direct`, or see the log."),
    "E102": ("Another package shadows one of Assay's.", "Install Assay in its own environment."),
    "E103": ("That engine is not available here.", "Use --engine serial or processes."),
    "E104": ("Something unforeseen went wrong; nothing was committed.", "Report it, with --debug."),
    "E105": (
        "An OpenLineage event was not taken by the file or server that is to have it.",
        "The run is as it would be without; check ASSAY_OPENLINEAGE or OPENLINEAGE_URL.",
    ),
    "E106": (
        "The Dask cluster does not answer, or cannot do the work.",
        "Start it, give its workers this version of Assay, or use --engine processes.",
    ),
    "E107": (
        "The retrain signal was not taken by the file or server that is to have it.",
        "The run is as it would be without; check ASSAY_RETRAIN.",
    ),
    "E108": (
        "The folder given as the store holds files, and is no store of Assay's.",
        "Choose an empty or a new folder with --store.",
    ),
    "E109": (
        "The store, or a folder in it, is a symlink, another user's, or open to other users.",
        "Find out who did that; give the store's real path, and close it: chmod go-w.",
    ),
    "E110": (
        "A file of the run in progress was altered by someone else; nothing was committed.",
        "Find out who may write to the store's staging/ folder, then run again.",
    ),
    "E111": (
        "The Dask scheduler is reached over plain TCP, which anyone may use who reaches its port.",
        "Give a tls:// address, or keep the cluster's ports from all others (docs/operations.md).",
    ),
    "E130": ("Interrupted; nothing was committed.", "Run again."),
    # G: the gate
    "G001": ("The gate refuses: the verdict is not `pass`.", "See the reasons; review, or repair."),
    "G002": ("The training command could not be started.", "Check the command after `--`."),
}


def exit_of(code: str) -> int:
    """Return the exit code of `ASSAY-I005` or `I005`."""
    short = code.removeprefix("ASSAY-")
    if short == "E130":
        return EXIT["interrupted"]
    if short in _OF_DATA:
        return EXIT["fail"]
    return EXIT["usage"] if short == "G002" else _EXIT_BY_LETTER[short[0]]
