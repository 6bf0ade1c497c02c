// Reads the log of a memory checker, and separates the findings of the addon from those of Node and V8.
//
// A suppression by function name cannot do this: Node calls all functions of the addon, and the addon calls
// JavaScript, which calls V8. The order of the stack frames tells the owner. From the innermost frame
// outwards, either a frame of the addon comes first, or a frame of V8.

/**
 * @typedef {object} Finding
 * @property {string} title
 * @property {string} text the complete report
 */

const OURS = /\bgyre_\w+|\/gyre[\w-]*\.node\b/;
/** Frames of V8, and the calls of JavaScript: findings further inside belong to V8. */
const THEIRS = /v8::|cppgc::|heap::base::|Builtins_|napi_make_callback|napi_call_function|<unknown module>/;
const FRAME = /^\s*(?:#\d+ 0x|==\d+==\s+(?:at|by) 0x)/;

/**
 * @param {readonly string[]} frames from the innermost outwards
 * @returns {boolean}
 */
function isOurs(frames) {
  const first = frames.find((frame) => OURS.test(frame) || THEIRS.test(frame));
  return first !== undefined && OURS.test(first);
}

/**
 * Returns the stacks of a report: of the access, of the free, of the allocation.
 *
 * @param {string} text
 * @returns {string[][]}
 */
function stacksOf(text) {
  /** @type {string[][]} */
  const stacks = [];
  let inStack = false;
  for (const line of text.split('\n')) {
    const isFrame = FRAME.test(line);
    if (isFrame && !inStack) stacks.push([]);
    if (isFrame) stacks.at(-1)?.push(line);
    inStack = isFrame;
  }
  return stacks;
}

/**
 * Finds the addon's errors in the log of a sanitizer. Every report of AddressSanitizer and
 * UndefinedBehaviorSanitizer counts, because only the addon is instrumented. A report of LeakSanitizer counts
 * if the addon made the allocation: V8 holds much of its own memory in ways that LeakSanitizer does not see.
 *
 * @param {string} log
 * @returns {{ ours: Finding[], theirs: number, notes: string[] }}
 */
export function sanitizerFindings(log) {
  /** @type {Finding[]} */
  const ours = [];
  /** @type {string[]} */
  const notes = [];
  let theirs = 0;
  for (const block of log.split(/\n\s*\n/)) {
    const text = block.trim();
    const leak = /^(?:Direct|Indirect) leak of .*$/m.exec(text);
    if (leak !== null) {
      // Memory that only another leak of the addon points to (an indirect leak) counts with that leak.
      if (isOurs(stacksOf(text)[0] ?? [])) ours.push({ title: leak[0], text });
      else theirs++;
      continue;
    }
    if (/LeakSanitizer has encountered a fatal error/.test(text)) {
      notes.push('a process in which LeakSanitizer could not run');
      continue;
    }
    const error =
      /^.*(?:ERROR: AddressSanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL|CHECK failed).*$/m.exec(
        text,
      );
    if (error !== null) ours.push({ title: error[0], text });
  }
  return { ours, theirs, notes };
}

/**
 * Finds the addon's errors in the log of memcheck. An invalid access counts unless only V8 is involved. A use
 * of uninitialized memory, or a leak, counts if a frame of the addon comes first.
 *
 * @param {string} log
 * @returns {{ ours: Finding[], theirs: number, notes: string[] }}
 */
export function memcheckFindings(log) {
  /** @type {Finding[]} */
  const ours = [];
  let theirs = 0;
  for (const block of log.split(/^==\d+== *\n/m)) {
    const lines = block.split('\n');
    const head = lines.findIndex((line) => KINDS.test(line));
    if (head < 0) continue;
    const text = lines.slice(head).join('\n');
    const stacks = stacksOf(text);
    const title = String(lines[head]).replace(/^==\d+==\s*/, '');
    // libuv's code acts for the addon if the addon allocated the memory or the handle.
    const counts = INVALID.test(title)
      ? stacks.some(isOurs) || !stacks[0]?.some((frame) => THEIRS.test(frame))
      : isOurs(stacks[0] ?? []);
    if (counts) ours.push({ title, text });
    else theirs++;
  }
  return { ours, theirs, notes: /unhandled amd64-linux syscall: 434/.test(log) ? [NO_PIDFD] : [] };
}

const NO_PIDFD =
  'this valgrind has no pidfd_open(): the node backend started the children, so most of process.c was not checked';
const INVALID =
  /^(?:Invalid|Jump to|Mismatched free|Source and destination overlap|Process terminating|Syscall param .* unaddressable)/;
const KINDS =
  /^==\d+==\s+(?:Invalid|Jump to|Mismatched free|Source and destination overlap|Process terminating with default action of signal (?:4|6|7|8|11) |Syscall param|Conditional jump|Use of uninit|[\d,]+ (?:\([^)]*\) )?bytes in .* definitely lost|Open (?:AF_\w+ )?(?:file descriptor|socket))/;
