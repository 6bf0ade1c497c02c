/** The reports of a memory checker that `npm run check:native` attributes to gyre. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memcheckFindings, sanitizerFindings } from '../scripts/native-findings.mjs';

const titles = ({ ours }: { ours: { title: string }[] }): string[] => ours.map(({ title }) => title);

const LEAKS = `
=================================================================
==1==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 144 byte(s) in 1 object(s) allocated from:
    #0 0x7ff3320b83b7 in __interceptor_calloc asan_malloc_linux.cpp:77
    #1 0x7feb6990898b in gyre__alloc native/src/memory.c:26
    #2 0x7feb69914c6d in gyre_shutdown native/src/stream.c:182
    #3 0xf50bde in v8::internal::FunctionCallbackArguments::Call(v8::internal::CallHandlerInfo) (node+0xf50bde)

Direct leak of 56 byte(s) in 1 object(s) allocated from:
    #0 0x7fc9898b94c8 in operator new(unsigned long) asan_new_delete.cpp:95
    #1 0xc6ed38 in napi_create_reference (node+0xc6ed38)
    #2 0x7fc1c11683f2 in gyre_write native/src/stream.c:17

Indirect leak of 128 byte(s) in 1 object(s) allocated from:
    #0 0x7fc9898b94c8 in operator new(unsigned long) asan_new_delete.cpp:95
    #1 0x10efaa1 in v8::internal::Heap_CombinedGenerationalAndSharedBarrierSlow(v8::internal::HeapObject) (node+0x10efaa1)
    #2 0xc6ed38 in napi_make_callback (node+0xc6ed38)
    #3 0x7fc1c11683f2 in gyre__dispatch native/src/dispatch.c:17

Direct leak of 32 byte(s) in 1 object(s) allocated from:
    #0 0x7f88622b89cf in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x56366e8bac8d in xmalloc (bash+0x9ac8d)

SUMMARY: AddressSanitizer: 360 byte(s) leaked in 4 allocation(s).
`;

test('a leak belongs to gyre if gyre is nearer to it than V8 and than JavaScript that gyre called', () => {
  const found = sanitizerFindings(LEAKS);
  assert.deepEqual(titles(found), [
    'Direct leak of 144 byte(s) in 1 object(s) allocated from:',
    'Direct leak of 56 byte(s) in 1 object(s) allocated from:',
  ]);
  assert.equal(found.theirs, 2);
});

test('an error of the sanitizers belongs to gyre wherever it is', () => {
  const use = '==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x7f at pc 0x7f bp 0x7f sp 0x7f';
  const overflow = 'native/src/poll.c:4:2: runtime error: signed integer overflow';
  const log = `=====\n${use}\nREAD of size 9 at 0x7f thread T0\n    #0 0x7f in write\n    #1 0x18 in uv__writev\n\n${overflow}\n`;
  assert.deepEqual(titles(sanitizerFindings(log)), [use, overflow]);
  const broken = 'Tracer caught signal 11\n==1==LeakSanitizer has encountered a fatal error.\n';
  assert.deepEqual(sanitizerFindings(broken), {
    ours: [],
    theirs: 0,
    notes: ['a process in which LeakSanitizer could not run'],
  });
});

const MEMCHECK = `==1== Memcheck, a memory error detector
==1== Parent PID: 2
==1== 
==1== Conditional jump or move depends on uninitialised value(s)
==1==    at 0x1843966: heap::base::IteratePointersInStack(heap::base::StackVisitor*) (in /usr/bin/node)
==1==    by 0x104993C: v8::internal::Invoke(v8::internal::Isolate*) (in /usr/bin/node)
==1==    by 0x2E08A28A: gyre__dispatch (dispatch.c:125)
==1== 
==1== Syscall param sendmsg(msg.msg_name) points to uninitialised byte(s)
==1==    at 0x6314C4D: sendmsg (sendmsg.c:25)
==1==    by 0x18BD0BC: uv__udp_try_send (udp.c:782)
==1==    by 0x2E089D62: gyre_try_send (datagram.c:178)
==1==  Address 0x1 is on thread 1's stack
==1== 
==1== Invalid read of size 8
==1==    at 0x18B8067: uv__writev (stream.c:664)
==1==    by 0x18AC8A6: uv_run (core.c:447)
==1==  Address 0x2 is 8 bytes inside a block of size 64 free'd
==1==    at 0x484217B: free (vg_replace_malloc.c:872)
==1== 
==1== 
==1== Process terminating with default action of signal 15 (SIGTERM)
==1==    at 0x6312CAE: epoll_pwait (epoll_pwait.c:40)
==1== 
==1== 
==1== Process terminating with default action of signal 11 (SIGSEGV)
==1==    at 0x6312CAE: uv__stream_io (stream.c:40)
==1== 
==1== HEAP SUMMARY:
==1==     in use at exit: 1 bytes in 1 blocks
==1== 
==1== 64 bytes in 1 blocks are definitely lost in loss record 1 of 2
==1==    at 0x48455EF: calloc (vg_replace_malloc.c:1328)
==1==    by 0x2E089D62: gyre__alloc (memory.c:26)
==1== 
==1== 1,024 (64 direct, 960 indirect) bytes in 1 blocks are definitely lost in loss record 2 of 2
==1==    at 0x48455EF: operator new (vg_replace_malloc.c:1328)
==1==    by 0x2E089D62: node::Start(int, char**) (in /usr/bin/node)
==1== 
==1== LEAK SUMMARY:
==1==    definitely lost: 128 bytes in 2 blocks
`;

test('a report of memcheck belongs to gyre if it touches invalid memory outside of V8, or begins in gyre', () => {
  const found = memcheckFindings(MEMCHECK);
  assert.deepEqual(titles(found), [
    'Syscall param sendmsg(msg.msg_name) points to uninitialised byte(s)',
    'Invalid read of size 8',
    'Process terminating with default action of signal 11 (SIGSEGV)',
    '64 bytes in 1 blocks are definitely lost in loss record 1 of 2',
  ]);
  assert.equal(found.theirs, 2);
});
