"""The floor: the imports that any such library needs, one model, one adapter, nothing done."""

import asyncio

import apsw
import pydantic
from mark import mark


class Model(pydantic.BaseModel):
    n: int


async def main() -> None:
    Model(n=1)
    pydantic.TypeAdapter(int).dump_json(1)
    mark()


assert apsw.connections
asyncio.run(main())
