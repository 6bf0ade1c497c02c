"""shield(), wait_for() and timeout(): which future ends when, and which continues."""

import asyncio


def scenario(loop, log):
    async def job(name, delay, error=None):
        try:
            await asyncio.sleep(delay)
            if error is not None:
                raise ValueError(error)
            log(f'{name} returns')
            return name
        except asyncio.CancelledError:
            log(f'{name} cancelled')
            raise

    async def attempt(title, make):
        log(f'--- {title}')
        try:
            log(f'answer {await make()}')
        except asyncio.CancelledError:
            log('CancelledError')
        except TimeoutError:
            log('TimeoutError')
        except ValueError as error:
            log(f'raised {error}')

    async def stubborn():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            log('stubborn: not yet')
            await asyncio.sleep(2)
            log('stubborn: now')
            return 'late'

    async def in_a_timeout(seconds, delay):
        async with asyncio.timeout(seconds) as scope:
            try:
                await asyncio.sleep(delay)
                log('slept')
            finally:
                log(f'expired {scope.expired()}')
        log(f'left, expired {scope.expired()}')
        return 'body'

    async def main():
        inner = loop.create_task(job('inner', 3))
        outer = asyncio.shield(inner)
        loop.call_later(1, outer.cancel)
        await attempt('shield: the outer one cancelled, the inner one goes on', lambda: outer)
        log(f'inner done {inner.done()}')
        await attempt('and can be awaited', lambda: inner)

        inner = loop.create_task(job('inner', 3))
        loop.call_later(1, inner.cancel)
        await attempt('shield: the inner one cancelled', lambda: asyncio.shield(inner))

        inner = loop.create_task(job('inner', 1, 'failure'))
        await attempt('shield: a failure comes through', lambda: asyncio.shield(inner))

        async def shielding():
            await asyncio.shield(inner)

        inner = loop.create_task(job('inner', 3))
        task = loop.create_task(shielding())
        loop.call_later(1, task.cancel)
        await attempt('shield: the task that waits cancelled', lambda: task)
        await attempt('the inner one', lambda: inner)

        await attempt('wait_for: in time', lambda: asyncio.wait_for(job('job', 1), 2))
        await attempt('wait_for: too late', lambda: asyncio.wait_for(job('job', 3), 2))
        await attempt('wait_for: a failure', lambda: asyncio.wait_for(job('job', 1, 'failure'), 2))
        await attempt('wait_for: no limit', lambda: asyncio.wait_for(job('job', 3), None))
        future = loop.create_future()
        await attempt('wait_for: a future is cancelled', lambda: asyncio.wait_for(future, 1))
        log(f'future cancelled {future.cancelled()}')
        task = loop.create_task(asyncio.wait_for(job('job', 3), 5))
        loop.call_later(1, task.cancel)
        await attempt('wait_for: cancelled from outside', lambda: task)
        await attempt('wait_for: waits until the job has ended', lambda: asyncio.wait_for(stubborn(), 1))

        await attempt('timeout: in time', lambda: in_a_timeout(2, 1))
        await attempt('timeout: too late', lambda: in_a_timeout(1, 2))
        await attempt('timeout: at once', lambda: in_a_timeout(0, 1))
        await attempt('timeout: never', lambda: in_a_timeout(None, 1))

        async def nested(outer_seconds, inner_seconds):
            try:
                async with asyncio.timeout(outer_seconds):
                    try:
                        async with asyncio.timeout(inner_seconds):
                            await asyncio.sleep(10)
                    except TimeoutError:
                        log('the inner one')
                        await asyncio.sleep(10)
            except TimeoutError:
                log('the outer one')
            log(f'cancelling {asyncio.current_task().cancelling()}')

        await attempt('timeout: nested, the outer one first', lambda: nested(1, 2))
        await attempt('timeout: nested, the inner one first', lambda: nested(3, 1))

        async def rescheduled():
            async with asyncio.timeout(1) as scope:
                await asyncio.sleep(0.5)
                scope.reschedule(loop.time() + 3)
                log(f'in {scope.when() - loop.time():.1f} seconds')
                await asyncio.sleep(2)
                log('slept')
                scope.reschedule(loop.time() + 1)
                await asyncio.sleep(2)

        await attempt('timeout: rescheduled', rescheduled)

        async def cancelled_inside():
            async with asyncio.timeout(5):
                await asyncio.sleep(10)

        task = loop.create_task(cancelled_inside())
        loop.call_later(1, task.cancel)
        await attempt('timeout: cancelled from outside', lambda: task)

    loop.run_until_complete(main())
