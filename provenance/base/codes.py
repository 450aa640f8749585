"""Every code that Assay reports: what it means and what to do about it. Codes are never reused.

`assay explain CODE` and docs/errors.md are generated from this table; a test compares the two.
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

# K codes about the data; the other K codes say that a check could not run
_OF_DATA = ("K010", "K011", "K012", "K013", "K014", "K015", "K017", "K022", "K025", "K026")

# for each code one line with its meaning and one with what to do; deeper lines continue a line
_TABLE = """
I001 The source is empty or has only blank lines.
         If this is only a warning, some blank lines were skipped.
     Check that the export finished.
I002 The source has columns but no rows.
     Check the export. If an empty source is valid, add a rowCount rule with a minimum of 0.
I003 The file is truncated and is refused, or its last row is cut off and is rejected.
     Copy or export the file again.
I004 The file extension is unknown, or the content does not match it.
     Rename the file, or export it again in a supported format.
I005 A checksum in the file, or a recorded digest, does not match the bytes of the file.
     Restore the file from its origin; the disk or the transfer may have damaged it.
I006 The file exceeds a size limit, or would exceed one when unpacked.
     If the file is legitimate, raise the limit under assay.limits that the message names.
I007 The file, or part of it, is encrypted.
     Decrypt the file before the run.
I008 A column's type is unsupported or not the contract's, or values at one nested path mix types.
     Correct the logicalType in the contract (`assay init` writes it), or repair the source.
I009 The source has more columns than the limit allows.
     If the number of columns is intended, raise assay.limits.max_columns in the contract.
I010 The source is not a regular file but a pipe, a device, a folder or a procfs file.
     Copy the data into a regular file. Error messages never show what such a source contains.
I011 The source is a symbolic link that is broken, forms a loop or points outside its folder.
     Copy the file into the folder, or give its real path.
I012 The path of an archive member points outside the archive.
     Inspect the archive, then extract the data file by hand.
I013 The file changed while it was being read.
     Run again when the program that writes the file has finished.
I014 The source does not exist or cannot be read.
     Check the path or URL and the permissions; for a remote source, also the network.
I015 The URL is malformed, its scheme is unsupported, or the extra that reads it is missing.
     Correct the URL, install the extra that the message names (such as `assay[s3]`), or download
         the file and pass its local path.
I017 The files of one dataset differ in format, column names or column types.
     Export all files with the same columns and types.
I018 The source's columns do not match the contract, or its header is not where it is expected.
     Repair the export, or correct the contract's properties or assay.csv (`assay init` writes
         them).
I020 The text starts with a byte order mark, which is dropped.
     No action needed.
I021 The text is not in UTF-8, or not in the encoding that the contract names.
     Convert it to UTF-8, or set assay.csv.encoding in the contract (`assay init` detects it).
I022 A row contains bytes that are invalid in the source's encoding; the row is rejected.
     Export as UTF-8, or set assay.csv.encoding in the contract (`assay init` detects it).
I023 A row contains a NUL byte; it is quarantined.
     Find out what wrote binary data into a text column.
I024 A row has the wrong number of cells and is rejected; if all rows do, the source is refused.
     Quote cells that contain the delimiter, or repair the header.
I025 A quote is never closed (source refused), or it swallows the following rows (row rejected).
     Repair the quote; if such long cells are intended, raise assay.limits.max_lines_per_row.
I026 A column name is reserved, or occurs more than once (ignoring case).
     Rename the column.
I027 A column has no name.
         This is only a warning if the contract names the column (assay.csv.index).
     Name the column in the header or, if it is the first one, in assay.csv.index of the contract.
I028 The text mixes line endings; it is read anyway.
     No action needed.
I030 A cell is larger than the limit; its row is quarantined.
     If cells of that size are legitimate, raise assay.limits.max_field_bytes.
I031 Some cells of a text column look like missing values; they are kept as text.
     If they stand for missing values, list them under missingValues in the contract.
