"""What is asked for page by page is whole, and each thing comes once."""

from typing import Any
from urllib.parse import quote

import pytest

from nightproof.views import search as searching


def test_the_api_goes_on_with_a_search(dashboard: Any, monkeypatch: pytest.MonkeyPatch):
    """`next` is taken as `after`, until everything was found."""

    def asked(after: str | None) -> Any:
        more = f"&after={quote(after)}" if after else ""
        answer = dashboard.get(f"/api/search?q=item-00010{more}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    whole = [one["key"] for one in asked(None)["items"]]
    monkeypatch.setattr(searching, "SHOWN", 1)
    found, after, times = [], None, 0
    while times == 0 or after:
        page = asked(after)
        found += [one["key"] for one in page["items"]]
        after, times = page["next"], times + 1
        assert times < 50
    assert times > 1
    assert found == whole != []
