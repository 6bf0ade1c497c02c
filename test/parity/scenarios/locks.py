"""Lock, Semaphore, Event, Condition, Barrier: the order of the waiters, and the effects of a cancel."""

import asyncio


def scenario(loop, log):
    def start(coroutine):
        return loop.create_task(coroutine)

    async def ended(*tasks):
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                log('CancelledError')

    async def holds(lock, name, seconds):
        async with lock:
            log(f'{name} has it')
            await asyncio.sleep(seconds)
            log(f'{name} lets go')

    async def locks():
        log('--- a lock is handed over in the order of arrival')
        lock = asyncio.Lock()
        tasks = [start(holds(lock, name, 1)) for name in 'abcd']
        await asyncio.sleep(0.5)
        log(f'locked {lock.locked()}')
        await ended(*tasks)
        log(f'locked {lock.locked()}')

        log('--- one who is cancelled while he waits is passed over')
        tasks = [start(holds(lock, name, 1)) for name in 'abc']
        loop.call_later(0.5, tasks[1].cancel)
        await ended(*tasks)

        log('--- one who is cancelled while he has it lets go')
        tasks = [start(holds(lock, name, 2)) for name in 'ab']
        loop.call_later(0.5, tasks[0].cancel)
        await ended(*tasks)

        log('--- who lets go and asks again stands behind the others')

        async def twice(name):
            for _ in range(2):
                async with lock:
                    log(f'{name} has it')
                    await asyncio.sleep(0)

        await ended(start(twice('a')), start(twice('b')), start(twice('c')))

        try:
            lock.release()
        except RuntimeError:
            log('a lock that nobody has cannot be released')

    async def semaphores():
        log('--- a semaphore lets so many in')
        semaphore = asyncio.Semaphore(2)
        tasks = [start(holds(semaphore, name, seconds)) for name, seconds in (('a', 3), ('b', 1), ('c', 1.5), ('d', 1))]
        await asyncio.sleep(0.5)
        log(f'locked {semaphore.locked()}')
        await ended(*tasks)
        log(f'locked {semaphore.locked()}')

        log('--- a cancelled one passes its place on')
        tasks = [start(holds(semaphore, name, seconds)) for name, seconds in (('a', 1), ('b', 1.25), ('c', 1), ('d', 1))]
        loop.call_later(0.5, tasks[2].cancel)
        await ended(*tasks)

        bounded = asyncio.BoundedSemaphore(1)
        await bounded.acquire()
        bounded.release()
        try:
            bounded.release()
        except ValueError:
            log('a bounded semaphore cannot be released too often')

    async def events():
        log('--- an event wakes all who wait, in order')
        event = asyncio.Event()

        async def waits(name):
            log(f'{name} waits')
            log(f'{name} goes on: {await event.wait()}')

        tasks = [start(waits(name)) for name in 'abc']
        await asyncio.sleep(1)
        log(f'set {event.is_set()}')
        event.set()
        event.clear()
        log('set and cleared')
        await ended(*tasks)
        event.set()
        tasks = [start(waits('d'))]
        await ended(*tasks)
        event.clear()
        log(f'set {event.is_set()}')

    async def conditions():
        log('--- a condition wakes as many as it is told, one after the other')
        condition = asyncio.Condition()
        ready = [0]

        async def waits(name):
            async with condition:
                log(f'{name} waits')
                await condition.wait()
                log(f'{name} goes on')
                await asyncio.sleep(1)

        async def waits_for(name, number):
            async with condition:
                await condition.wait_for(lambda: ready[0] >= number)
                log(f'{name} has {ready[0]}')

        async def notify(n):
            async with condition:
                condition.notify(n)
                log(f'notified {n}')

        tasks = [start(waits(name)) for name in 'abcd']
        await asyncio.sleep(1)
        await notify(1)
        await asyncio.sleep(3)
        await notify(2)
        await asyncio.sleep(5)
        tasks[3].cancel()
        await ended(*tasks)

        log('--- wait_for() goes on when its question is answered')
        tasks = [start(waits_for('a', 2)), start(waits_for('b', 1))]
        for _ in range(2):
            await asyncio.sleep(1)
            async with condition:
                ready[0] += 1
                condition.notify_all()
        await ended(*tasks)
        try:
            condition.notify()
        except RuntimeError:
            log('only who has the lock may notify')

    async def barriers():
        log('--- a barrier holds all until the last one has come')
        barrier = asyncio.Barrier(3)

        async def comes(name, delay):
            await asyncio.sleep(delay)
            log(f'{name} comes, {barrier.n_waiting} wait')
            await barrier.wait()
            log(f'{name} goes on')

        await ended(start(comes('a', 3)), start(comes('b', 1)), start(comes('c', 2)))
        await asyncio.sleep(1)
        log('--- a barrier that is aborted')

        async def breaks(name):
            try:
                await barrier.wait()
            except asyncio.BrokenBarrierError:
                log(f'{name} BrokenBarrierError')

        tasks = [start(breaks('a')), start(breaks('b'))]
        await asyncio.sleep(1)
        await barrier.abort()
        await ended(*tasks, start(breaks('c')))
        log(f'broken {barrier.broken}')

    for main in (locks, semaphores, events, conditions, barriers):
        loop.run_until_complete(main())
