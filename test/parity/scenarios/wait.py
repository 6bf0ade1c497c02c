"""wait() and as_completed(): the futures that are done when they return, and their order."""

import asyncio


def scenario(loop, log):
    async def job(name, delay, error=None):
        try:
            await asyncio.sleep(delay)
        except asyncio.CancelledError:
            log(f'{name} cancelled')
            raise
        if error is not None:
            raise ValueError(error)
        return name

    def start(name, delay, error=None):
        return loop.create_task(job(name, delay, error), name=name)

    def names(tasks):
        return ' '.join(sorted(task.get_name() for task in tasks)) or '-'

    async def attempt(title, tasks, **options):
        log(f'--- {title}')
        done, pending = await asyncio.wait(tasks, **options)
        log(f'done {names(done)}, pending {names(pending)}')
        for task in done:
            if not task.cancelled():
                task.exception()
        for task in sorted(pending, key=asyncio.Task.get_name):
            task.cancel()
        await asyncio.sleep(0.5)

    async def completed(title, tasks, **options):
        log(f'--- {title}')
        try:
            for one in asyncio.as_completed(tasks, **options):
                try:
                    log(f'has {await one}')
                except ValueError as error:
                    log(f'raised {error}')
        except TimeoutError:
            log('TimeoutError')
        log(f'pending {names(task for task in tasks if not task.done())}')
        await asyncio.sleep(5)

    async def main():
        await attempt('all completed', [start('a', 2), start('b', 1, 'failure'), start('c', 3)])
        await attempt('first completed', [start('a', 2), start('b', 1), start('c', 3)], return_when=asyncio.FIRST_COMPLETED)
        await attempt(
            'first exception', [start('a', 1), start('b', 2, 'failure'), start('c', 3)], return_when=asyncio.FIRST_EXCEPTION
        )
        await attempt('first exception, and none fails', [start('a', 1), start('b', 2)], return_when=asyncio.FIRST_EXCEPTION)
        await attempt('timeout', [start('a', 1), start('b', 3)], timeout=2)
        await attempt('no time at all', [start('a', 1)], timeout=0)

        cancelled = start('a', 3)
        loop.call_later(1, cancelled.cancel)
        await attempt('first exception: a cancelled one is none', [cancelled, start('b', 2)], return_when=asyncio.FIRST_EXCEPTION)

        early = start('early', 0)
        await asyncio.sleep(0.5)
        await attempt('one is done already', [start('b', 3), early], return_when=asyncio.FIRST_COMPLETED)

        log('--- cancelled: what was waited for goes on')
        tasks = [start('a', 3)]

        async def waits():
            await asyncio.wait(tasks)

        waiting = loop.create_task(waits())
        loop.call_later(1, waiting.cancel)
        try:
            await waiting
        except asyncio.CancelledError:
            log(f'CancelledError, pending {names(task for task in tasks if not task.done())}')
        log(f'has {await tasks[0]}')

        await completed('as completed', [start('a', 3), start('b', 1), start('c', 2)])
        await completed('as completed, with a failure', [start('a', 2), start('b', 1, 'failure')])
        await completed('as completed, with a timeout', [start('a', 1), start('b', 3)], timeout=2)

    loop.run_until_complete(main())
