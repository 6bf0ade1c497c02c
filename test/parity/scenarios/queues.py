"""Queues: the order of items and of waiters, limits, join(), cancellation."""

import asyncio


def scenario(loop, log):
    async def gets(queue, name, count, pause=0):
        for _ in range(count):
            log(f'{name} got {await queue.get()}')
            await asyncio.sleep(pause)

    async def puts(queue, name, items, pause=0):
        for item in items:
            await queue.put(item)
            log(f'{name} put {item}')
            await asyncio.sleep(pause)

    async def ended(*tasks):
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                log('CancelledError')

    def start(coroutine):
        return loop.create_task(coroutine)

    async def order():
        log('--- who waits gets, in the order of arrival')
        queue = asyncio.Queue()
        getters = [start(gets(queue, name, 1)) for name in 'abc']
        await asyncio.sleep(1)
        for item in range(3):
            queue.put_nowait(item)
        log(f'size {queue.qsize()}')
        await ended(*getters)
        log(f'size {queue.qsize()}, empty {queue.empty()}, full {queue.full()}')

    async def limits():
        log('--- a full queue holds who puts')
        queue = asyncio.Queue(2)
        putters = [start(puts(queue, name, [f'{name}{i}' for i in range(2)])) for name in 'abc']
        await asyncio.sleep(1)
        log(f'size {queue.qsize()}, full {queue.full()}')
        try:
            queue.put_nowait('too much')
        except asyncio.QueueFull:
            log('QueueFull')
        getter = start(gets(queue, 'getter', 6, 1))
        await ended(*putters, getter)
        try:
            queue.get_nowait()
        except asyncio.QueueEmpty:
            log('QueueEmpty')

    async def kinds():
        for kind in (asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue):
            log(f'--- {kind.__name__}')
            queue = kind()
            for item in (3, 1, 4, 1, 5):
                queue.put_nowait(item)
            log(' '.join(str(queue.get_nowait()) for _ in range(5)))

    async def joining():
        log('--- join() waits for each task_done()')
        queue = asyncio.Queue()

        async def worker():
            while True:
                item = await queue.get()
                await asyncio.sleep(1)
                log(f'worked on {item}')
                queue.task_done()

        workers = [start(worker()) for _ in range(2)]
        for item in range(5):
            queue.put_nowait(item)
        await queue.join()
        log('joined')
        for one in workers:
            one.cancel()
        await ended(*workers)
        try:
            queue.task_done()
        except ValueError:
            log('task_done() called too often')

    async def cancelling():
        log('--- a cancelled getter loses no item')
        queue = asyncio.Queue()
        getters = [start(gets(queue, name, 1)) for name in 'abc']
        await asyncio.sleep(1)
        getters[0].cancel()
        queue.put_nowait(1)
        queue.put_nowait(2)
        await ended(*getters)

        log('--- a cancelled putter puts nothing')
        queue = asyncio.Queue(1)
        putters = [start(puts(queue, name, [name])) for name in 'abc']
        await asyncio.sleep(1)
        putters[1].cancel()
        await asyncio.sleep(1)
        await gets(queue, 'getter', 2, 1)
        await ended(*putters)

    async def relay():
        log('--- one item at a time, from hand to hand')
        first, second = asyncio.Queue(1), asyncio.Queue(1)

        async def passes():
            for _ in range(3):
                item = await first.get()
                log(f'passes {item}')
                await second.put(item)

        await ended(start(puts(first, 'putter', range(3))), start(passes()), start(gets(second, 'getter', 3)))

    for main in (order, limits, kinds, joining, cancelling, relay):
        loop.run_until_complete(main())
