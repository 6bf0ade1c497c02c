"""Classes that give asyncio gyre's rule in the places in which gyre differs on purpose, so that all the rest
can be compared.

docs/differences.md has the reasons. A program that needs a rule which asyncio cannot be given is set apart.
"""

import asyncio
import collections
import collections.abc

OVERTAKEN = 'a waiter of a queue was overtaken, and lost its place'
NOTIFIED_AND_CANCELLED = 'a waiter of a condition was notified and then cancelled'
CANCELLED_AS_IT_LOCKS = 'a waiter of a condition was cancelled as it took the lock again'


def cancel_due(task):
    """Whether a cancel was requested and not thrown yet."""
    coroutine = task.get_coro()
    in_hand = isinstance(coroutine, GroupMember) and coroutine.cancelled_as_it_begins and task.cancelling() > 0
    return task._must_cancel or in_hand


class Timeout(asyncio.Timeout):
    """A cancel that was due when the block began does not become a TimeoutError: it is not the timeout's
    doing.
    """

    async def __aenter__(self):
        await super().__aenter__()
        self._cancelling -= cancel_due(self._task)
        return self


# timeout() and wait_for() make this one from now on.
asyncio.timeouts.Timeout = Timeout


class TaskGroup(asyncio.TaskGroup):
    """A group with four rules of gyre.

    - A task of the group begins, even if the group is cancelled before its turn: see GroupMember.
    - The failures stand in the order in which they came, the body's among them, and each counts once.
    - A cancel is thrown again after the failures only if it came while the group was there: see Parent.
    - Tasks are cancelled in the order of their creation. (asyncio keeps them in a set, ordered by address.)
    """

    def __init__(self):
        super().__init__()
        self._tasks = OrderedSet()
        self._errors = Failures()

    async def __aenter__(self):
        await super().__aenter__()
        self._parent_task = Parent(self._parent_task)
        return self

    async def __aexit__(self, kind, error, traceback):
        if isinstance(error, Exception):
            self._errors.append(error)
        return await super().__aexit__(kind, error, traceback)

    def create_task(self, coroutine, *, name):
        member = GroupMember(coroutine, self)
        member.task = super().create_task(member, name=name)
        return member.task


class OrderedSet(dict):
    def add(self, item):
        self[item] = None

    def discard(self, item):
        self.pop(item, None)


class Failures(list):
    """A task's failure comes out of the body as well, if the body awaited the task: one failure, not two."""

    def append(self, error):
        if not any(error is known for known in self):
            super().append(error)


class Parent:
    """The task that waits for a group, as the group sees it: without the cancels from before.

    asyncio's group looks at cancelling(), which also counts a cancel that was thrown and swallowed long ago,
    and throws it once more.
    """

    def __init__(self, task):
        self.task = task
        self.before = task.cancelling() - cancel_due(task)

    def cancelling(self):
        # Fewer than before: the body has taken back one from before.
        return max(self.task.cancelling() - self.before, 0)

    def cancel(self):
        return self.task.cancel()

    def uncancel(self):
        self.task.uncancel()
        return self.cancelling()

    def done(self):
        return self.task.done()


class GroupMember(collections.abc.Coroutine):
    """A coroutine that begins also when its group is cancelled before its turn, and is cancelled at its first
    await.

    asyncio never begins it, so that a resource which was handed to it is lost.
    """

    def __init__(self, coroutine, group):
        self.coroutine = coroutine
        self.group = group
        self.task = None
        self.begun = False
        self.cancelled_as_it_begins = False
        # To be thrown in the next step.
        self.due = None

    def send(self, value):
        self.begun = True
        if self.due is not None:
            due, self.due = self.due, None
            return self.coroutine.throw(due)
        return self.coroutine.send(value)

    def throw(self, error, *rest):
        self.due = None
        by_its_group = self.group._aborting and self.task.cancelling() == 1
        if self.begun or not by_its_group:
            return self.coroutine.throw(error, *rest)
        self.begun = True
        return self.begin_cancelled(error)

    def begin_cancelled(self, error):
        self.cancelled_as_it_begins = True
        try:
            future = self.coroutine.send(None)
        except StopIteration:
            if self.task.cancelling() > 0:
                raise error from None
            raise
        finally:
            self.cancelled_as_it_begins = False
        # It may have taken the cancel back.
        if self.task.cancelling() > 0:
            if future is None:
                self.due = error
            else:
                future.cancel()
        return future

    def close(self):
        self.coroutine.close()

    def __await__(self):
        raise NotImplementedError


class Lock(asyncio.Lock):
    """A waiter that is cancelled leaves the line at once: a release wakes the next one.

    In asyncio it stays in the line until its turn. While it is the first, a release wakes no waiter.
    """

    def _wake_up_first(self):
        for future in self._waiters or ():
            if future.cancelled():
                continue
            if not future.done():
                future.set_result(True)
            return


class Condition(asyncio.Condition):
    """A wait that is cancelled passes on a notification only if it had got one.

    asyncio notifies another waiter in any case, which then wakes for nothing. This wait() is asyncio's own,
    except for the lines that are marked.
    """

    def __init__(self, set_apart):
        super().__init__(Lock())
        self.set_apart = set_apart

    async def wait(self):
        if not self.locked():
            raise RuntimeError('cannot wait on un-acquired lock')
        future = self._get_loop().create_future()
        self.release()
        try:
            try:
                self._waiters.append(future)
                try:
                    await future
                    return True
                finally:
                    self._waiters.remove(future)
            finally:
                cancelled = None
                while True:
                    try:
                        await self.acquire()
                        break
                    except asyncio.CancelledError as error:
                        # Marked. gyre's waiter keeps its place in the line of the lock.
                        self.set_apart(CANCELLED_AS_IT_LOCKS)
                        cancelled = error
                if cancelled is not None:
                    raise cancelled
        except BaseException:
            # Marked. gyre passes it on at once, and so never to a waiter that came later.
            if not future.cancelled():
                self.set_apart(NOTIFIED_AND_CANCELLED)
                self._notify(1)
            raise


class Queue(asyncio.Queue):
    """Notices when a waiter was woken and another call was faster.

    asyncio then puts the waiter at the end of the line, and gyre leaves it at its place.
    """

    def __init__(self, maxsize, set_apart):
        super().__init__(maxsize)
        self._getters = Line(set_apart)
        self._putters = Line(set_apart)

    async def get(self):
        try:
            return await super().get()
        finally:
            self._getters.leave()

    async def put(self, item):
        try:
            return await super().put(item)
        finally:
            self._putters.leave()


class Line(collections.deque):
    def __init__(self, set_apart):
        super().__init__()
        self.set_apart = set_apart
        # The tasks that wait: in the line, or woken.
        self.tasks = set()

    def append(self, waiter):
        task = asyncio.current_task()
        if task in self.tasks and len(self) > 0:
            self.set_apart(OVERTAKEN)
        self.tasks.add(task)
        super().append(waiter)

    def leave(self):
        self.tasks.discard(asyncio.current_task())
