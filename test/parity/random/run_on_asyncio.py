"""Runs random programs on CPython's asyncio: reads one a line, as JSON, and writes one run a line. See
program.ts.

    python3 run_on_asyncio.py scheduled|as-cpython

Each coroutine here is one async function of interpreter.ts, await for await. The argument is the order of
timers with the same deadline: asyncio leaves that open, and CPython's own order is an accident of its heap.
"""

import asyncio
import collections
import gc
import json
import sys
import warnings

from gyre_rules import Condition, Lock, Queue, TaskGroup
from virtual_time import VirtualTimeLoop

# The end of time: when the clock comes here, nothing else was left to do.
END = 2.0**40
# The tasks that are left are cancelled so often. A task may swallow a cancel, and go on.
ROUNDS = 4

LOCKS, EVENTS, CONDITIONS, FUTURES, COUNTERS = 2, 2, 2, 3, 2


class Failure(Exception):
    """The error that a program raises itself."""


MISUSE = (
    'Lock is not acquired.',
    'cannot wait on un-acquired lock',
    'cannot notify on un-acquired lock',
    'task_done() called too many times',
    'Cannot change state of',
    'is finished',
    'is shutting down',
)


def name_of(error):
    if isinstance(error, asyncio.CancelledError):
        return 'Cancelled'
    if isinstance(error, TimeoutError):
        return 'Timeout'
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return f'Group({", ".join(map(name_of, error.exceptions))})'
    if isinstance(error, asyncio.InvalidStateError):
        return 'Misuse'
    if isinstance(error, (RuntimeError, ValueError)) and any(text in str(error) for text in MISUSE):
        return 'Misuse'
    if isinstance(error, (asyncio.QueueEmpty, asyncio.QueueFull, asyncio.QueueShutDown)):
        return type(error).__name__
    return f'unexpected {type(error).__name__}: {error}'


def catches(kinds, error):
    if 'Any' in kinds:
        return True
    kind = name_of(error)
    if isinstance(error, Failure):
        kind = 'Failure'
    elif isinstance(error, BaseExceptionGroup):
        kind = 'Group'
    return kind in kinds


def words(value):
    if isinstance(value, BaseException):
        return name_of(value)
    if isinstance(value, list):
        return f'[{", ".join(map(words, value))}]'
    return '-' if value is None or value is True else str(value)


Scope = collections.namedtuple('Scope', 'timeout group')
Returned = collections.namedtuple('Returned', 'value')


