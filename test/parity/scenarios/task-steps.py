"""The order in which tasks take their steps, among each other and among callbacks."""

import asyncio


def scenario(loop, log):
    async def worker(name, steps):
        for step in range(steps):
            log(f'{name} {step}')
            await asyncio.sleep(0)
        log(f'{name} returns')
        return name

    async def sleeper(name, *delays):
        for delay in delays:
            await asyncio.sleep(delay)
            log(f'{name} slept {delay}')

    async def creation():
        log('--- tasks start in the order of their creation, and take turns')
        tasks = [loop.create_task(worker(name, 3)) for name in 'abc']
        log('created')
        for task in tasks:
            log(f'result {await task}')

    async def callbacks():
        log('--- callbacks and first steps keep their order')
        loop.call_soon(log, 'callback 1')
        task = loop.create_task(worker('task', 1))
        loop.call_soon(log, 'callback 2')
        await task
        log('main goes on')

    async def done():
        log('--- what is done costs no turn')
        future = loop.create_future()
        future.set_result('at once')
        task = loop.create_task(worker('other', 1))
        log(await future)
        log(await asyncio.sleep(0, 'one turn'))
        await task
        log(await task)

    async def wakers():
        log('--- who waits for one future is woken in the order of arrival')
        future = loop.create_future()

        async def waiter(name):
            log(f'{name} waits')
            log(f'{name} has {await future}')

        tasks = [loop.create_task(waiter(name)) for name in 'abc']
        await asyncio.sleep(1)
        future.set_result('it')
        log('set')
        for task in tasks:
            await task

    async def sleepers():
        log('--- sleepers wake in the order of their deadlines')
        tasks = [
            loop.create_task(sleeper('a', 3, 1)),
            loop.create_task(sleeper('b', 1, 1, 1.5)),
            loop.create_task(sleeper('c', 2, 0.25)),
        ]
        for task in tasks:
            await task

    async def between():
        log('--- a callback between two wake-ups')
        first = loop.create_future()
        second = loop.create_future()

        async def waiter(name, future):
            await future
            log(f'{name} resumed')

        tasks = [loop.create_task(waiter('first', first)), loop.create_task(waiter('second', second))]
        await asyncio.sleep(1)
        first.set_result(None)
        loop.call_soon(log, 'callback')
        second.set_result(None)
        for task in tasks:
            await task

    async def failures():
        log('--- exceptions come out where the task is awaited')

        async def inner():
            await asyncio.sleep(0)
            raise ValueError('from the inside')

        async def outer():
            try:
                await inner()
            finally:
                log('finally')

        task = loop.create_task(outer())
        try:
            await task
        except ValueError as error:
            log(f'caught {error}')
        log(f'done {task.done()}, cancelled {task.cancelled()}, exception {task.exception()}')

    for main in (creation, callbacks, done, wakers, sleepers, between, failures):
        loop.run_until_complete(main())
