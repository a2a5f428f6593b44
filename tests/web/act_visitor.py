"""Somebody who does things on the pages of a dashboard."""

import html
import re
import time
from urllib.parse import quote

import httpx2
from web_house import command


class Visitor:
    """Somebody with a browser that knows no scripts."""

    def __init__(self, url, folder):
        self.client = httpx2.Client(base_url=url, timeout=60)
        self.folder = folder

    def form(self, path):
        """The fields of the form on a page."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text)
        self.page = html.unescape(answer.text)
        return {name: html.unescape(value) for name, value in found}

    def post(self, what, fields):
        """The answer to a form."""
        return self.client.post(f"/act/{what}", data=fields)

    def act(self, what, more=(), **query):
        """Open a page, fill in its form, send it; what came of it."""
        path = f"/act/{what}?" + "&".join(f"{k}={quote(v, safe='')}" for k, v in query.items())
        answer = self.post(what, {**self.form(path), **dict(more)})
        assert answer.status_code == 303, answer.text
        return self.came(answer)

    def came(self, answer):
        """What came of the act that an answer leads to, once it has ended."""
        number = int(answer.headers["location"].rpartition("told=")[2])
        for _ in range(600):
            [row] = [one for one in self.trail() if one["id"] == number]
            if row["state"] != "under way":
                return row
            time.sleep(0.1)
        raise AssertionError(row)

    def trail(self):
        """The audit trail, newest first."""
        return command(self.folder, "audit")["acts"]

    def show(self, run):
        """A run as the command line sees it."""
        return command(self.folder, "show", run)


def use(journal, ask):
    """What a journal answers."""
    import asyncio

    async def main():
        try:
            return await ask()
        finally:
            await journal.close()

    return asyncio.run(main())
