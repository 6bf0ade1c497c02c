/*
 * The set of all descriptors of ours, which libuv watches as one. Level-triggered: the kernel tells of unread
 * data again.
 *
 * Handles take turns. The kernel lists all that are ready in the same order each time, so a walk that always
 * began with the first of them would never come to the last: a few busy connections fill the records of a
 * poll phase. So the list is a queue. A handle for which there was no room keeps its place, and the next poll
 * phase begins with it. The kernel is asked again when the queue is empty; by then it has put every handle of
 * the list at its end. So of N ready handles each has its turn after at most N - 1 others.
 *
 * A watch is given up lazily: whoever stops to read and goes on a moment later asks the kernel for nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gyre.h"

enum {
  GYRE_MOST_READY = 1024,
  /* Of GYRE_BIG_READ bytes, in all turns of a poll phase. */
  GYRE_READS_A_PHASE = (GYRE_LARGE_SLABS - GYRE_TURN_SLABS) * (GYRE_SLAB_BYTES / GYRE_BIG_READ),
};

/* Ready handles that wait for their turn. */
struct gyre_ready_s {
  int first;
  int count;
  struct epoll_event events[GYRE_MOST_READY];
};

/* In the meantime the handle may have been closed, or have lost interest in the event. */
static void gyre__give_turn(gyre_env_t* env, const struct epoll_event* event) {
  gyre_handle_t* handle = gyre__handle_get(env, (int32_t)event->data.u32);
  if (handle == NULL || handle->watched == 0) return;
  uint32_t events = event->events & (handle->watched | EPOLLERR | EPOLLHUP);
  if (events != 0) handle->on_ready(handle, events);
}

/* Whether the queue is empty now; else there is no more room for records. */
static bool gyre__give_turns(gyre_env_t* env) {
  gyre_ready_t* ready = env->ready;
  while (ready->first < ready->count && gyre__has_room(env)) gyre__give_turn(env, &ready->events[ready->first++]);
  return ready->first == ready->count;
}

/*
 * Where many are ready, each reads less in its turn: a short message need not wait for a megabyte of every
 * bulk sender.
 */
static int gyre__reads_a_turn(int ready) {
  int share = GYRE_READS_A_PHASE / (ready > 0 ? ready : 1);
  return share > GYRE_MOST_READS ? GYRE_MOST_READS : share < GYRE_FEWEST_READS ? GYRE_FEWEST_READS : share;
}

static void gyre__on_set(uv_poll_t* poll, int status, int events) {
  (void)status;
  (void)events;
  gyre_env_t* env = poll->data;
  /* JavaScript may have run since the last time: Node's own handles call it. */
  gyre__slabs_ask_again(env);
  if (!gyre__give_turns(env)) return;
  int count = epoll_wait(env->set, env->ready->events, GYRE_MOST_READY, 0);
  env->ready->first = 0;
  env->ready->count = count < 0 ? 0 : count;
  env->reads_a_turn = gyre__reads_a_turn(count);
  gyre__give_turns(env);
}

void gyre__set_free(gyre_env_t* env) {
  free(env->poll);
  free(env->ready);
  if (env->set >= 0) close(env->set);
}

int gyre__set_init(gyre_env_t* env) {
  env->set = gyre__fault() ? -1 : epoll_create1(EPOLL_CLOEXEC);
  env->ready = env->set < 0 ? NULL : gyre__alloc(sizeof(*env->ready));
  env->poll = env->ready == NULL ? NULL : gyre__alloc(uv_handle_size(UV_POLL));
  if (env->poll == NULL) return UV_ENOMEM;
  int error = uv_poll_init(env->loop, env->poll, env->set);
  if (error != 0) return error;
  env->poll->data = env;
  uv_poll_start(env->poll, UV_READABLE, gyre__on_set);
  uv_unref((uv_handle_t*)env->poll);
  return 0;
}

int gyre__watch(gyre_handle_t* handle, uint32_t events) {
  if (handle->watched == events) return 0;
  int operation = events == 0 ? EPOLL_CTL_DEL : handle->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  struct epoll_event event = {.events = events, .data.u32 = (uint32_t)handle->id};
  /* What was closed under us is in no set any more. */
  if (epoll_ctl(handle->env->set, operation, handle->fd, &event) != 0 && events != 0) return -errno;
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

static bool gyre__is_ours(const gyre_env_t* env, int fd) {
  for (uint32_t i = 0; i < env->capacity; i++) {
    if (env->handles[i] != NULL && env->handles[i]->fd == fd) return true;
  }
  return false;
}

bool gyre__is_taken(gyre_env_t* env, int fd) {
  gyre_search_t search = {.fd = fd, .found = false};
  uv_walk(env->loop, gyre__compare, &search);
  return search.found || gyre__is_ours(env, fd);
}

/* usesDescriptor(fd): whether it is that of a handle of ours. */
static napi_value gyre_uses_descriptor(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  napi_value result;
  napi_get_boolean(napi, !args.failed && fd >= 0 && gyre__is_ours(args.env, fd), &result);
  return result;
}

const gyre_export_t gyre_set_exports[] = {
    {"usesDescriptor", gyre_uses_descriptor},
    {NULL, NULL},
};
