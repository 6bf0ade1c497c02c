"""The default values of everything."""

import asyncio
import inspect


def scenario(loop, log):
    def default(function, name):
        return inspect.signature(function).parameters[name].default

    log(f'debug {loop.get_debug()}')
    log(f'slow_callback_duration {loop.slow_callback_duration}')
    log(f'task factory {loop.get_task_factory()}')
    log(f'running {loop.is_running()}, closed {loop.is_closed()}')
    log(f'current task {asyncio.current_task(loop)}, all tasks {len(asyncio.all_tasks(loop))}')

    fresh = asyncio.SelectorEventLoop()
    log(f'exception handler {fresh.get_exception_handler()}')
    fresh.close()
    fresh.close()
    log(f'closed {fresh.is_closed()}, running {fresh.is_running()}')

    queue = asyncio.Queue()
    log(f'Queue maxsize {queue.maxsize}, size {queue.qsize()}, empty {queue.empty()}, full {queue.full()}')
    log(f'Semaphore value {default(asyncio.Semaphore, "value")}, locked {asyncio.Semaphore().locked()}')
    log(f'BoundedSemaphore value {default(asyncio.BoundedSemaphore, "value")}')
    log(f'Lock locked {asyncio.Lock().locked()}, Condition locked {asyncio.Condition().locked()}')
    log(f'Event set {asyncio.Event().is_set()}')
    barrier = asyncio.Barrier(2)
    log(f'Barrier parties {barrier.parties}, waiting {barrier.n_waiting}, broken {barrier.broken}')
    log(f'notify wakes {default(asyncio.Condition.notify, "n")}')
    log(f'StreamReader limit {default(asyncio.StreamReader.__init__, "limit")}')
    log(f'create_server backlog {default(asyncio.BaseEventLoop.create_server, "backlog")}')
    log(f'constants {asyncio.FIRST_COMPLETED} {asyncio.FIRST_EXCEPTION} {asyncio.ALL_COMPLETED}')

    async def main():
        async def nothing():
            pass

        task = loop.create_task(nothing())
        log(f'cancelling {task.cancelling()}')
        log(f'result of a task that returns nothing: {await task}')
        log(f'sleep gives {await asyncio.sleep(0)}')
        log(f'gather of nothing {await asyncio.gather()}')
        done, pending = await asyncio.wait([task])
        log(f'wait gives {len(done)} done, {len(pending)} pending')

    loop.run_until_complete(main())
