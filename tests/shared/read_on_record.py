"""What tests know a run to have read."""

from hashlib import sha256

from nightproof import job, step
from nightproof.provenance.witness import reads_of


def digest(data: bytes) -> str:
    """The digest of a content."""
    return "sha256:" + sha256(data).hexdigest()


def recorded(night, name):
    """What a run is known to have read."""

    async def find(app):
        row = await app.journal.find(name)
        return await reads_of(app.journal, app.blobs, row.id)

    return [read for read in night.ask(find) if read.declared != "harmless"]


def one_step(night_contract, function):
    """A job with one step, which calls `function` with the contract's names."""
    load = step(name="load")(function)

    @job
    async def main(contract: night_contract) -> int:
        await load(list(contract.names))
        return contract.n

    return main
