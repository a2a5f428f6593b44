"""What of an environment can be installed again, and from where."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from nightproof.provenance.snapshot.installed import Distribution

_EDITABLE = " editable "


class Wanted(NamedTuple):
    """Requirements for uv by the names of packages, and why others are left out."""

    requirements: dict[str, str]
    left_out: dict[str, str]


def wanted(
    strict: Mapping[str, str], origins: Mapping[str, str], without: Collection[str]
) -> Wanted:
    """The distributions among a snapshot's strict items, those of `without` left out.

    `origins` says of packages that came from no index where they came from (a URL),
    "" for a folder of this machine.
    """
    found = Wanted({}, {})
    for item, value in strict.items():
        kind, _, name = item.partition("/")
        if kind != "package":
            continue
        version, _, known = value.partition(" ")
        if name in without:
            found.left_out[name] = "as asked"
        elif _EDITABLE in value or origins.get(name) == "":
            found.left_out[name] = "installed from a folder"
        elif not known:
            found.left_out[name] = "it has no RECORD"
        elif name in origins:
            found.requirements[name] = f"{name} @ {origins[name]}"
        else:
            found.requirements[name] = f"{name}=={version}"
    return found


def origins(distributions: Iterable[Distribution]) -> dict[str, str]:
    """Where the distributions came from that were installed from no index (PEP 610)."""
    found = {}
    for one in distributions:
        folder = Path(one.folder, one.info)
        try:
            known = json.loads((folder / "direct_url.json").read_bytes())
            url = str(known["url"])
            inside = known.get("subdirectory")
            if "dir_info" in known:
                found[one.name] = ""
                continue
            if "vcs_info" in known:
                version = known["vcs_info"]
                url = f"{version['vcs']}+{url}@{version['commit_id']}"
            elif url.startswith("file://") and not Path(unquote(url[7:])).is_file():
                continue  # a wheel that is gone; an index may have it
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found[one.name] = f"{url}#subdirectory={inside}" if inside else url
    return found
