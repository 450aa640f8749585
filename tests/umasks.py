"""An `assay` command under a umask, for the warm process: words are the umask and the command."""

import os

from pipelines import cli


def assay(words):
    mask, *command = words
    os.umask(int(mask, 8))
    code = cli.main(command)
    if os.umask(0) != int(mask, 8):
        raise RuntimeError("the command left another umask behind")
    return code
