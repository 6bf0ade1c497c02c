/*
 * gyre: raw handles on Node's own uv loop, batched both ways.
 *
 * libuv watches one descriptor of ours: an epoll set, in which all others are. Reading, writing, accepting
 * and sending are the system's own calls. libuv's own streams take read() and write(), where recv() and
 * send() are a tenth cheaper on unix sockets, ask for datagrams once more than there are, and copy what
 * waits.
 *
 * Shared memory, drawn once. C writes, JavaScript reads, in one call a poll phase:
 *
 *   slabs      read buffers. A slab is filled from its beginning and never written twice: what JavaScript gets is a view of it, and
 *              belongs to the receiver. Short data is in slabs of smaller kinds, see slab.c.
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
 *                               of an IPv4 peer:  address  port
 *              GYRE_MESSAGE     slab slot       offset     length; where from stands in front of the data
 *              GYRE_SENT        error or 0
 *              GYRE_RESOLVED    error or 0
 *              GYRE_EXITED      exit code       signal     pid
 *              GYRE_POLLED      descriptor      events     token that was given for them
 *              GYRE_READ_INTO   length
 *
 *   buffers    by index, JavaScript's own memory to read into, once: see stream.c.
 *
 *   arena      what JavaScript copies small writes into, right before it asks for them to be sent.
 *
 *   outbox     datagrams that JavaScript gathers until the end of a turn, and has sent in one call; behind it, why one was not:
 *
 *              [ id | length | has an address | error or 0 | address | data | up to a multiple of 8 ] [ id | ...
 *
 * An id is an index and a generation: [ 0 | generation: 11 bits | index: 20 bits ]. An index is used again, the one that is free for longest
 * first; its id only after 2,048 of its uses: a late event finds nobody.
 *
 *   poll phase:   the set is walked, and records are written; no JavaScript runs
 *   check phase:  dispatch(count): JavaScript walks the records, and runs the turns that they ask for
 *
 * No semantics here: water marks, the order of closing and protocols are TypeScript.
 */
#ifndef GYRE_H
#define GYRE_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
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
  GYRE_ABI = 6,
  GYRE_EVENT_WORDS = 5,
  /*
   * Of one dispatch. Where records or slots run short, the other ready handles wait for the next poll phase,
   * which begins with them.
   */
  GYRE_EVENTS = 4096,
  GYRE_SLAB_KINDS = 4,
  GYRE_LARGE = GYRE_SLAB_KINDS - 1,
  /* Slots of each kind: more than all records of a dispatch need. */
  GYRE_SLAB_SLOTS = 256,
  /* The most large slabs of one dispatch. */
  GYRE_LARGE_SLABS = 24,
  GYRE_SLAB_BYTES = 256 * 1024,
  /* In front of each datagram in a slab: where it came from. */
  GYRE_ADDRESS_BYTES = 32,
  /* The most that a handle uses of them in its turn, which only begins where there is room for all of it. */
  GYRE_TURN_EVENTS = 384,
  GYRE_TURN_SLABS = 8,
  /* What a connection gets that fills its buffers. */
  GYRE_BIG_READ = 64 * 1024,
  /* What any other gets: less of a slab is left unused at its end. */
  GYRE_SMALL_READ = 8 * 1024,
  /* In a turn, of a stream that fills its buffers: the fewest fill a slab. */
  GYRE_MOST_READS = 16,
  GYRE_FEWEST_READS = GYRE_SLAB_BYTES / GYRE_BIG_READ,
  GYRE_ARENA_BYTES = 64 * 1024,
  GYRE_OUTBOX_BYTES = 64 * 1024,
  GYRE_ID_INDEX_BITS = 20,
  GYRE_ID_INDEX_MASK = (1 << GYRE_ID_INDEX_BITS) - 1,
  GYRE_ID_GENERATIONS = 1 << 11,
};

typedef struct gyre_env_s gyre_env_t;
typedef struct gyre_handle_s gyre_handle_t;
typedef struct gyre_ready_s gyre_ready_t;

/* What an id stands for. A function for one kind answers UV_EBADF for the id of another. */
enum gyre_kind {
  GYRE_STREAM = 1,
  GYRE_LISTENER,
  GYRE_DATAGRAM,
  GYRE_CHILD,
  GYRE_POLL,
  GYRE_LOOKUP, /* has no uv handle: a thread works for it */
};

