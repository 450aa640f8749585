"""Keep Prefect from reading settings in the working folder.

Prefect 3.8 reads `.env`, `prefect.toml` and `pyproject.toml` wherever it is imported. Those of a
cloned project could send the user's API key to a server of its author, or name a logging
configuration, which is code. The user's own environment and profiles still count. The package
`pipelines` installs this, so nothing in Assay can import Prefect without it.
"""

import importlib.machinery
import os
import sys

TYPE_CHECKING = False  # `typing` itself would cost a tenth of the help's time
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType
    from typing import Any

BASE = "prefect.settings.base"  # imported before any settings are read
SOURCES = "prefect.settings.sources"
CHANGED = ("build_settings_config", "_build_settings_config")


class _Finder:
    """Finds `prefect.settings.base` as usual, and changes the module once it is loaded."""

    @staticmethod
    def find_spec(
        name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != BASE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: "ModuleType") -> None:
                execute(module)
                _close(module)

            loader.exec_module = exec_module
        return spec


def install() -> None:
    """Make sure that Prefect, once imported, reads no file in the working folder."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    if BASE in sys.modules:  # a program imported Prefect before Assay
        _reopen()


def profiles_path() -> "Path":
    """Return the file of the user's Prefect profiles, regardless of the working folder."""
    from pathlib import Path

    if given := os.environ.get("PREFECT_PROFILES_PATH"):
        return Path(given)
    if home := os.environ.get("PREFECT_HOME"):
        return Path(home).expanduser() / "profiles.toml"
    try:
        return Path("~/.prefect/profiles.toml").expanduser()
    except RuntimeError:  # there is no home folder
        return Path(os.devnull)


def _close(base: "Any") -> None:
    """Change Prefect's settings module so that it looks for no file in the working folder.

    Raises:
        ImportError: if this Prefect has other names; no Prefect is better than one that reads them.
    """
    sources: Any = sys.modules[SOURCES]
    names = [(base, name) for name in CHANGED]
    names += [(sources, "_get_profiles_path"), (sources, "PrefectTomlConfigSettingsSource"),
              (sources, "PyprojectTomlConfigSettingsSource")]  # fmt: skip
    for module, name in names:
        if not hasattr(module, name):
            raise ImportError(f"this version of Prefect has no {name}: install prefect>=3.8.8,<3.9")
    build = base.build_settings_config

    def built(*args: "Any", **kwargs: "Any") -> "Any":
        return {**build(*args, **kwargs), "env_file": None, "toml_file": None}

    for name in CHANGED:
        setattr(base, name, built)
    for kind in (
        sources.PrefectTomlConfigSettingsSource,
        sources.PyprojectTomlConfigSettingsSource,
    ):
        kind._read_files = lambda *_, **__: {}  # noqa: SLF001  there is no public way
    default = sources.DEFAULT_PROFILES_PATH
    sources._get_profiles_path = lambda: _or_default(default)  # noqa: SLF001  as above


def _or_default(default: "Path") -> "Path":
    path = profiles_path()
    return path if path.exists() else default


def _reopen() -> None:
    """Do the same to a Prefect that is already imported, and let it read its settings again."""
    base: Any = sys.modules[BASE]
    _close(base)
    waiting = [base.PrefectBaseSettings]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        kind.model_config = {**kind.model_config, "env_file": None, "toml_file": None}
    context = sys.modules.get("prefect.context")
    if context is not None and hasattr(context, "refresh_global_settings_context"):
        context.refresh_global_settings_context()
