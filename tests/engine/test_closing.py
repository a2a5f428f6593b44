"""What an engine leaves behind when it is closed: nothing."""

import asyncio
import gc


def test_a_look_at_the_store_does_not_outlive_it(night):
    """The timer had just asked what others want; closing the journal takes that back."""
    left = []

    async def scene():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: left.append(context))
        app = night.app()
        app.engine.live = {1: None}
        app.engine._look()
        app.engine.live = {}
        await app.close()
        await asyncio.sleep(0.01)
        del app
        gc.collect()

    asyncio.run(scene())
    assert left == []
