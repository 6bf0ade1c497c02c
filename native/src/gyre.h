/*
 * gyre: raw handles on Node's own uv loop, batched both ways.
 *
 * Shared memory, drawn once. C writes, JavaScript reads, in one call a poll phase:
 *
 *   slabs      read buffers. A slab is filled from its beginning and never written twice: what JavaScript gets is a view of it, and
 *              belongs to the receiver.
 *
 *              slab in slot 3:  [ read 1 | read 2 | read 3 |        free        ]
 *                                          ▲ offset, length
 *   events     one Int32Array of records, in the order in which things happened:
 *
 *              [ id | kind | a | b | c ] [ id | kind | a | b | c ] ...
 *
 *              kind             a               b          c
 *              GYRE_READ        slab slot       offset     length
 *              GYRE_END
 *              GYRE_ERROR       error
 *              GYRE_WRITTEN     error or 0
 *              GYRE_CONNECTED   error or 0
 *              GYRE_ACCEPTED    new handle's id, or error
 *              GYRE_MESSAGE     slab slot       offset     length; where from stands in front of the data
 *              GYRE_SENT        error or 0
 *              GYRE_RESOLVED    error or 0
 *              GYRE_EXITED      exit code       signal     pid
 *              GYRE_POLLED      descriptor      events     token that was given for them
 *              GYRE_READ_INTO   length
 *
 *   buffers    by index, JavaScript's own memory to read into, once: see gyre__on_alloc.
 *
 *   arena      what JavaScript copies small writes into, right before it asks for them to be sent.
 *
 * An id is an index and a generation: [ 0 | generation: 11 bits | index: 20 bits ]. An index is used again, the one that is free for longest
 * first; its id only after 2,048 of its uses: a late event finds nobody.
 *
 *   phase      two words: [ C is calling | JavaScript wants to be called again ]
 *
 *   poll phase:   libuv calls us back, we write records; no JavaScript runs
 *   check phase:  dispatch(count): JavaScript walks the records; Node runs its microtasks as that call returns.
 *                 dispatch(0), as long as JavaScript wants it: a loop's turn; its end, when what was written leaves
 *   prepare:      the same, for what was recorded since: a write that fails says so in a phase of its own
 *
 * No semantics here: water marks, the order of closing and protocols are TypeScript.
 */
#ifndef GYRE_H
#define GYRE_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum gyre_event_kind {
  GYRE_READ = 1,
  GYRE_END,
  GYRE_ERROR,
  GYRE_WRITTEN,
  GYRE_CONNECTED,
  GYRE_ACCEPTED,
  GYRE_MESSAGE,
  GYRE_SENT,
  GYRE_RESOLVED,
  GYRE_EXITED,
  GYRE_POLLED,
  GYRE_READ_INTO,
};

enum {
  /* What this and src/backend/uv/addon.ts must agree on. */
  GYRE_ABI = 3,
  GYRE_EVENT_WORDS = 5,
  /* Of one dispatch; when records or slots are used up in the middle of a poll phase, JavaScript is called at once. */
  GYRE_EVENTS = 4096,
  GYRE_SLAB_SLOTS = 16,
  GYRE_SLAB_BYTES = 256 * 1024,
  /* What libuv asks for, and what a connection gets that fills its buffers. */
  GYRE_BIG_READ = 64 * 1024,
  /* What any other gets: less of a slab is left unused at its end. */
  GYRE_SMALL_READ = 8 * 1024,
  GYRE_ARENA_BYTES = 64 * 1024,
  /* Words of `phase`. */
  GYRE_CALLING = 0,
  GYRE_CALL_AGAIN = 1,
  GYRE_PHASE_WORDS = 2,
  GYRE_ID_INDEX_BITS = 20,
  GYRE_ID_INDEX_MASK = (1 << GYRE_ID_INDEX_BITS) - 1,
  GYRE_ID_GENERATIONS = 1 << 11,
};

typedef struct gyre_env_s gyre_env_t;
typedef struct gyre_handle_s gyre_handle_t;

/* What an id stands for. A function for one kind answers UV_EBADF for the id of another. */
enum gyre_kind {
  GYRE_STREAM = 1,
  GYRE_LISTENER,
  GYRE_DATAGRAM,
  GYRE_CHILD,
  GYRE_POLL,
  GYRE_LOOKUP, /* has no uv handle: a thread works for it */
};

