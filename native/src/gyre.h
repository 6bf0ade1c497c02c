/*
 * gyre: raw handles on Node's own libuv loop. All events of a poll phase reach JavaScript in one call.
 *
 * libuv watches a single descriptor of this addon: the poller, an epoll instance. All other descriptors are
 * in the poller's interest list. The addon reads, writes, accepts and sends with its own system calls,
 * because libuv's streams
 * - call read() and write(): recv() and send() are a tenth cheaper on unix sockets;
 * - try to receive one more datagram after the last one;
 * - copy the buffer list of a write that must wait.
 *
 * One iteration of the libuv loop:
 *
 *   poll phase     The poller gives each ready handle a turn. A turn is one call of the handle's on_ready,
 *                  which makes system calls and writes records. No JavaScript runs.
 *   check phase    dispatch(count) in JavaScript walks the records and calls their receivers. Then it runs
 *                  the turns of the loops that are ready.
 *
 * Shared memory:
 *
 *   events     One Int32Array. C writes the records in the order of the events. JavaScript reads them.
 *
 *              [ id | kind | a | b | c ] [ id | kind | a | b | c ] ...
 *
 *              kind             a                    b             c
 *              GYRE_READ        slab slot            offset        length
 *              GYRE_END
 *              GYRE_ERROR       error
 *              GYRE_WRITTEN     error or 0
 *              GYRE_CONNECTED   error or 0
 *              GYRE_ACCEPTED    new id, or error     IPv4 address  port       b and c are 0 for other peers
 *              GYRE_MESSAGE     slab slot            offset        length     offset is that of the sender's
 *                                                                             address; the data follows it
 *              GYRE_SENT        error or 0
 *              GYRE_RESOLVED    error or 0
 *              GYRE_EXITED      exit code            signal        pid
 *              GYRE_POLLED      descriptor           events        token that pollWant() was given
 *              GYRE_READ_INTO   length
 *              GYRE_DECRYPTED   slab slot            offset        length     plaintext: see tls.h
 *              GYRE_TLS_STEP    bits                                          any other event of TLS
 *
 *   slabs      Memory that C reads into, and fills from its beginning. JavaScript finds a slab by its slot.
 *
 *              slab in slot 3:  [ read 1 | read 2 | read 3 |        free        ]
 *                                          ▲ offset, length
 *
 *              Small data is moved to a slab of a smaller kind: see slab.c.
 *
 *   buffers    JavaScript's own buffers to read into, by the index of the handle. Each serves for one read:
 *              see gyre__direct_buffer() in stream.c.
 *
 *   arena      Scratch memory for a single call. JavaScript copies small chunks here, right before it calls
 *              tryWriteArena(), and takes the data of socketRecv() from here.
 *
 *   outbox     JavaScript copies the datagrams of a turn here. One call of sendAll() sends them, and writes
 *              the error of each datagram that failed.
 *
 *              [ id | length | has an address | error or 0 | address | data | padding to 8 bytes ] [ id | ...
 *
 * Ownership of memory:
 * - C writes no byte of a slab twice. A read gives JavaScript a view of the slab, and the receiver owns the
 *   view. A view keeps the whole slab alive.
 * - The array of slabs holds a slab only while C fills it, or while a record names it. Afterwards only views
 *   keep it alive.
 * - The receiver of a view can transfer the slab's whole ArrayBuffer. So C checks that the slab is still
 *   attached before it writes there.
 * - C owns the records until dispatch() begins. JavaScript owns them until dispatch() returns.
 * - JavaScript owns the arena and the outbox. C uses them only within a call that names them.
 * - A write that must wait holds a reference to its chunk, and looks up the chunk's memory before each send.
 *
 * Ownership of descriptors:
 * - A handle owns its descriptor, and closes it when the handle is closed.
 * - A function that takes a descriptor over owns it once it succeeds. If it fails, the caller still owns it.
 * - JavaScript owns the descriptors that socket.c opens. The addon closes those that are still open when the
 *   environment ends.
 *
 * An id is an index and a generation: [ 0 | generation: 11 bits | index: 20 bits ]. The index that has been
 * free for longest is used again first, with the next generation. So an id returns only after 2,048 uses of
 * its index, and a late event finds no handle.
 *
 * The addon knows no water marks, no close order and no protocols. These are in TypeScript.
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
  GYRE_DECRYPTED,
  GYRE_TLS_STEP,
};

enum {
  /* The version of this interface. src/backend/uv/addon.ts has the same number. */
  GYRE_ABI = 7,
  GYRE_EVENT_WORDS = 5,
  /*
   * Records of one dispatch. If records or slots run short, the remaining ready handles keep their turn for
   * the next poll phase.
   */
  GYRE_EVENTS = 4096,
  GYRE_SLAB_KINDS = 4,
  GYRE_LARGE = GYRE_SLAB_KINDS - 1,
  /* Slots of each kind: more than the records of one dispatch can name. */
  GYRE_SLAB_SLOTS = 256,
  /* The most large slabs of one dispatch. */
  GYRE_LARGE_SLABS = 24,
  GYRE_SLAB_BYTES = 256 * 1024,
  /* Bytes before each datagram in a slab: the sender's address. */
  GYRE_ADDRESS_BYTES = 32,
  /* The most records and slabs that one turn uses. A turn begins only if that many are free. */
  GYRE_TURN_EVENTS = 384,
  GYRE_TURN_SLABS = 8,
  /* Bytes of a read, if the previous read of the stream filled its buffer. */
  GYRE_BIG_READ = 64 * 1024,
  /* Bytes of any other read. A smaller read wastes less at the end of a slab. */
  GYRE_SMALL_READ = 8 * 1024,
  /* Reads in one turn of a stream whose reads fill their buffers. The smallest number fills one slab. */
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

