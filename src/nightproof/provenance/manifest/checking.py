"""Checking a manifest: with the artifact and a public key, and nothing else."""

from __future__ import annotations

from hashlib import sha256
from pathlib import PurePath
from typing import Any, NamedTuple

from nightproof.errors import CodecError, UsageError
from nightproof.model.canonical import canonical, digest, sha256_hex
from nightproof.provenance import signing
from nightproof.provenance.manifest.statement import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    comparable,
    parse,
    step_list,
)

_WHAT = "It is damaged, or no manifest of nightproof."


class Problem(NamedTuple):
    """One thing that is not as it should be, and where (a JSON Pointer, or a word)."""

    where: str
    message: str


class Checked(NamedTuple):
    """A manifest after its check. `keyid` is "" where it is not signed.

    `signature` is "verified", "unchecked" (no key was given), "refused" or "none".
    """

    statement: dict[str, Any]
    predicate_sha256: str
    keyid: str
    signature: str
    problems: list[Problem]


def check(data: bytes, where: str, verifier: signing.Verifier | None) -> Checked:
    """Check a manifest's form, seal, digests and signature; `where` names it in messages.

    Raises UsageError for what is no manifest of this version.
    """
    problems: list[Problem] = []
    document = _document(data, where)
    keyid, status = "", "none"
    if "payloadType" in document or "signatures" in document:
        signed = signing.opened(document, data)
        if signed is None:
            raise UsageError(f"{where} is not a whole DSSE envelope", _WHAT)
        keyid, status = signed.keyid, "unchecked"
        if verifier is not None:
            status = "verified" if _signed_by(signed, verifier, problems) else "refused"
        data = signed.payload
        document = _document(data, f"the payload of {where}")
    elif verifier is not None:
        status = "refused"
        problems.append(Problem("signature", "it is not signed, and a key was given"))
    _versions(document, where)
    try:
        if canonical(document) != data:
            problems.append(Problem("", "it is not canonical JSON (RFC 8785): it was edited"))
    except CodecError as error:
        problems.append(Problem("", f"it is not canonical JSON: {error.message}"))
        return Checked(document, "", keyid, status, problems)
    try:
        inner = _inside(document, problems)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"{where} lacks what a manifest has", _WHAT) from None
    return Checked(document, inner, keyid, status, problems)


def _document(data: bytes, where: str) -> dict[str, Any]:
    try:
        found = parse(data)
    except (ValueError, RecursionError):
        raise UsageError(f"{where} is not JSON", "It is damaged or not whole.") from None
    if not isinstance(found, dict):
        raise UsageError(f"{where} is not a JSON object", _WHAT)
    return found


def _signed_by(signed: signing.Signed, verifier: signing.Verifier, problems: list[Problem]) -> bool:
    if signed.keyid != verifier.keyid:
        problems.append(
            Problem("signature", f"signed by key {signed.keyid}, not by {verifier.keyid}")
        )
    elif not verifier.accepts(signed):
        problems.append(Problem("signature", "the signature does not fit what it signs"))
    else:
        return True
    return False


def _versions(document: dict[str, Any], where: str) -> None:
    if document.get("_type") != STATEMENT_TYPE:
        raise UsageError(
            f"{where} is not an in-toto Statement v1: _type is {document.get('_type')!r}", _WHAT
        )
    if document.get("predicateType") != PREDICATE_TYPE:
        raise UsageError(
            f"{where} is a manifest of another version: {document.get('predicateType')!r}",
            f"This nightproof reads {PREDICATE_TYPE}.",
        )


def _inside(document: dict[str, Any], problems: list[Problem]) -> str:
    """The digests inside a statement; the sha256 (hex) of its predicate without the seal."""
    predicate = dict(document["predicate"])
    seal = predicate.pop("seal")["sha256"]
    if seal != sha256_hex(canonical({**document, "predicate": predicate})):
        problems.append(Problem("/predicate/seal", "the statement is not the one that was sealed"))
    asked = predicate["buildDefinition"]
    outside = asked["externalParameters"]
    if digest(outside["contract"]) != outside["contractDigest"]:
        problems.append(
            Problem(
                "/predicate/buildDefinition/externalParameters/contract",
                f"the contract does not have the digest {outside['contractDigest']}",
            )
        )
    for index, listed in enumerate(predicate["runDetails"]["byproducts"]):
        _listed(listed, f"/predicate/runDetails/byproducts/{index}", problems)
    _outside(predicate["runDetails"]["metadata"], problems)
    listed = predicate["runDetails"]["byproducts"][0]["digest"]["sha256"]
    if predicate["comparable"]["sha256"] != comparable(asked, listed):
        problems.append(Problem("/predicate/comparable", "it is not the digest of what it covers"))
    (subject,) = document["subject"]
    if not (isinstance(subject["name"], str) and isinstance(subject["digest"]["sha256"], str)):
        raise TypeError
    return sha256_hex(canonical(predicate))


def _outside(metadata: dict[str, Any], problems: list[Problem]) -> None:
    """The lists of what came from outside against their counts and digests."""
    where = "/predicate/runDetails/metadata"
    witness = metadata.get("witness", {})
    lists = {f"witness/{name}": witness.get(name) for name in ("undeclared", "declared")}
    for name, listed in {**lists, "taken": metadata.get("taken")}.items():
        items = (listed or {}).get("items")
        if listed is None or items is None:
            continue
        if len(items) != listed["count"] or digest(items) != listed["digest"]:
            problems.append(Problem(f"{where}/{name}", "the list is not the one that was recorded"))


def _listed(listed: dict[str, Any], where: str, problems: list[Problem]) -> None:
    """A list of steps against its count and digest; one kept elsewhere cannot be checked here."""
    notes = listed["annotations"]
    steps = notes.get("steps")
    if steps is None:
        return
    if len(steps) != notes["count"]:
        problems.append(
            Problem(where, f"{len(steps)} {listed['name']} are listed, {notes['count']} were done")
        )
    if step_list(steps)[0] != listed["digest"]["sha256"]:
        problems.append(
            Problem(where, f"the list of {listed['name']} is not the one that was recorded")
        )


def check_artifact(checked: Checked, name: str, data: bytes) -> list[Problem]:
    """Whether a file of that name with these bytes is what the manifest is about."""
    (subject,) = checked.statement["subject"]
    problems = []
    if PurePath(subject["name"]).name != name:
        problems.append(
            Problem("/subject/0/name", f"the manifest is about '{subject['name']}', not '{name}'")
        )
    found = sha256(data).hexdigest()
    if found != subject["digest"]["sha256"]:
        problems.append(
            Problem(
                "/subject/0/digest",
                f"the artifact's sha256 is {found}, the manifest says "
                f"{subject['digest']['sha256']}",
            )
        )
    return problems
