"""Jobs that mean harm to whoever looks at them: markup, terminal codes, paths, too much of it."""

from typing import Literal

from nightproof import Contract, Retry, artifact, decide, effect, job, measure, step

SCRIPT = "<script>document.title='stolen';fetch('http://evil.invalid/')</script>"
IMAGE = '"><img src=http://evil.invalid/x onerror="document.title=\'stolen\'">'
ANSI = "\x1b[31mred\x1b[0m\x1b]0;stolen\x07\x1b[2J"
TURNED = "\u202egnp.exe"
PATH = "../../../../etc/passwd"
TEMPLATE = "{{ 7 * 7 }}{% raw %}${7*7}"
LONG = 10_000_000


class Harm(Contract):
    task: Literal["harm"] = "harm"
    text: str = SCRIPT + IMAGE + ANSI + TURNED + TEMPLATE


@step(retry=Retry(attempts=1))
def keyed(text: str) -> str:
    return SCRIPT + ANSI + text


@step(retry=Retry(attempts=1))
def too_long(n: int) -> str:
    raise ValueError(SCRIPT + ANSI + "x" * n)


@effect(key=f"harm/{IMAGE}/{PATH}/{{text}}")
def act(text: str) -> str:
    return SCRIPT


@effect(key="--store=x {text}")
def dashed(text: str) -> str:
    raise ConnectionError(SCRIPT)


@job(name=f"--help {SCRIPT}")
async def harm(contract: Harm) -> str:
    await keyed.map([SCRIPT, IMAGE, PATH, ANSI, TURNED, "x" * 100_000], key=str)
    measure(SCRIPT, 1)
    decide("x" * 100 + SCRIPT + ANSI, because=IMAGE)
    page = f"<h1>hello</h1>{SCRIPT}{IMAGE}<meta http-equiv=refresh content='0;url=http://evil.invalid/'>"
    await artifact(
        "page.html", page + "<form action=http://evil.invalid/><button>x</button></form>"
    )
    await artifact(
        "page.md", f"# hi\n\n{SCRIPT}\n\n![x](http://evil.invalid/x.png) [y](javascript:alert(1))"
    )
    svg = f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}<text y='20'>svg</text></svg>"
    await artifact("picture.svg", svg)
    await artifact("picture.png", svg)
    await artifact("table.csv", f"a,b\n{SCRIPT},=cmd()\n" + "x" * LONG)
    await artifact("notes.txt", SCRIPT + ANSI + "x" * LONG)
    await artifact(f"{SCRIPT.replace('/', '-')}.txt", "named badly")
    await act(contract.text[:20])
    found = 0
    for n in (10, LONG):
        try:
            await too_long(n)
        except Exception:
            found += 1
    await dashed("x")
    return SCRIPT * found
