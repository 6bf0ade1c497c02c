"""TaskGroup: the tasks that it waits for and cancels, and its errors."""

import asyncio


def scenario(loop, log):
    async def job(name, delay, error=None):
        try:
            await asyncio.sleep(delay)
        except asyncio.CancelledError:
            log(f'{name} cancelled')
            raise
        if error is not None:
            log(f'{name} fails')
            raise ValueError(error)
        log(f'{name} returns')
        return name

    async def attempt(title, body):
        log(f'--- {title}')

        async def run():
            async with asyncio.TaskGroup() as group:
                await body(group)
            log('left')

        task = loop.create_task(run())
        loop.call_later(20, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            log('CancelledError')
        except BaseExceptionGroup as failed:
            log(f'failures: {", ".join(str(error) for error in failed.exceptions)}')
        log(f'cancelling {task.cancelling()}')

    async def two(group):
        group.create_task(job('a', 2))
        group.create_task(job('b', 1))
        log('body ends')

    async def one_fails(group):
        group.create_task(job('a', 3))
        group.create_task(job('b', 1, 'failure'))
        log('body ends')

    async def one_fails_while_the_body_waits(group):
        group.create_task(job('a', 3))
        group.create_task(job('b', 1, 'failure'))
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            log('body cancelled')
            raise

    async def two_fail(group):
        async def fails_when_cancelled():
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                log('c fails instead')
                raise ValueError('second failure')

        group.create_task(job('a', 1, 'first failure'))
        group.create_task(fails_when_cancelled())

    async def body_fails(group):
        group.create_task(job('a', 3))
        await asyncio.sleep(1)
        raise ValueError('failure of the body')

    async def a_task_adds_another(group):
        async def parent():
            await asyncio.sleep(1)
            group.create_task(job('child', 1))
            log('parent returns')

        group.create_task(parent())
        log('body ends')

    async def a_task_is_cancelled(group):
        group.create_task(job('a', 2))
        cancelled = group.create_task(job('b', 3))
        await asyncio.sleep(1)
        cancelled.cancel()
        log('body ends')

    async def nested(group):
        group.create_task(job('outer', 5))
        async with asyncio.TaskGroup() as inner:
            inner.create_task(job('inner', 3))
            await asyncio.sleep(1)
            raise ValueError('failure of the inner body')

    async def cancelled_from_outside(group):
        group.create_task(job('a', 30))
        log('body ends')

    async def main():
        for body in (
            two,
            one_fails,
            one_fails_while_the_body_waits,
            two_fail,
            body_fails,
            a_task_adds_another,
            a_task_is_cancelled,
            cancelled_from_outside,
        ):
            await attempt(body.__name__.replace('_', ' '), body)

        log('--- nested')
        try:
            async with asyncio.TaskGroup() as group:
                await nested(group)
        except BaseExceptionGroup as failed:
            inner = failed.exceptions[0]
            log(f'{len(failed.exceptions)} failure, in it: {", ".join(str(error) for error in inner.exceptions)}')

    loop.run_until_complete(main())
