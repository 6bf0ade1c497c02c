/*
 * The poller: one epoll instance for all descriptors of the addon. libuv watches it as a single descriptor.
 * It is level-triggered, so the kernel reports unread data again.
 *
 * Handles take turns. The kernel lists the ready handles in the same order each time, and a few busy
 * connections fill the records of a poll phase. If every walk began at the head of that list, it would never
 * reach the end. So the list is a queue: a handle for which there is no room keeps its position, and the next
 * poll phase begins with it. The poller asks the kernel again when the queue is empty. By then the kernel has
 * moved every handle of the queue to the end of its own list. So a handle has its turn after at most N - 1
 * others, if N are ready.
 *
 * One exception: a stream that was the only ready handle several times is expected to be ready again, and is
 * read without asking the kernel. Other handles wait for at most GYRE_MOST_GUESSES more phases.
 *
 * A handle leaves the interest list late: not at readStop(), but when the next event comes that it does not
 * want. So a stream that stops reading and soon continues costs no system call.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gyre.h"

enum {
  GYRE_MOST_READY = 1024,
  /* Reads of GYRE_BIG_READ bytes in one poll phase, in all turns together. */
  GYRE_READS_A_PHASE = (GYRE_LARGE_SLABS - GYRE_TURN_SLABS) * (GYRE_SLAB_BYTES / GYRE_BIG_READ),
  /* After so many answers in a row that name the same single handle, the poller may expect it again. */
  GYRE_SURE = 4,
  /* Poll phases in a row that do not ask the kernel. Other handles wait at most that long. */
  GYRE_MOST_GUESSES = 4,
};

/* The queue of ready handles. */
struct gyre_ready_s {
  int first;
  int count;
  uint32_t single; /* the id of the handle that alone was ready in the last answers */
  int answers;     /* of the kernel in a row that named only this handle */
  int guesses;     /* phases since the last answer */
  struct epoll_event events[GYRE_MOST_READY];
};

/* Since epoll_wait() the handle may have been closed, or may have stopped to wait for the event. */
static void gyre__give_turn(gyre_env_t* env, const struct epoll_event* event) {
  gyre_handle_t* handle = gyre__handle_get(env, (int32_t)event->data.u32);
  if (handle == NULL || handle->watched == 0) return;
  uint32_t events = event->events & (handle->watched | EPOLLERR | EPOLLHUP);
  if (events != 0) handle->on_ready(handle, events);
}

/* Returns true if the queue is empty, false if there is no room for another turn. */
static bool gyre__give_turns(gyre_env_t* env) {
  gyre_ready_t* ready = env->ready;
  while (ready->first < ready->count && gyre__has_room(env)) gyre__give_turn(env, &ready->events[ready->first++]);
  return ready->first == ready->count;
}

/*
 * If many handles are ready, each reads less in its turn. So a short message need not wait for a megabyte of
 * every bulk sender.
 */
static int gyre__reads_a_turn(int ready) {
  int share = GYRE_READS_A_PHASE / (ready > 0 ? ready : 1);
  return share > GYRE_MOST_READS ? GYRE_MOST_READS : share < GYRE_FEWEST_READS ? GYRE_FEWEST_READS : share;
}

/*
 * A single connection with messages back and forth: gives it its turn without asking the kernel which handle
 * is ready. Only for a stream that waits for data, and whose last read did not fill its buffer. Returns false
 * if it had nothing to read.
 */
static bool gyre__guess(gyre_env_t* env) {
  gyre_ready_t* ready = env->ready;
  if (ready->answers < GYRE_SURE || ready->guesses == GYRE_MOST_GUESSES) return false;
  gyre_handle_t* handle = gyre__handle_get(env, (int32_t)ready->single);
  bool fits = handle != NULL && handle->kind == GYRE_STREAM && handle->watched == EPOLLIN &&
              !((gyre_stream_t*)handle)->big && gyre__has_room(env);
  uint32_t before = env->event_count;
  if (fits) handle->on_ready(handle, EPOLLIN);
  ready->guesses++;
  if (env->event_count != before) return true;
  ready->answers = 0;
  return false;
}

