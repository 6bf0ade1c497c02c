// What a memory checker has found, out of its log: which of it is ours, and which belongs to Node and V8.
//
// A suppression by name cannot tell: everything of ours is called by Node, and much of V8's is called from
// JavaScript that we have called. Whose it is shows in the order of the frames: from where it happened
// outwards, ours come before any of V8's, or not.

/**
 * @typedef {object} Finding
 * @property {string} title
 * @property {string} text the whole of it
 */

const OURS = /\bgyre_\w+|\/gyre[\w-]*\.node\b/;
/** V8's own memory, and JavaScript that somebody else has called. */
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
 * The stacks of a report: where it happened, where the memory was freed, where it was allocated.
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
 * Of AddressSanitizer and UndefinedBehaviorSanitizer every report counts, since only the addon is
 * instrumented. Of LeakSanitizer what we allocated: V8 reaches much of its own in ways that it does not see.
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
      // What only another leak of ours still points to is counted with that one.
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
 * Of memcheck: what touches memory that is nobody's counts unless V8 does it; what was never written, and
 * leaks, where we come first.
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
    // In libuv's code it is on our behalf, where the memory is ours or the handle is.
    const counts = INVALID.test(title)
      ? stacks.some(isOurs) || !stacks[0]?.some((frame) => THEIRS.test(frame))
      : isOurs(stacks[0] ?? []);
    if (counts) ours.push({ title, text });
    else theirs++;
  }
  return { ours, theirs, notes: /unhandled amd64-linux syscall: 434/.test(log) ? [NO_PIDFD] : [] };
}

const NO_PIDFD = 'this valgrind knows no pidfd_open: children were Node’s, and process.c ran up to there';
const INVALID =
  /^(?:Invalid|Jump to|Mismatched free|Source and destination overlap|Process terminating|Syscall param .* unaddressable)/;
const KINDS =
  /^==\d+==\s+(?:Invalid|Jump to|Mismatched free|Source and destination overlap|Process terminating with default action of signal (?:4|6|7|8|11) |Syscall param|Conditional jump|Use of uninit|[\d,]+ (?:\([^)]*\) )?bytes in .* definitely lost|Open (?:AF_\w+ )?(?:file descriptor|socket))/;