/* The kind of a handle. A function for one kind returns UV_EBADF for an id of another kind. */
enum gyre_kind {
  GYRE_STREAM = 1,
  GYRE_LISTENER,
  GYRE_DATAGRAM,
  GYRE_CHILD,
  GYRE_POLL,
  GYRE_LOOKUP, /* a thread of libuv's pool works for it */
  GYRE_TLS,    /* a session, which has no descriptor */
};

/* The base of every handle: the structure of each kind begins with it. */
struct gyre_handle_s {
  gyre_env_t* env;
  int32_t id;
  int fd;           /* -1: none, as for a lookup */
  uint32_t watched; /* events in the poller's interest list; 0: not in the list */
  uint8_t kind;     /* enum gyre_kind */
  bool closing;     /* a lookup that was cancelled: its answer is dropped */
  void (*on_ready)(gyre_handle_t* handle, uint32_t events);
  /* Releases the resources that this kind of handle owns, except the descriptor. May be NULL. */
  void (*on_close)(gyre_handle_t* handle);
};

enum gyre_stream_type { GYRE_TCP, GYRE_UNIX, GYRE_FILE /* a pipe, a FIFO, a terminal, a device */ };

typedef struct {
  gyre_handle_t handle;
  uint8_t type; /* enum gyre_stream_type */
  bool reading;
  bool big;    /* the last read filled its buffer */
  bool direct; /* the next read goes into JavaScript's buffer, if that is still there */
  /*
   * The chunk that the kernel has not taken completely: a reference to JavaScript's Uint8Array, whose memory
   * can be transferred meanwhile. Bytes from `offset` to `size` are left. NULL: no write is pending.
   */
  napi_ref data;
  size_t offset;
  size_t size;
  ino_t inode;       /* of a pipe: identifies the file that it was opened with */
  bool lacks_nowait; /* of GYRE_FILE: the kernel refused RWF_NOWAIT */
  bool growable;     /* a child's pipe that was not full yet */
  int32_t tls;       /* the session that decrypts what is read; -1: none */
} gyre_stream_t;

/* The slab that is being filled, one for each kind. */
typedef struct {
  char* memory;
  napi_ref buffer; /* its ArrayBuffer, which a receiver of a view can transfer */
  uint32_t slot;   /* among the slots of its kind */
  uint32_t used;
  uint32_t fresh;   /* slabs of this kind since the last dispatch */
  bool is_attached; /* was attached at the last check, and no JavaScript has run since */
} gyre_slab_t;

/* Where data begins in the slabs, as a record says it. */
typedef struct {
  int32_t slot;
  int32_t offset;
} gyre_place_t;

/* The state for one copy of gyre's JavaScript in one environment (the main thread or a worker). */
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
  uv_poll_t* poll; /* watches epoll_fd */
  int epoll_fd;
  gyre_ready_t* ready; /* ready handles that wait for their turn */
  int reads_a_turn;
  int spare_fd; /* closed for a moment when no descriptor is free, to accept and reset clients; -1: closed */
  int32_t* events;
  uint32_t event_count;
  /* reading */
  gyre_slab_t slabs[GYRE_SLAB_KINDS];
  /* recvmmsg() receives here; then the datagrams are moved to a slab */
  char* datagram_memory;
  int failed_at; /* the step at which the last call failed, for calls with several steps */
  /* ids */
  gyre_handle_t** handles;
  uint16_t* generations;
  uint32_t* free_indices; /* a ring buffer */
  uint32_t free_first;
  uint32_t free_count;
  uint32_t capacity;
  uint32_t open_count;
  struct gyre_tls_env_s* tls; /* NULL until TLS is used */
  /* Descriptors that JavaScript owns, which belong to no handle: one bit for each descriptor. */
  uint64_t* sockets;
  uint32_t socket_words;
  bool ending;
};