/* What JavaScript has an id of. Each kind's own begins with it. */
struct gyre_handle_s {
  gyre_env_t* env;
  int32_t id;
  int fd;           /* -1: a lookup has none, a thread works for it */
  uint32_t watched; /* events of the set's for it; none: it is not in there */
  uint8_t kind;     /* enum gyre_kind */
  bool closing;     /* a lookup whose answer nobody wants any more */
  void (*on_ready)(gyre_handle_t* handle, uint32_t events);
  /* Of what else it has, which it lets go. */
  void (*on_close)(gyre_handle_t* handle);
};

enum gyre_stream_type { GYRE_TCP, GYRE_UNIX, GYRE_FILE /* a pipe, a FIFO, a terminal, a device */ };

typedef struct {
  gyre_handle_t handle;
  uint8_t type; /* enum gyre_stream_type */
  bool reading;
  bool big;    /* the last read filled its buffer */
  bool direct; /* the next one goes into JavaScript's buffer, if that is still there */
  /*
   * What the kernel has not taken yet, from `offset` on: JavaScript's memory, which it can give away
   * meanwhile. NULL: nothing waits.
   */
  napi_ref data;
  size_t offset;
  size_t size;
  ino_t inode;       /* of a pipe: what it was opened with */
  bool lacks_nowait; /* of a file: RWF_NOWAIT was refused */
  bool growable;     /* a child's pipe that was never full */
} gyre_stream_t;

/* The slab of a kind that is being filled. */
typedef struct {
  char* memory;
  napi_ref buffer; /* its ArrayBuffer, of which JavaScript has views, and which it can give away */
  uint32_t slot;   /* among those of its kind */
  uint32_t used;
  uint32_t fresh; /* slabs of the kind since the last dispatch */
  bool is_ours;   /* nobody can have given it away since that was asked */
} gyre_slab_t;

/* Where data begins, as a record says it. */
typedef struct {
  int32_t slot;
  int32_t offset;
} gyre_place_t;

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
  napi_ref outbox_buffer;
  char* arena;
  char* outbox;
  uv_check_t* check;
  uv_poll_t* poll; /* of the set */
  int set;
  gyre_ready_t* ready; /* handles of the set that wait for their turn */
  int reads_a_turn;
  int spare_fd; /* lent for a moment where there are no others, to turn a client away; -1: it is lost */
  int32_t* events;
  uint32_t event_count;
  /* reads */
  gyre_slab_t slabs[GYRE_SLAB_KINDS];
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
/* Whether there is room for a handle's turn. */
bool gyre__has_room(const gyre_env_t* env);
/* Where there is no room, JavaScript runs in here, and may close every handle. */
void gyre__event(gyre_env_t* env, int32_t id, enum gyre_event_kind kind, int32_t a, int32_t b, int32_t c);

/* set.c */
int gyre__set_init(gyre_env_t* env);
void gyre__set_free(gyre_env_t* env);
/*
 * From now on handle->on_ready is called for these events, and for errors and hang-ups, as long as they last;
 * none: for nothing. 0, or an error: UV_EPERM for what cannot be polled.
 */
int gyre__watch(gyre_handle_t* handle, uint32_t events);
/* Whether a handle of ours or of Node's has the descriptor. */
bool gyre__is_taken(gyre_env_t* env, int fd);

/* slab.c */
/*
 * At least `wanted` bytes at the end of the large slab under way, or of a new one. Sets base to NULL without
 * memory.
 */
void gyre__slab_reserve(gyre_env_t* env, size_t wanted, uv_buf_t* buf);
/* Keeps the first `length` bytes of the reserved space. Answers where they are. */
gyre_place_t gyre__slab_commit(gyre_env_t* env, size_t length);
/* Has the next commit ask whether a slab was given away: JavaScript has run. */
void gyre__slabs_ask_again(gyre_env_t* env);
/* Lets go of all slabs but those under way: the records that name them have been walked. */
void gyre__slabs_forget(gyre_env_t* env);