static int gyre__ask_kernel(gyre_env_t* env) {
  gyre_ready_t* ready = env->ready;
  int count = epoll_wait(env->epoll_fd, ready->events, GYRE_MOST_READY, 0);
  ready->guesses = 0;
  bool again = count == 1 && ready->events[0].data.u32 == ready->single;
  ready->answers = again && ready->answers < GYRE_SURE ? ready->answers + 1 : again ? GYRE_SURE : 0;
  if (count == 1) ready->single = ready->events[0].data.u32;
  return count < 0 ? 0 : count;
}

static void gyre__on_poller(uv_poll_t* poll, int status, int events) {
  (void)status;
  (void)events;
  gyre_env_t* env = poll->data;
  /* JavaScript may have run since the last poll phase, called by Node's own handles. */
  gyre__slabs_recheck(env);
  if (!gyre__give_turns(env) || gyre__guess(env)) return;
  env->ready->first = 0;
  env->ready->count = gyre__ask_kernel(env);
  env->reads_a_turn = gyre__reads_a_turn(env->ready->count);
  gyre__give_turns(env);
}

void gyre__poller_free(gyre_env_t* env) {
  free(env->poll);
  free(env->ready);
  if (env->epoll_fd >= 0) close(env->epoll_fd);
}

int gyre__poller_init(gyre_env_t* env) {
  env->epoll_fd = gyre__fault() ? -1 : epoll_create1(EPOLL_CLOEXEC);
  env->ready = env->epoll_fd < 0 ? NULL : gyre__alloc(sizeof(*env->ready));
  env->poll = env->ready == NULL ? NULL : gyre__alloc(uv_handle_size(UV_POLL));
  if (env->poll == NULL) return UV_ENOMEM;
  int error = uv_poll_init(env->loop, env->poll, env->epoll_fd);
  if (error != 0) return error;
  env->poll->data = env;
  uv_poll_start(env->poll, UV_READABLE, gyre__on_poller);
  uv_unref((uv_handle_t*)env->poll);
  return 0;
}

int gyre__watch(gyre_handle_t* handle, uint32_t events) {
  if (handle->watched == events) return 0;
  int operation = events == 0 ? EPOLL_CTL_DEL : handle->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  struct epoll_event event = {.events = events, .data.u32 = (uint32_t)handle->id};
  /* The kernel removed the descriptor itself, if other code has closed it. */
  if (epoll_ctl(handle->env->epoll_fd, operation, handle->fd, &event) != 0 && events != 0) return -errno;
  handle->watched = events;
  return 0;
}

typedef struct {
  int fd;
  bool found;
} gyre_search_t;

static void gyre__compare(uv_handle_t* uv, void* data) {
  gyre_search_t* search = data;
  uv_os_fd_t fd;
  if (uv_fileno(uv, &fd) == 0 && fd == search->fd) search->found = true;
}

static bool gyre__is_owned(const gyre_env_t* env, int fd) {
  for (uint32_t i = 0; i < env->capacity; i++) {
    if (env->handles[i] != NULL && env->handles[i]->fd == fd) return true;
  }
  return false;
}

bool gyre__is_taken(gyre_env_t* env, int fd) {
  gyre_search_t search = {.fd = fd, .found = false};
  uv_walk(env->loop, gyre__compare, &search);
  return search.found || gyre__is_owned(env, fd);
}

/* usesDescriptor(fd): whether a handle of the addon owns the descriptor. */
static napi_value gyre_uses_descriptor(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  napi_value result;
  napi_get_boolean(napi, !args.failed && fd >= 0 && gyre__is_owned(args.env, fd), &result);
  return result;
}

const gyre_export_t gyre_poller_exports[] = {
    {"usesDescriptor", gyre_uses_descriptor},
    {NULL, NULL},
};
