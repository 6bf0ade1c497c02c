/** A program as text, in Python's manner, and two logs side by side. */
import type { Awaited, Call, Program, Run, Step } from './program.ts';

export function pseudoCode(program: Program): string {
  const numbered = (kind: string, values: readonly number[]): string =>
    values.map((value, index) => `${kind}[${index}] = ${kind}(${value})`).join(', ');
  return [
    `# seed ${program.seed}, ${program.family}`,
    `# ${numbered('Semaphore', program.semaphores)}, ${numbered('Queue', program.queues)}`,
    'async def T0():',
    ...indented(program.main.flatMap(linesOf)),
  ].join('\n');
}

function indented(lines: readonly string[]): string[] {
  return (lines.length === 0 ? ['pass'] : lines).map((line) => `    ${line}`);
}

/** The number before each statement is the one in the log. */
function linesOf(step: Step): string[] {
  const [first = '', ...rest] = statement(step);
  return [`${String(step.id).padStart(3)}  ${first}`, ...rest.map((line) => `     ${line}`)];
}

function block(head: string, steps: readonly Step[]): string[] {
  return [`${head}:`, ...indented(steps.flatMap(linesOf))];
}

function statement(step: Step): string[] {
  switch (step.op) {
    case 'spawn':
      return block(`create_task ${step.task}`, step.body);
    case 'groupSpawn':
      return block(`group.create_task ${step.task}`, step.body);
    case 'hold':
      return block(`async with ${holdable(step)}`, step.body);
    case 'timeout':
      return block(`async with timeout(${time(step.seconds)})`, step.body);
    case 'group':
      return block('async with TaskGroup() as group', step.body);
    case 'call':
      return block('await an inner function', step.body);
    case 'repeat':
      return block(`for _ in range(${step.times})`, step.body);
    case 'callSoon':
      return block('call_soon', step.calls);
    case 'callLater':
      return block(`call_later(${step.seconds})`, step.calls);
    case 'onDone':
      return block(`${step.reference}.add_done_callback`, step.calls);
    case 'try':
      return tryLines(step);
    default:
      return [simple(step)];
  }
}

function tryLines(step: Extract<Step, { op: 'try' }>): string[] {
  const lines = block('try', step.body);
  if (step.catches.length > 0) {
    lines.push(...block(`except ${step.catches.join(', ')}`, step.handler));
    if (step.rethrow) lines.push('    raise');
  }
  if (step.last.length > 0) lines.push(...block('finally', step.last));
  return lines;
}

type Simple = Exclude<Step, { body: Step[] } | { calls: Call[] } | { op: 'try' }>;

function simple(step: Simple): string {
  switch (step.op) {
    case 'cancel':
      return `${step.task}.cancel()`;
    case 'setEvent':
      return `Event[${step.index}].set()`;
    case 'clearEvent':
      return `Event[${step.index}].clear()`;
    case 'setResult':
      return `${step.future}.set_result(${step.value})`;
    case 'setException':
      return `${step.future}.set_exception(${step.error})`;
    case 'putNowait':
      return `Queue[${step.index}].put_nowait(${step.value})`;
    case 'getNowait':
      return `Queue[${step.index}].get_nowait()`;
    case 'taskDone':
      return `Queue[${step.index}].task_done()`;
    case 'shutdown':
      return `Queue[${step.index}].shutdown(immediate=${step.immediate})`;
    case 'releaseLock':
      return `Lock[${step.index}].release()`;
    case 'releaseSemaphore':
      return `Semaphore[${step.index}].release()`;
    case 'notify':
      return `Condition[${step.index}].notify(${step.count})`;
    case 'notifyAll':
      return `Condition[${step.index}].notify_all()`;
    case 'add':
      return `counter[${step.index}] += 1`;
    case 'cancelCall':
      return `the handle of statement ${step.call}.cancel()`;
    case 'raise':
      return `raise ${step.error}`;
    case 'sleep':
      return `await sleep(${step.seconds})`;
    case 'await':
      return `await ${awaited(step.what)}`;
    case 'waitFor':
      return `await wait_for(${awaited(step.what)}, ${time(step.seconds)})`;
    case 'shield':
      return `await shield(${step.reference})`;
    case 'gather':
      return `await gather(${step.references.join(', ')}, return_exceptions=${step.returnExceptions})`;
    case 'wait':
      return `await wait([${step.references.join(', ')}], timeout=${time(step.seconds)}, return_when=${step.until})`;
    case 'asCompleted':
      return `async for _ in as_completed([${step.references.join(', ')}], timeout=${time(step.seconds)})`;
    case 'conditionWait':
      return `await Condition[${step.index}].wait()`;
    case 'conditionWaitFor':
      return `await Condition[${step.index}].wait_for(counter[${step.counter}] >= ${step.atLeast})`;
    case 'reschedule':
      return step.seconds === null ? 'timeout.reschedule(None)' : `timeout.reschedule(now + ${step.seconds})`;
    case 'cancelSelf':
      return 'current_task().cancel()';
    case 'uncancel':
      return 'current_task().uncancel()';
    case 'return':
      return `return ${step.value}`;
  }
}

function awaited(what: Awaited): string {
  switch (what.kind) {
    case 'reference':
      return what.reference;
    case 'event':
      return `Event[${what.index}].wait()`;
    case 'get':
      return `Queue[${what.index}].get()`;
    case 'put':
      return `Queue[${what.index}].put(${what.value})`;
    case 'join':
      return `Queue[${what.index}].join()`;
  }
}

function holdable({ what: { kind, index }, limit }: Extract<Step, { op: 'hold' }>): string {
  const name = `${kind[0]?.toUpperCase()}${kind.slice(1)}[${index}]`;
  return limit === null ? name : `${name}, acquired by wait_for(…, ${limit})`;
}

function time(seconds: number | null): string {
  return seconds === null ? 'None' : String(seconds);
}

/** Lines that differ are marked. */
export function sideBySide(asyncio: Run, gyre: Run): string {
  const left = [...asyncio.log, ...outcomes(asyncio)];
  const right = [...gyre.log, ...outcomes(gyre)];
  const width = Math.max(7, ...left.map((line) => line.length));
  const lines = [`  ${'asyncio'.padEnd(width)}  gyre`];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [a = '', b = ''] = [left[at], right[at]];
    lines.push(`${a === b ? ' ' : '*'} ${a.padEnd(width)}  ${b}`);
  }
  return lines.join('\n');
}

function outcomes({ outcome, deadlock }: Run): string[] {
  return [
    '--',
    ...Object.entries(outcome).map(([task, how]) => `${task}: ${how}`),
    deadlock ? 'deadlock' : 'no deadlock',
  ];
}