class Machine:
    def __init__(self, loop, program, set_apart):
        self.loop = loop
        self.locks = [Lock() for _ in range(LOCKS)]
        self.events = [asyncio.Event() for _ in range(EVENTS)]
        self.conditions = [Condition(set_apart) for _ in range(CONDITIONS)]
        self.semaphores = [asyncio.Semaphore(value) for value in program['semaphores']]
        self.queues = [Queue(maxsize, set_apart) for maxsize in program['queues']]
        self.counters = [0] * COUNTERS
        self.referable = {f'F{index}': loop.create_future() for index in range(FUTURES)}
        self.tasks = {}
        self.ended = {}
        self.calls = {}
        self.entries = []
        self.over = False

    # --- the log ---

    def log(self, text):
        if self.over:
            return
        task = asyncio.current_task(self.loop)
        name = '-' if task is None else task.get_name()
        self.entries.append(f'{self.time()} {name} {text}')

    def time(self):
        now = int(self.loop.time())
        return str(now) if now < END else f'end+{now % int(END)}'

    def done(self, step, value=None):
        self.log(f'{step["id"]} {step["op"]} {words(value)}')

    def failed(self, step, error):
        self.log(f'{step["id"]} {step["op"]} !{name_of(error)}')

    def handle_exception(self, _loop, context):
        if 'handle' in context:
            self.log(f'reported {name_of(context["exception"])}')

    # --- tasks ---

    def begin_main(self, body):
        return self.register('T0', self.loop.create_task(self.run_task('T0', body, Scope(None, None)), name='T0'))

    def register(self, name, task):
        self.tasks[name] = task
        self.referable[name.split('#')[0]] = task
        return task

    def name_for(self, step):
        name = step['task']
        count = sum(1 for known in self.tasks if known.split('#')[0] == name)
        return name if count == 0 else f'{name}#{count + 1}'

    def spawn(self, step, scope):
        name = self.name_for(step)
        self.register(name, self.loop.create_task(self.run_task(name, step['body'], scope), name=name))
        return name

    def spawn_in_group(self, step, scope):
        name = self.name_for(step)
        self.register(name, scope.group.create_task(self.run_task(name, step['body'], scope), name=name))
        return name

    async def run_task(self, name, body, scope):
        self.log('begins')
        try:
            returned = await self.block(body, scope)
        except BaseException as error:
            self.ended[name] = self.time()
            self.log(f'ends !{name_of(error)}')
            raise
        value = None if returned is None else returned.value
        self.ended[name] = self.time()
        self.log(f'ends {words(value)}')
        return value

    def known(self, references):
        """Those that exist by now. A task does not wait for itself."""
        current = asyncio.current_task(self.loop)
        found = [self.referable.get(reference) for reference in references]
        return [one for one in found if one is not None and one is not current]

    # --- statements that do not await ---

    def call(self, step, scope):
        value = getattr(self, f'call_{step["op"]}')(step, scope)
        self.done(step, value)

    def run_calls(self, calls, scope):
        for step in calls:
            try:
                self.call(step, scope)
            except BaseException as error:
                self.failed(step, error)
                raise

    def call_cancel(self, step, _scope):
        task = self.referable.get(step['task'])
        return 'absent' if task is None else int(task.cancel())

    def call_setEvent(self, step, _scope):
        self.events[step['index']].set()

    def call_clearEvent(self, step, _scope):
        self.events[step['index']].clear()

    def call_setResult(self, step, _scope):
        self.referable[step['future']].set_result(step['value'])

    def call_setException(self, step, _scope):
        self.referable[step['future']].set_exception(Failure(step['error']))

    def call_putNowait(self, step, _scope):
        self.queues[step['index']].put_nowait(step['value'])

    def call_getNowait(self, step, _scope):
        return self.queues[step['index']].get_nowait()

    def call_taskDone(self, step, _scope):
        self.queues[step['index']].task_done()

    def call_shutdown(self, step, _scope):
        self.queues[step['index']].shutdown(step['immediate'])

    def call_releaseLock(self, step, _scope):
        self.locks[step['index']].release()

    def call_releaseSemaphore(self, step, _scope):
        self.semaphores[step['index']].release()

    def call_notify(self, step, _scope):
        self.conditions[step['index']].notify(step['count'])

    def call_notifyAll(self, step, _scope):
        self.conditions[step['index']].notify_all()

    def call_add(self, step, _scope):
        self.counters[step['index']] += 1

    def call_spawn(self, step, scope):
        return self.spawn(step, scope)

    def call_callSoon(self, step, scope):
        self.calls[step['id']] = self.loop.call_soon(self.run_calls, step['calls'], scope)

    def call_callLater(self, step, scope):
        self.calls[step['id']] = self.loop.call_later(step['seconds'], self.run_calls, step['calls'], scope)

    def call_cancelCall(self, step, _scope):
        call = self.calls.get(step['call'])
        if call is None:
            return 'absent'
        call.cancel()

    def call_onDone(self, step, scope):
        for one in self.known([step['reference']]):
            one.add_done_callback(lambda _: self.run_calls(step['calls'], scope))

    def call_raise(self, step, _scope):
        raise Failure(step['error'])

    # --- statements of tasks ---

    async def block(self, steps, scope):
        for step in steps:
            try:
                returned = await self.step(step, scope)
            except BaseException as error:
                self.failed(step, error)
                raise
            if returned is not None:
                return returned
        return None

    async def step(self, step, scope):
        run = getattr(self, f'step_{step["op"]}', None)
        if run is not None:
            return await run(step, scope)
        self.call(step, scope)
        return None

    async def step_sleep(self, step, _scope):
        await asyncio.sleep(step['seconds'])
        self.done(step)

    def awaitable(self, what):
        """None: it does not exist yet."""
        kind = what['kind']
        if kind == 'reference':
            known = self.known([what['reference']])
            return known[0] if known else None
        if kind == 'event':
            return self.events[what['index']].wait()
        queue = self.queues[what['index']]
        if kind == 'get':
            return queue.get()
        if kind == 'put':
            return queue.put(what['value'])
        return queue.join()

    async def step_await(self, step, _scope):
        what = self.awaitable(step['what'])
        self.done(step, 'absent' if what is None else await what)

    async def step_waitFor(self, step, _scope):
        what = self.awaitable(step['what'])
        self.done(step, 'absent' if what is None else await asyncio.wait_for(what, step['seconds']))

    async def step_shield(self, step, _scope):
        known = self.known([step['reference']])
        self.done(step, await asyncio.shield(known[0]) if known else 'absent')

    async def step_gather(self, step, _scope):
        known = self.known(step['references'])
        self.done(step, await asyncio.gather(*known, return_exceptions=step['returnExceptions']))

    async def step_wait(self, step, _scope):
        known = self.known(step['references'])
        if not known:
            self.done(step, 'absent')
            return
        done, _pending = await asyncio.wait(known, timeout=step['seconds'], return_when=step['until'])
        self.done(step, self.names_of(done))

    def names_of(self, some):
        return sorted(name for name, one in self.referable.items() if one in some) or ['one that was spawned before']

    async def step_asCompleted(self, step, _scope):
        pending = [one for one in self.known(step['references']) if not one.done()]
        async for one in asyncio.as_completed(pending, timeout=step['seconds']):
            self.log(f'{step["id"]} completes {self.names_of([one])[0]}')
        self.done(step)

    async def step_conditionWait(self, step, _scope):
        await self.conditions[step['index']].wait()
        self.done(step)

    async def step_conditionWaitFor(self, step, _scope):
        await self.conditions[step['index']].wait_for(lambda: self.counters[step['counter']] >= step['atLeast'])
        self.done(step)

    async def step_reschedule(self, step, scope):
        if scope.timeout is not None:
            seconds = step['seconds']
            scope.timeout.reschedule(None if seconds is None else self.loop.time() + seconds)
        self.done(step, 'absent' if scope.timeout is None else None)

    async def step_groupSpawn(self, step, scope):
        self.done(step, 'absent' if scope.group is None else self.spawn_in_group(step, scope))

    async def step_cancelSelf(self, step, _scope):
        self.done(step, int(asyncio.current_task().cancel()))

    async def step_uncancel(self, step, _scope):
        self.done(step, asyncio.current_task().uncancel())

    async def step_return(self, step, _scope):
        self.done(step, step['value'])
        return Returned(step['value'])

    async def step_hold(self, step, scope):
        what = step['what']
        held = {'lock': self.locks, 'semaphore': self.semaphores, 'condition': self.conditions}[what['kind']][what['index']]
        if step['limit'] is None:
            await held.acquire()
        else:
            await asyncio.wait_for(held.acquire(), step['limit'])
        self.log(f'{step["id"]} holds')
        try:
            returned = await self.block(step['body'], scope)
        finally:
            held.release()
        self.done(step)
        return returned

    async def step_timeout(self, step, scope):
        async with asyncio.timeout(step['seconds']) as timeout:
            returned = await self.block(step['body'], scope._replace(timeout=timeout))
        self.done(step)
        return returned

    async def step_group(self, step, scope):
        async with TaskGroup() as group:
            returned = await self.block(step['body'], scope._replace(group=group))
        self.done(step)
        return returned

    async def step_call(self, step, scope):
        returned = await self.block(step['body'], scope)
        self.done(step, None if returned is None else returned.value)

    async def step_repeat(self, step, scope):
        for _ in range(step['times']):
            returned = await self.block(step['body'], scope)
            if returned is not None:
                return returned
        self.done(step)
        return None

    async def step_try(self, step, scope):
        try:
            try:
                returned = await self.block(step['body'], scope)
            except BaseException as error:
                if not catches(step['catches'], error):
                    raise
                self.log(f'{step["id"]} catches {name_of(error)}')
                returned = await self.block(step['handler'], scope)
                if step['rethrow']:
                    raise
        finally:
            await self.block(step['last'], scope)
        self.done(step)
        return returned

    # --- the end ---

    def outcome_of(self, name, task):
        if not task.done():
            return 'pending'
        if task.cancelled():
            how = 'Cancelled'
        elif task.exception() is not None:
            how = name_of(task.exception())
        else:
            how = f'result {words(task.result())}'
        return f'{how} at {self.ended.get(name, "no time")}'

    def close(self):
        self.over = True
        for task in self.tasks.values():
            task._log_destroy_pending = False