/* handle.c */
/* Of `size` bytes, zeroed. NULL: no memory, no free id, or the environment ends. */
void* gyre__handle_new(gyre_env_t* env, enum gyre_kind kind, size_t size);
gyre_handle_t* gyre__handle_get(gyre_env_t* env, int32_t id);
/* With its descriptor, if it has one. It is gone when this returns. */
void gyre__handle_close(gyre_handle_t* handle);
/* Leaves its descriptor to the caller. */
void gyre__handle_free(gyre_handle_t* handle);

/* resolver.c */
/* The thread goes on; its answer is dropped. */
void gyre__lookup_forget(gyre_handle_t* handle);

/* args.c */
typedef struct {
  gyre_env_t* env;
  size_t argc;
  napi_value argv[8];
  bool failed; /* one of them is not what it should be, or there was no memory for it */
  bool no_memory;
} gyre_args_t;
gyre_args_t gyre__args(napi_env env, napi_callback_info info);
/*
 * -1, which is no id and no descriptor, for what is no 32-bit integer: N-API would make another number of it.
 */
int32_t gyre__arg_int(gyre_args_t* args, size_t index);
uint32_t gyre__arg_uint(gyre_args_t* args, size_t index);
/* An offset into memory, which may be more than 32 bits. */
size_t gyre__arg_size(gyre_args_t* args, size_t index);
bool gyre__arg_bool(gyre_args_t* args, size_t index);
/* The handle of an id; NULL when it is gone or of another kind. */
gyre_handle_t* gyre__arg_handle(gyre_args_t* args, size_t index, enum gyre_kind kind);
/* Of any kind that has a descriptor. */
gyre_handle_t* gyre__arg_open(gyre_args_t* args, size_t index);
/* Of a Uint8Array (so, of a Buffer). Nothing of JavaScript may run before they are used. */
uv_buf_t gyre__arg_bytes(gyre_args_t* args, size_t index);
bool gyre__bytes(napi_env napi, napi_value value, uv_buf_t* bytes);
/*
 * Of a string or bytes. NULL for null and undefined; else to be freed. A NUL in it fails: the system would
 * see half of it.
 */
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
/* Of what is parsed: IPv4 or IPv6. */
unsigned int gyre__address_length(const struct sockaddr_storage* address);
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
extern const gyre_export_t gyre_set_exports[];
extern const gyre_export_t gyre_pipe_exports[];
extern const gyre_export_t gyre_socket_exports[];

/* pipe.c */
/*
 * A pipe, FIFO or terminal that does not block, opened anew and blocking, for a program that expects that;
 * the caller closes it. -1: it blocks already, or cannot be opened anew.
 */
int gyre__blocking_copy(int fd);

/* socket.c */
/* Closes what JavaScript has left open: with a worker's end nobody else would. */
void gyre__sockets_end(gyre_env_t* env);
/* It is closed, or somebody else's to close. Whether it was JavaScript's. */
bool gyre__disown(gyre_env_t* env, int fd);

/* descriptor.c */
/* These two: 0, or an error. */
int gyre__set(int fd, int level, int option, int value);
/* Sets O_NONBLOCK where it is missing. */
int gyre__never_block(int fd);
/* A connected TCP socket ends by RST as soon as it is closed. */
void gyre__reset_at_close(int fd);
/*
 * Gives the spare descriptor up, so that one is free; false: it is lost. Other threads may be quicker to take
 * it.
 */
bool gyre__spare_lend(gyre_env_t* env);
/* Opens the spare descriptor, if it is not open and one is free. */
void gyre__spare_regain(gyre_env_t* env);

/* file.c */
/* These two: how many bytes, or -1 and errno. They never wait. */
ssize_t gyre__file_read(gyre_stream_t* stream, const uv_buf_t* buf);
ssize_t gyre__file_write(gyre_stream_t* stream, const struct iovec* parts, int count);

/* stream.c */
/*
 * Of a descriptor that does not block, which is closed with it. NULL without memory, and then it is still the
 * caller's.
 */
gyre_stream_t* gyre__stream_new(gyre_env_t* env, int fd, enum gyre_stream_type type);
/* on_ready of one that is connected. */
void gyre__on_stream(gyre_handle_t* handle, uint32_t events);
/*
 * Its id, or an error, and then the descriptor is still the caller's. UV_EINVAL for what is neither a socket
 * for streams nor a pipe.
 */
int gyre__stream_open(gyre_env_t* env, int fd);

#endif