/* What JavaScript has an id of: a uv handle, whose memory follows (its size is only known at run time), or a lookup. */
struct gyre_handle_s {
  gyre_env_t* env;
  int32_t id;
  uint8_t kind; /* enum gyre_kind */
  uint8_t type; /* uv_handle_type; UV_UNKNOWN_HANDLE of a lookup */
  bool closing; /* JavaScript does not know it any more */
  bool big;     /* the last read filled its buffer */
  bool direct;  /* the next one goes into JavaScript's buffer, if that is still there */
  bool into;    /* the one under way does */
  void (*on_free)(gyre_handle_t* handle);
  void* data; /* of its kind: see there */
};

/* Something that libuv was asked for and will answer. The uv request's memory follows. */
typedef struct {
  gyre_env_t* env;
  gyre_handle_t* handle;
  /* A copy of what libuv sends, since JavaScript can give away its own memory at any time. */
  uv_buf_t room;
  /* Of a write that is longer: its data, of which the first `offset` of `size` bytes have been in there, or were sent. */
  napi_ref data;
  size_t offset;
  size_t size;
} gyre_request_t;

/* One for each copy of gyre's JavaScript in each environment: the main thread, each worker. */
struct gyre_env_s {
  napi_env napi;
  uv_loop_t* loop;
  napi_async_cleanup_hook_handle cleanup;
  napi_async_context async_context;
  napi_ref dispatch;
  napi_ref slab_array;
  napi_ref buffer_array;
  napi_ref receiver;
  napi_ref event_buffer;
  napi_ref arena_buffer;
  napi_ref phase_buffer;
  char* arena;
  int32_t* phase;
  uv_check_t* check;     /* NULL: was not made, or is closed */
  uv_prepare_t* prepare;
  int32_t* events;
  uint32_t event_count;
  /* reads */
  char* slab;
  napi_ref slab_buffer; /* its ArrayBuffer, of which JavaScript has views, and which it can give away */
  uint32_t slab_slot;
  uint32_t slab_used;
  uint32_t fresh_slabs; /* since the last dispatch */
  /* where recvmmsg puts its datagrams before they are moved together */
  char* datagram_memory;
  int failed_at; /* which step of the last call failed, where there are several */
  /* ids */
  gyre_handle_t** handles;
  uint16_t* generations;
  uint32_t* free_indices; /* a ring */
  uint32_t free_first;
  uint32_t free_count;
  uint32_t capacity;
  uint32_t open_count;
  /* descriptors of sockets, which no handle closes: a bit for each */
  uint64_t* sockets;
  uint32_t socket_words;
  bool ending;
};

/* memory.c: all memory of ours. In a build for tests an allocation can be made to fail. */
void* gyre__alloc(size_t size); /* zeroed */
void* gyre__realloc(void* memory, size_t size);
#ifdef GYRE_TEST_FAULTS
/* Whether it is this one's turn to fail: for what N-API allocates. */
bool gyre__fault(void);
extern const napi_callback gyre_fail_allocation;
#else
static inline bool gyre__fault(void) {
  return false;
}
#endif

/* addon.c */
/* A handle was freed while the environment ends: with the last one its state goes, too. */
void gyre__end_when_empty(gyre_env_t* env);

/* dispatch.c */
int gyre__dispatch_init(gyre_env_t* env);
/* JavaScript may run in here: whoever calls it must expect every handle to be closed behind it, though none is freed. */
void gyre__event(gyre_env_t* env, int32_t id, enum gyre_event_kind kind, int32_t a, int32_t b, int32_t c);

/* slab.c */
/* At least `wanted` bytes at the end of the slab under way, or of a new one. Sets base to NULL without memory. */
void gyre__slab_reserve(gyre_env_t* env, size_t wanted, uv_buf_t* buf);
uint32_t gyre__slab_commit(gyre_env_t* env, size_t length);
/* The last so many before the one under way: the records that name them have been walked. */
void gyre__slabs_forget(gyre_env_t* env, uint32_t count);

/* handle.c */
/* NULL: no memory, no free id, or the environment ends. */
gyre_handle_t* gyre__handle_new(gyre_env_t* env, enum gyre_kind kind, uv_handle_type type);
gyre_handle_t* gyre__handle_get(gyre_env_t* env, int32_t id);
/* Its descriptor is closed at once, its memory is freed in libuv's next phase of closing. */
void gyre__handle_close(gyre_handle_t* handle);
void gyre__on_close(uv_handle_t* uv);
/* The handle was never initialised by libuv, or is a lookup: no close callback comes. */
void gyre__handle_free(gyre_handle_t* handle);
/* SO_REUSEPORT by hand: only newer libuvs have a flag for it. */
int gyre__reuse_port(gyre_handle_t* handle);
static inline uv_handle_t* gyre__uv(gyre_handle_t* handle) {
  return (uv_handle_t*)((char*)handle + ((sizeof(*handle) + 15) & ~(size_t)15));
}
static inline uv_stream_t* gyre__stream(gyre_handle_t* handle) {
  return (uv_stream_t*)gyre__uv(handle);
}
static inline gyre_handle_t* gyre__of(const void* uv) {
  return (gyre_handle_t*)((uv_handle_t*)uv)->data;
}

