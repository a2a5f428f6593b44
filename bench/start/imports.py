"""The floor below the floor: the three imports alone, with no model built."""

import asyncio

import apsw
import pydantic
from mark import mark

mark(after=(asyncio, apsw, pydantic))
