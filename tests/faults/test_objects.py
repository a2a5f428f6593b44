"""Large results in an object store that is away while they are written and read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightproof.testing import servers


def environ(s3: servers.S3Server, bucket: str) -> dict[str, str]:
    """What leads processes to the blobs."""
    return {
        "NIGHTPROOF_BLOBS": f"s3://{s3.bucket(bucket)}",
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_REGION": s3.region,
    }


def night_without_blobs(
    place: Callable[..., Any], s3: servers.S3Server, folder: Path, away: float, **given: str
) -> Any:
    """The store goes away while results are written, and again while they are read."""
    night = place(
        f"sqlite:///{folder / 'journal.db'}",
        20,
        environ=environ(s3, "nights") | {"FAULTS_PAUSE": "0.03"},
        more={"large": 60},
    )
    run = night.run(**given)
    night.wait_for(35, run)
    night.strike("objects", s3.kill)
    time.sleep(away)
    s3.start()
    night.wait_for(55, run)
    s3.kill()
    night.kill(run)
    again = night.run(**given)
    time.sleep(away)
    assert again.poll() is None, night.said(again)
    s3.start()
    night.finish(again)
    return night


def test_the_object_store_is_away(
    place: Callable[..., Any], own_s3: servers.S3Server, tmp_path: Path
):
    """Writers and readers wait; what is out of reach does not count as lost."""
    night = night_without_blobs(place, own_s3, tmp_path, 1)
    print(night.summary())
    assert night.wrong() == []


@pytest.mark.drill
def test_impatience_is_caught(place: Callable[..., Any], own_s3: servers.S3Server, tmp_path: Path):
    """A store that takes what is out of reach for lost makes finished items run again."""
    night = night_without_blobs(place, own_s3, tmp_path, 1, FAULTS_BROKEN="out-of-reach-is-lost")
    assert any("ran again" in text for text in night.wrong()), night.wrong()


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_the_object_store_is_away_for_a_minute(
    place: Callable[..., Any], own_s3: servers.S3Server, tmp_path: Path
):
    """Nobody gives up within a minute."""
    night = night_without_blobs(place, own_s3, tmp_path, 60)
    assert night.wrong() == []
