"""``nightproof keys``: the key that signs manifests."""

from __future__ import annotations

from pathlib import Path

from nightproof import config
from nightproof.cli.session import Session, emit
from nightproof.provenance import signing


def new(session: Session, folder: Path | None) -> int:
    """Make a key in `folder`, by default where runs look for one."""
    usual = config.keys_folder(session.settings().keys)
    made = signing.new_keys(folder or usual)
    if session.json:
        emit({"keyid": made.keyid, "private": str(made.private), "public": str(made.public)})
        return 0
    print(f"key {made.keyid}")
    print(f"  private  {made.private}   (stays here)")
    print(f"  public   {made.public}   (for `nightproof verify --key`)")
    if folder is not None and folder.absolute() != usual.absolute():
        print(f"  use it   NIGHTPROOF_KEYS={folder}, or the setting `keys`")
    return 0