/* memory.c: every allocation of the addon. A test build can make a chosen allocation fail. */
void* gyre__alloc(size_t size); /* zeroed */
void* gyre__realloc(void* memory, size_t size);
#ifdef GYRE_TEST_FAULTS
/* Whether the current allocation must fail. Stands before allocations that N-API makes. */
bool gyre__fault(void);
extern const napi_callback gyre_fail_allocation;
#else
static inline bool gyre__fault(void) {
  return false;
}
#endif

/* addon.c */
/* Begins to free the state if the environment ends and no handle is left. */
void gyre__end_when_empty(gyre_env_t* env);

/* dispatch.c */
int gyre__dispatch_init(gyre_env_t* env);
/* Whether one turn fits into the free records and slabs. */
bool gyre__has_room(const gyre_env_t* env);
/* Writes a record. If the records are full, it calls JavaScript first, which may close any handle. */
void gyre__event(gyre_env_t* env, int32_t id, enum gyre_event_kind kind, int32_t a, int32_t b, int32_t c);

/* poller.c */
int gyre__poller_init(gyre_env_t* env);
void gyre__poller_free(gyre_env_t* env);
/*
 * Has handle->on_ready called while one of these events lasts (level-triggered); errors and hang-ups are
 * always reported. 0 events: leaves the poller. Returns 0 or an error. UV_EPERM: the kernel cannot poll this
 * kind of file.
 */
int gyre__watch(gyre_handle_t* handle, uint32_t events);
/* Whether a handle of this addon or of Node owns the descriptor. */
bool gyre__is_taken(gyre_env_t* env, int fd);

/* slab.c */
/*
 * Reserves at least `wanted` bytes of the large slab that is being filled, or of a new one. Sets base to NULL
 * if there is no memory.
 */
void gyre__slab_reserve(gyre_env_t* env, size_t wanted, uv_buf_t* buf);
/* Keeps the first `length` reserved bytes, and returns where they are. */
gyre_place_t gyre__slab_commit(gyre_env_t* env, size_t length);
/*
 * Makes the next commit check whether each slab is still attached. Call this after JavaScript may have run.
 */
void gyre__slabs_recheck(gyre_env_t* env);
/* Releases all slabs except those that are being filled. Call this when no record names them any more. */
void gyre__slabs_release(gyre_env_t* env);

/* handle.c */
/* Allocates `size` zeroed bytes. NULL: no memory, no free id, or the environment ends. */
void* gyre__handle_new(gyre_env_t* env, enum gyre_kind kind, size_t size);
gyre_handle_t* gyre__handle_get(gyre_env_t* env, int32_t id);
/* Closes the handle and its descriptor, and frees the handle. */
void gyre__handle_close(gyre_handle_t* handle);
/* Frees the handle. The caller owns its descriptor from now on. */
void gyre__handle_free(gyre_handle_t* handle);

/* resolver.c */
/* Cancels the lookup if no thread has begun it; otherwise drops the answer when it comes. */
void gyre__lookup_forget(gyre_handle_t* handle);

/* args.c */
typedef struct {
  gyre_env_t* env;
  size_t argc;
  napi_value argv[8];
  bool failed; /* an argument has a wrong type or value, or there was no memory for it */
  bool no_memory;
} gyre_args_t;
gyre_args_t gyre__args(napi_env env, napi_callback_info info);
/*
 * Returns -1, which is neither an id nor a descriptor, if the value is not a 32-bit integer. N-API itself
 * would convert it to some other number.
 */
int32_t gyre__arg_int(gyre_args_t* args, size_t index);
uint32_t gyre__arg_uint(gyre_args_t* args, size_t index);
/* An offset into memory. It may have more than 32 bits. */
size_t gyre__arg_size(gyre_args_t* args, size_t index);
bool gyre__arg_bool(gyre_args_t* args, size_t index);
/* Returns the handle of an id, or NULL if it is closed or of another kind. */
gyre_handle_t* gyre__arg_handle(gyre_args_t* args, size_t index, enum gyre_kind kind);
/* The same for every kind that has a descriptor. */
gyre_handle_t* gyre__arg_open(gyre_args_t* args, size_t index);
/* The bytes of a Uint8Array (a Buffer is one). Use them before any JavaScript runs. */
uv_buf_t gyre__arg_bytes(gyre_args_t* args, size_t index);
bool gyre__bytes(napi_env napi, napi_value value, uv_buf_t* bytes);
/*
 * Copies a string or bytes; the caller frees the copy. NULL for null and undefined. A NUL inside is an error,
 * because the system would read only the part before it.
 */
