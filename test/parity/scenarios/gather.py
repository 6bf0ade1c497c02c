"""gather(): the order of results, failures, and what a cancel reaches."""

import asyncio


def scenario(loop, log):
    async def job(name, delay, error=None):
        log(f'{name} starts')
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

    async def attempt(title, make):
        log(f'--- {title}')
        try:
            answer = await make()
            log(f'answer {[str(one) for one in answer]}'.replace("'", ''))
        except asyncio.CancelledError:
            log('CancelledError')
        except ValueError as error:
            log(f'raised {error}')

    async def main():
        await attempt('results in the order of the arguments', lambda: asyncio.gather(job('a', 3), job('b', 1), job('c', 2)))
        await attempt('of nothing', lambda: asyncio.gather())

        task = loop.create_task(job('twice', 1))
        await attempt('the same one twice', lambda: asyncio.gather(task, task))

        tasks = [loop.create_task(job('a', 3)), loop.create_task(job('b', 1, 'first failure')), loop.create_task(job('c', 2, 'second failure'))]
        await attempt('the first failure comes out at once, the others go on', lambda: asyncio.gather(*tasks))
        await asyncio.sleep(5)
        log(f'done {[task.done() for task in tasks]}')

        await attempt(
            'exceptions as results',
            lambda: asyncio.gather(job('a', 2), job('b', 1, 'failure'), return_exceptions=True),
        )

        tasks = [loop.create_task(job('a', 3)), loop.create_task(job('b', 4))]
        gathering = asyncio.gather(*tasks)
        loop.call_later(1, gathering.cancel)
        await attempt('cancelled', lambda: gathering)
        log(f'cancelled {[task.cancelled() for task in tasks]}')

        tasks = [loop.create_task(job('a', 3)), loop.create_task(job('b', 4))]
        loop.call_later(1, tasks[0].cancel)
        await attempt('one of them cancelled', lambda: asyncio.gather(*tasks))
        log(f'done {[task.done() for task in tasks]}')
        await asyncio.sleep(5)

        tasks = [loop.create_task(job('a', 3)), loop.create_task(job('b', 4))]

        async def outer():
            try:
                await asyncio.gather(*tasks)
            finally:
                log(f'outer finally, done {[task.done() for task in tasks]}')

        task = loop.create_task(outer())
        loop.call_later(1, task.cancel)
        await attempt('the task that waits cancelled', lambda: asyncio.gather(task))

        done = loop.create_future()
        done.set_result('done before')
        await attempt('with a future that is done', lambda: asyncio.gather(done, job('a', 1)))

    loop.run_until_complete(main())
