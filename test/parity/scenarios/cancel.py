"""Cancellation of tasks: where it arrives, what may swallow it, how it is counted."""

import asyncio


def scenario(loop, log):
    async def run(title, task, *actions):
        """Lets the task take its first steps, then cancels as told, and says how it ended."""
        log(f'--- {title}')
        for action in actions:
            await asyncio.sleep(1)
            log(f'cancel: {action()}')
        try:
            log(f'result {await task}')
        except asyncio.CancelledError as error:
            log(f'CancelledError({", ".join(map(str, error.args))})')
        except Exception as error:
            log(f'raised {error}')
        log(f'done {task.done()}, cancelled {task.cancelled()}, cancelling {task.cancelling()}')

    async def asleep():
        try:
            return await asyncio.sleep(10, 'slept')
        finally:
            log('finally')

    async def cleans_up():
        try:
            await asyncio.sleep(10)
        finally:
            log('cleaning up')
            await asyncio.sleep(1.5)
            log('cleaned up')

    async def swallows():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            log('swallowed')
        await asyncio.sleep(1)
        return 'went on'

    async def converts():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise ValueError('instead')

    async def counts():
        for _ in range(2):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                log(f'cancelling {asyncio.current_task().cancelling()}')
        log(f'uncancel {asyncio.current_task().uncancel()}')
        log(f'uncancel {asyncio.current_task().uncancel()}')
        log(f'uncancel {asyncio.current_task().uncancel()}')
        return 'counted'

    async def nested():
        async def inner():
            try:
                await asleep()
            except asyncio.CancelledError:
                log('inner saw it')
                raise

        try:
            await inner()
        finally:
            log('outer finally')

    async def waits_for(future):
        try:
            return await future
        finally:
            log(f'future cancelled {future.cancelled()}')

    async def waits_for_task(task):
        try:
            return await task
        finally:
            log(f'inner task done {task.done()}, cancelled {task.cancelled()}')

    async def cancels_itself():
        asyncio.current_task().cancel()
        log('goes on until it waits')
        await asyncio.sleep(0)
        log('never')

    async def cancels_itself_and_returns():
        asyncio.current_task().cancel()
        return 'returned'

    async def main():
        task = loop.create_task(asleep())
        await run('at a sleep', task, task.cancel)

        task = loop.create_task(asleep())
        await run('with a message', task, lambda: task.cancel('enough'))

        task = loop.create_task(asleep())
        task.cancel()
        await run('before it starts', task)

        task = loop.create_task(cleans_up())
        await run('with a cleanup that waits', task, task.cancel)

        task = loop.create_task(cleans_up())
        await run('again, during the cleanup', task, task.cancel, task.cancel)

        task = loop.create_task(swallows())
        await run('swallowed', task, task.cancel)

        task = loop.create_task(converts())
        await run('converted', task, task.cancel)

        task = loop.create_task(counts())
        await run('counted', task, task.cancel, task.cancel)

        task = loop.create_task(nested())
        await run('nested', task, task.cancel)

        future = loop.create_future()
        task = loop.create_task(waits_for(future))
        await run('at a future', task, task.cancel)

        future = loop.create_future()
        task = loop.create_task(waits_for(future))
        await run('by the future that it waits for', task, future.cancel)

        inner = loop.create_task(asleep())
        task = loop.create_task(waits_for_task(inner))
        await run('at another task', task, task.cancel)

        inner = loop.create_task(swallows())
        task = loop.create_task(waits_for_task(inner))
        await run('at another task, which swallows it', task, task.cancel)

        task = loop.create_task(cancels_itself())
        await run('by itself', task)

        task = loop.create_task(cancels_itself_and_returns())
        await run('by itself, without another await', task)

        async def returns():
            return 'early'

        task = loop.create_task(returns())
        await run('when it is done', task, task.cancel)

        # The result is there, the task is about to be woken: the cancel comes first.
        future = loop.create_future()
        task = loop.create_task(waits_for(future))

        def both():
            future.set_result('result')
            return task.cancel()

        await run('between result and wake-up', task, both)

        # Both are woken in one turn, the first one cancels the second.
        future = loop.create_future()

        async def cancels():
            await future
            log(f'cancel: {victim.cancel()}')

        async def is_cancelled():
            log(f'has {await future}')
            await asyncio.sleep(1)
            log('slept')

        log('--- in the turn of its wake-up')
        killer = loop.create_task(cancels())
        victim = loop.create_task(is_cancelled())
        await asyncio.sleep(1)
        future.set_result('result')
        await killer
        await run('ends', victim)

    loop.run_until_complete(main())