I034 An integer does not fit in 64 bits; its row is quarantined.
     Declare the column as a string in the contract.
I035 A cell's value does not match its column's type; its row is quarantined with the raw text.
     Repair the source, correct the logicalType, or list the text under missingValues.
I036 A cell is not a date or time in the contract's format; its row is quarantined.
     Repair the source, or correct logicalTypeOptions.format.
I037 Some cells look like spreadsheet formulas or HTML; they are kept as text.
     Escape these cells before you export them to a spreadsheet or a web page.
I038 The file seems to use a delimiter other than the expected one.
     Set assay.csv.delimiter in the contract (`assay init` detects it), or convert the file.
I039 Lines of a CSV that are not rows were skipped: above the header, below the table, or comments.
     No action needed; assay.csv in the contract says which lines these are.
I040 A row repeats the header; it is rejected.
     Export the parts of the file without their headers, or ignore the rejected rows.
I041 The folders of a partitioned source (`name=value`) cannot be read as columns.
     Correct the folders' names as the message says, or name one folder's files as the source.
I042 Whole numbers are written as floats in an integer column; they are read as integers.
     No action needed. If fractions are possible, declare the column as a number in the contract.

V001 A number is NaN, which is not the same as a missing value.
     If the value is missing, leave the cell empty.
V002 A value is infinite, too large for its type, or a date outside the years 1 to 9999.
     Repair the source.
V004 A number is implausibly far from the other values in its column.
     Repair the source. If such values are valid, declare the column's minimum and maximum in the
         contract.
V005 A text value contains control characters.
     Remove them at the source.
V006 A text value contains characters that are invisible or change the text direction.
     Remove them at the source.
V007 A category contains look-alike letters from another script.
     Replace it with the usual spelling.
V008 A category differs from a more common one only in whitespace or letter case.
     Replace it with the more common spelling.
V009 A key is not unique; all rows with that key are quarantined.
     Make the key unique at the source.
V010 A required cell is empty, or holds a word where a number is expected.
     Repair the cell; if it may be missing, drop `required` or add the word to missingValues.
V012 The label has fewer than two classes.
     Check whether the export filters out classes.
V013 A label is missing, or is not one of the valid values.
     Relabel or reject the row.
V014 The label has almost one class per row, so it is probably not a label.
     Choose a different column as the label.
V015 A column is empty in every row (the data fails) or always has the same value (a warning).
     Repair the export, or set assay.role: ignore for the column.
V016 The dataset has too few rows to be judged.
     Collect at least 20 rows.
V017 The dataset contains many near copies of one row; the copies are quarantined.
     Find out where the copies come from.
V018 A column gives away the label (label leakage).
     Remove the column, or set assay.role: ignore and leave it out of training.
V019 A column has a very large number of categories; they are hashed.
     No action needed.
V020 Some rows of the dataset also occur in the test set.
     Reject these rows or draw a new test set; a model can memorise them.
V021 The column with the role probabilities does not fit the classes of the label.
     State the classes in the order of the probabilities (`assay.label: {classes: [...]}`), or
         export the probabilities again.

C001 The YAML has aliases or merge keys, is nested too deeply, or is too large.
     Write every value out in full, or shorten the file.
C002 The YAML is malformed, is not UTF-8, or contains tags or invisible characters.
     Repair the line that the message names.
C003 A key occurs twice, or the file contains more than one YAML document.
     Keep only one of them.
C004 The contract contains an unknown key.
     Correct the key; the message suggests the closest known one.
C005 A value is missing, invalid or of the wrong type, or the contract is empty.
     See docs/contract.md for the values that are allowed.
C006 A pattern is not a valid RE2 regular expression, or is too large.
     Rewrite the pattern.
C007 The contract refers to an unknown column.
     Correct the name; the message suggests the closest known column.
C008 Settings or rules contradict each other, or a name is reserved or used twice.
     Correct, rename or remove one of the two.
C009 An SQL rule does more than read the table, or takes too long to analyse.
     Write a single SELECT over the table.