/* resolver.c */
/* The thread goes on; its answer is dropped. */
void gyre__lookup_forget(gyre_handle_t* handle);

/* request.c */
/* With `room` bytes, which libuv may use until it answers. */
gyre_request_t* gyre__request_new(gyre_env_t* env, gyre_handle_t* handle, uv_req_type type, size_t room);
void gyre__request_free(gyre_request_t* request);
static inline void* gyre__req(gyre_request_t* request) {
  return (char*)request + ((sizeof(*request) + 15) & ~(size_t)15);
}
static inline gyre_request_t* gyre__request_of(const void* req) {
  return (gyre_request_t*)((uv_req_t*)req)->data;
}

/* args.c */
typedef struct {
  gyre_env_t* env;
  size_t argc;
  napi_value argv[8];
  bool failed; /* one of them is not what it should be, or there was no memory for it */
  bool no_memory;
} gyre_args_t;
gyre_args_t gyre__args(napi_env env, napi_callback_info info);
/* -1, which is no id and no descriptor, for what is no 32-bit integer: N-API would make another number of it. */
int32_t gyre__arg_int(gyre_args_t* args, size_t index);
uint32_t gyre__arg_uint(gyre_args_t* args, size_t index);
bool gyre__arg_bool(gyre_args_t* args, size_t index);
/* The handle of an id; NULL when it is gone or of another kind. */
gyre_handle_t* gyre__arg_handle(gyre_args_t* args, size_t index, enum gyre_kind kind);
/* Of any kind that has a uv handle. */
gyre_handle_t* gyre__arg_uv(gyre_args_t* args, size_t index);
/* Of a Uint8Array (so, of a Buffer). Nothing of JavaScript may run before they are used. */
uv_buf_t gyre__arg_bytes(gyre_args_t* args, size_t index);
bool gyre__bytes(napi_env napi, napi_value value, uv_buf_t* bytes);
/* NULL for null and undefined; else to be freed. Text with a NUL in it fails: the system would see half of it. */
char* gyre__arg_string(gyre_args_t* args, size_t index);
static inline int gyre__arg_error(const gyre_args_t* args) {
  if (!args->failed) return 0;
  return args->no_memory ? UV_ENOMEM : UV_EINVAL;
}
napi_value gyre__int(gyre_args_t* args, int64_t value);
napi_value gyre__string(gyre_args_t* args, const char* text, size_t length);

/* address.c */
/* UV_EINVAL for what is no literal, no port. */
int gyre__parse_address(const char* host, int port, uint32_t scope, struct sockaddr_storage* out);
/* Of a unix socket: the path, which may begin with NUL and then has no file. UV_ENAMETOOLONG, UV_EINVAL. */
int gyre__arg_unix_address(gyre_args_t* args, size_t index, struct sockaddr_storage* out, unsigned int* length);
napi_value gyre__format_address(gyre_args_t* args, const struct sockaddr* address, size_t length);

/* Each file's functions for JavaScript. */
typedef struct {
  const char* name;
  napi_callback call;
} gyre_export_t;
extern const gyre_export_t gyre_stream_exports[];
extern const gyre_export_t gyre_connect_exports[];
extern const gyre_export_t gyre_listener_exports[];
extern const gyre_export_t gyre_handle_exports[];
extern const gyre_export_t gyre_datagram_exports[];
extern const gyre_export_t gyre_resolver_exports[];
extern const gyre_export_t gyre_process_exports[];
extern const gyre_export_t gyre_poll_exports[];
extern const gyre_export_t gyre_pipe_exports[];
extern const gyre_export_t gyre_socket_exports[];

/* socket.c */
/* Closes what JavaScript has left open: with a worker's end nobody else would. */
void gyre__sockets_end(gyre_env_t* env);
/* It is closed, or somebody else's to close. Whether it was JavaScript's. */
bool gyre__disown(gyre_env_t* env, int fd);

/* stream.c */
/* A stream without a descriptor; or only libuv's part of it. 0, or an error and nothing is left. */
int gyre__stream_new(gyre_env_t* env, uv_handle_type type, gyre_handle_t** result);
int gyre__stream_init(gyre_handle_t* handle);
/* Takes a descriptor over: an id, or an error, and then it is still the caller's. UV_EINVAL for what is neither a socket for streams nor a
 * pipe: epoll takes no file. */
int gyre__stream_open(gyre_env_t* env, int fd);

#endif
