"""An effect of tests, and the job that performs it."""

from nightproof import Retry, effect, idempotency_key, job

QUICK = Retry(attempts=3, base=0.0)


def posting(acts, **options):
    """An effect that acts by appending to `acts`, and a job that performs it."""
    trouble = []

    @effect(key="report/{day}", retry=QUICK, name="post", **options)
    async def post(day: str, text: str) -> dict[str, str]:
        if trouble and isinstance(trouble[0], tuple):
            before, error = trouble.pop(0)
            if not before:
                acts.append((day, text))
            raise error
        acts.append((day, text))
        return {"day": day, "key": idempotency_key()}

    return post, trouble


def posts(post, contract, day="mon", text="hello"):
    @job(name="posts")
    async def main(contract: contract) -> dict[str, str] | None:
        return await post(day, text)

    return main