char* gyre__arg_string(gyre_args_t* args, size_t index);
static inline int gyre__arg_error(const gyre_args_t* args) {
  if (!args->failed) return 0;
  return args->no_memory ? UV_ENOMEM : UV_EINVAL;
}
napi_value gyre__int(gyre_args_t* args, int64_t value);
napi_value gyre__string(gyre_args_t* args, const char* text, size_t length);

/* address.c */
/* Returns UV_EINVAL if the host is not a literal address, or the port is out of range. */
int gyre__parse_address(const char* host, int port, uint32_t scope, struct sockaddr_storage* out);
/*
 * Fills in the address of a unix socket from a path. A path that begins with NUL is a name of the abstract
 * namespace, which has no file. Returns UV_ENAMETOOLONG, UV_EINVAL or 0.
 */
int gyre__arg_unix_address(gyre_args_t* args, size_t index, struct sockaddr_storage* out, unsigned int* length);
/* The length of an IPv4 or IPv6 address. */
unsigned int gyre__address_length(const struct sockaddr_storage* address);
napi_value gyre__format_address(gyre_args_t* args, const struct sockaddr* address, size_t length);

/* The functions that each file exports to JavaScript. */
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
extern const gyre_export_t gyre_poller_exports[];
extern const gyre_export_t gyre_pipe_exports[];
extern const gyre_export_t gyre_socket_exports[];
extern const gyre_export_t gyre_tls_exports[];
extern const gyre_export_t gyre_tls_fused_exports[];
extern const gyre_export_t gyre_tls_renegotiation_exports[];
extern const gyre_export_t gyre_tls_context_exports[];
extern const gyre_export_t gyre_tls_certificates_exports[];
extern const gyre_export_t gyre_tls_info_exports[];

/* pipe.c */
/*
 * Opens a non-blocking pipe, FIFO or terminal again, in blocking mode, for a program that expects it. The
 * caller closes the result. Returns -1 if the descriptor blocks already, or if it cannot be opened again.
 */
int gyre__blocking_copy(int fd);

/* socket.c */
/* Closes all descriptors that JavaScript still owns. At the end of a worker, nothing else closes them. */
void gyre__sockets_end(gyre_env_t* env);
/*
 * JavaScript no longer owns the descriptor: it is closed, or has another owner. Returns whether JavaScript
 * owned it.
 */
bool gyre__disown(gyre_env_t* env, int fd);

/* descriptor.c */
/* These two return 0 or an error. */
int gyre__set(int fd, int level, int option, int value);
/* Sets O_NONBLOCK if it is not set. */
int gyre__never_block(int fd);
/* Makes close() of a connected TCP socket send a reset (RST). */
void gyre__reset_at_close(int fd);
/*
 * Closes the spare descriptor, so that one is free; another thread may take it first. Returns false if the
 * spare is not open.
 */
bool gyre__spare_lend(gyre_env_t* env);
/* Opens the spare descriptor if it is not open. This fails if no descriptor is free. */
void gyre__spare_regain(gyre_env_t* env);

/* file.c */
/* These two return the number of bytes, or -1 with errno. They never block. */
ssize_t gyre__file_read(gyre_stream_t* stream, const uv_buf_t* buf);
ssize_t gyre__file_write(gyre_stream_t* stream, const struct iovec* parts, int count);

/* stream.c */
/* Takes a non-blocking descriptor over. Returns NULL if there is no memory; then the caller still owns it. */
gyre_stream_t* gyre__stream_new(gyre_env_t* env, int fd, enum gyre_stream_type type);
/* The on_ready of a connected stream. */
void gyre__on_stream(gyre_handle_t* handle, uint32_t events);
/*
 * Takes a descriptor over. Returns its id, or an error; then the caller still owns it. UV_EINVAL: it is
 * neither a stream socket nor a pipe.
 */
int gyre__stream_open(gyre_env_t* env, int fd);

/* tls.c */
void gyre__tls_env_free(gyre_env_t* env);

/* tls-fused.c */
/* Provides the memory for ciphertext. Returns false if no session decrypts what the stream reads. */
bool gyre__tls_receive_into(gyre_stream_t* stream, uv_buf_t* buf);
/* Decrypts `count` bytes of that memory, and writes the records. Returns 0, or UV_ENOBUFS. */
int gyre__tls_received(gyre_stream_t* stream, size_t count);

#endif