C010 A path in the contract points outside the contract's folder.
     Move the file into the contract's folder, or name it on the command line.
C011 The contract cannot be read.
     Check the path; `assay init` writes a contract.
C012 The command line is invalid.
     See `assay COMMAND --help`.
C013 The store, run, row or code does not exist.
     Check what you typed; `assay ledger log` lists the runs.
C014 A review decision is invalid, or does not fit the run or row that it names.
     Correct the decision as the message says; see `assay review --help`.
C015 The users file of the review page is malformed, or a change of it is not possible.
     Correct the line that the message names, or use `assay review --add-user`, `--change-user` and
         `--remove-user`.

K001 A check failed to run, so the verdict is `fail`: unchecked data never passes.
     Run again with --debug and report the output, or turn the check off in the contract.
K002 A stage or check exceeded its time limit, so the run does not pass.
     Raise check_seconds or ingest_seconds under assay.limits, or split the source.
K003 A check lacks something that it needs, such as a model or a test set.
     Provide what the message names.
K010 The data has drifted from the reference.
     Find out what changed at the source. If the change is intended, make the run the
         reference: `assay review RUN --anchor`.
K011 More rows are quarantined than the policy allows.
     List them with `assay review RUN --list`; decide with `assay review RUN --apply FILE`.
K012 More rows are rejected than the policy allows.
     Repair the source.
K013 The scan of the clean dataset found personal data, or could not search a column for it.
     Set assay.pii for the column, or fix the problem that stopped the `pii` check.
K014 The data violates a dataset-level rule of the contract.
     Repair the data or correct the rule.
K015 The policy treats warnings as failures.
     List the warnings with `assay review RUN --list`, then resolve them or change the policy.
K016 Two counts that must agree differ, so neither can be trusted.
     Run again with --debug and report the output.
K017 A column has drifted slowly from the reference over several nightly runs.
     Find out when and why the drift began. If it is intended, make the run the
         reference: `assay review RUN --anchor`.
K018 The reference is the clean dataset of an earlier run that was chosen as the anchor.
     No action needed; `assay review RUN --anchor` chooses another run.
K020 The data was not searched for personal names or places: no language model that finds them is
         configured.
     Configure a model or a deny list (docs/privacy.md), or do not train on columns that may
         contain names or places.
K021 The privacy budget is spent, so no figures about protected columns are published.
     Raise assay.policy.epsilon_total if you accept a greater risk to individuals' privacy.
K022 The data from one source changed abruptly compared with earlier nightly runs.
     Ask the source's owner what changed; hold back its rows until you know.
K025 A class, a source or a group would lose more than half of its rows to the quarantine.
     List the rows, release the legitimate ones and reject the others (`assay review RUN --apply`),
         then run `assay release RUN`.
K026 An earlier decision on this row does not settle it: the row changed, something else accuses it
         now, the decision has expired, or it waits for a second person.
     Compare the earlier decision (`assay explain RUN ROW`), and decide about the row again, or have
         another person decide.
K027 What reviewers decided about other rows changed how severe some findings are, or would have.
     Review a few of these rows. If the reviewers were wrong, withdraw the decisions
         (`assay review RUN --undo ENTRY`), or set `learn: false` under assay.policy.

L001 An entry is missing from the ledger.
     Restore it from a backup; until then, do not trust any later run.
L002 The ledger is missing, has lost its newest entries, or is an older copy.
     Restore a backup that has at least as many entries as your newest checkpoint.
L003 A ledger entry cannot be read.
     Restore it from a backup.
L004 A ledger entry was edited.
     Restore the ledger from a backup, and find out who changed the entry.
L005 Ledger entries are out of order.
     Restore them from a backup.
L006 The ledger's folder contains a file that does not belong there.
     Inspect the file, then remove it.
L007 A signature was not made by a trusted key.
     Pin the correct public key, or restore the ledger from a backup.
