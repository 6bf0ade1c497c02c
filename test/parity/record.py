"""Records the logs of CPython's asyncio for each scenario, into logs/<scenario>.json or a given folder.

    python3 test/parity/record.py [folder]

Time is virtual, as in gyre's simulated loop: it stands still while anything is ready, and jumps to the next
deadline when nothing is. So the logs are the same on every machine.
"""

import asyncio
import importlib.util
import json
import pathlib
import platform
import selectors
import sys

HERE = pathlib.Path(__file__).parent


class VirtualSelector(selectors.DefaultSelector):
    """Does not wait: moves the clock of its loop instead."""

    loop = None

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError('the scenario waits for something that never comes')
        if timeout > 0:
            self.loop.now += timeout
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 0.0
        selector = VirtualSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now


def record(path):
    spec = importlib.util.spec_from_file_location(path.stem.replace('-', '_'), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entries = []
    loop = VirtualTimeLoop()

    def log(text):
        entries.append(f'{loop.time():.3f} {text}')

    loop.set_exception_handler(lambda _loop, context: log(f'reported: {context.get("exception")!s}'))
    asyncio.set_event_loop(loop)
    module.scenario(loop, log)
    loop.close()
    return entries


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / 'logs'
    for path in sorted((HERE / 'scenarios').glob('*.py')):
        recorded = {
            'scenario': path.stem,
            'python': platform.python_version(),
            'implementation': platform.python_implementation(),
            'log': record(path),
        }
        text = json.dumps(recorded, indent=1, ensure_ascii=False)
        (folder / f'{path.stem}.json').write_text(text + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