def run(program, ties):
    apart = set()
    loop = VirtualTimeLoop(ties)
    machine = Machine(loop, program, apart.add)
    loop.set_exception_handler(machine.handle_exception)
    main = machine.begin_main(program['main'])
    deadlock = False
    for number in range(ROUNDS):
        loop.call_at(END * (number + 1), loop.stop)
        loop.run_forever()
        left = [task for task in machine.tasks.values() if not task.done()]
        if number == 0:
            deadlock = not main.done()
        if not left:
            break
        machine.log('cancels what is left')
        for task in left:
            task.cancel()
    outcome = {name: machine.outcome_of(name, task) for name, task in machine.tasks.items()}
    machine.close()
    loop.close()
    if loop.coincided and program['family'] == 'distinct':
        apart.add('two deadlines coincide')
    return {
        'seed': program['seed'],
        'log': machine.entries,
        'outcome': outcome,
        'deadlock': deadlock,
        'apart': sorted(apart),
    }


def main():
    [ties] = sys.argv[1:]
    warnings.simplefilter('ignore')
    # A coroutine that is left at the end of its program may complain when it is collected.
    sys.unraisablehook = lambda _: None
    gc.disable()
    for number, line in enumerate(sys.stdin):
        print(json.dumps(run(json.loads(line), ties), separators=(',', ':')), flush=True)
        if number % 100 == 0:
            gc.collect()


if __name__ == '__main__':
    main()