L008 The ledger has forked, or is not the one that the checkpoint was taken from or that this user
         last saw.
     Compare it with a copy of the ledger that is kept elsewhere.
L009 A process that died left unfinished work in the store.
     No action needed; a later run removes it.
L010 The times in the ledger show that a clock is wrong by more than five minutes.
     Set the clock of the machine that writes to the ledger.
L011 A file of a run is missing, differs from its recorded digest, or was never recorded.
     If the file was recorded, restore it from a backup; if not, inspect it, then remove it.
L012 A checkpoint or proof cannot be read.
     Pass the file exactly as `assay ledger` wrote it; do not edit or reformat it.
L013 The store contains a symlink, pipe, device or foreign file in place of one of its own files or
         folders.
     Inspect it, then remove it; Assay did not create it.

E001 The store is on a read-only file system.
     Choose a different folder with --store.
E002 The disk is full.
     Free some space; nothing half-finished was left behind.
E003 The store or a key cannot be read or written, or other users can access the key.
     Correct the permissions, or choose a different folder with --store.
E004 Another process has held the ledger's lock for too long.
     Wait for that process to finish, or find out why it does not.
E005 A process of the run ended early; it was probably killed for using too much memory.
     Check free memory and the memory limits, then run again.
E101 The Prefect server did not start or does not respond.
     Run without --flow or with --direct, or check the server's log.
E102 Another installed package shadows one of Assay's packages.
     Install Assay in its own environment.
E103 The requested engine is not installed.
     Install the extra that the message names, or use --engine processes.
E104 An unexpected error occurred; nothing was committed.
     Run again with --debug and report the output.
E105 The file or server configured for OpenLineage did not accept an event.
     The run is not affected; check ASSAY_OPENLINEAGE or OPENLINEAGE_URL.
E106 The Dask cluster does not respond or cannot do the work.
     Start it, install this version of Assay on its workers, or use --engine processes.
E107 The file or server configured for the retrain signal did not accept the signal.
     The run is not affected; check ASSAY_RETRAIN.
E108 The folder given as the store contains files but is not an Assay store.
     Choose an empty or new folder with --store.
E109 The store or a folder in it is a symlink, or another user owns it or can write to it.
     Find out who changed it. If it is a symlink, pass the real path; if others can write to it, run
         `chmod go-w` on it; if another user owns it, change the owner or use a store of your own.
E110 Something other than Assay altered a file of the run in progress; nothing was committed.
     Find out who can write to the store's staging/ folder, then run again.
E111 The Dask scheduler uses plain TCP, so anyone who can reach its port can use it.
     Use a tls:// address, or block access to the cluster's ports (docs/operations.md).
E112 A file that says who may use the review page is missing or unsafe: a symlink, of another user,
         or one that others can read or change.
     Check the path, make the file yours, and run `chmod 600` on it.
E113 The certificate or the private key for the review page cannot be used.
     Give PEM files that belong together: a certificate that is valid now, and a key without a
         password that others cannot read.
E114 This machine cannot compute Argon2id, which protects the passwords of the review page.
     Install the version of `cryptography` in uv.lock, whose wheels can.
E130 The run was interrupted; nothing was committed.
     Run again.

G001 The gate refuses the run because its verdict is not `pass`.
     Read the reasons, then review the rows or repair the data.
G002 The training command could not be started.
     Check the command after `--`.
"""
_LINES = [line for line in _TABLE.replace("\n         ", " ").split("\n") if line]
CODES: dict[str, tuple[str, str]] = {
    line[:4]: (line[5:], advice.strip())
    for line, advice in zip(_LINES[::2], _LINES[1::2], strict=True)
}


def exit_of(code: str) -> int:
    """Return the exit code of `ASSAY-I005` or `I005`."""
    short = code.removeprefix("ASSAY-")
    if short == "E130":
        return EXIT["interrupted"]
    if short in _OF_DATA:
        return EXIT["fail"]
    return EXIT["usage"] if short == "G002" else _EXIT_BY_LETTER[short[0]]
