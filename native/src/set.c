/*
 * The set of all descriptors of ours, which libuv watches as one. Level-triggered: what was not read, or not walked, is told of again.
 *
 * A watch is given up lazily: whoever stops to read and goes on a moment later asks the kernel for nothing.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gyre.h"

enum { GYRE_MOST_READY = 1024 };

static void gyre__on_set(uv_poll_t* poll, int status, int events) {
  (void)status;
  (void)events;
  gyre_env_t* env = poll->data;
  struct epoll_event ready[GYRE_MOST_READY];
  int count = epoll_wait(env->set, ready, GYRE_MOST_READY, 0);
  /* JavaScript may have run since the last time: Node's own handles call it. */
  env->slab_is_ours = false;
  for (int i = 0; i < count && gyre__has_room(env); i++) {
    gyre_handle_t* handle = gyre__handle_get(env, (int32_t)ready[i].data.u32);
    if (handle != NULL) handle->on_ready(handle, ready[i].events);
  }
}

int gyre__set_init(gyre_env_t* env) {
  env->set = gyre__fault() ? -1 : epoll_create1(EPOLL_CLOEXEC);
  env->poll = env->set < 0 ? NULL : gyre__alloc(uv_handle_size(UV_POLL));
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
