/*
 * Readiness of any descriptor: an epoll set of our own for each loop, and one uv_poll that watches the set.
 *
 * Not a uv_poll for each descriptor: libuv takes one watcher a descriptor for the whole thread, asks the kernel twice for each change, and
 * ends the process when a descriptor was closed before it is watched. Here the kernel answers at the call.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gyre.h"

enum { GYRE_MOST_READY = 256 };

static int gyre__poll_set(gyre_handle_t* handle) {
  return (int)(intptr_t)handle->data;
}

static void gyre__poll_gone(gyre_handle_t* handle) {
  close(gyre__poll_set(handle));
}

static void gyre__on_poll(uv_poll_t* poll, int status, int events) {
  (void)status;
  (void)events;
  gyre_handle_t* handle = gyre__of(poll);
  struct epoll_event ready[GYRE_MOST_READY];
  int count = epoll_wait(gyre__poll_set(handle), ready, GYRE_MOST_READY, 0);
  /* JavaScript is called in the middle of this where records run out, and may close the set. */
  for (int i = 0; i < count && !handle->closing; i++) {
    /* An error and a hang-up end either wait: who reads or writes then learns which it is. */
    int what = 0;
    if (ready[i].events & ~(uint32_t)EPOLLOUT) what |= UV_READABLE;
    if (ready[i].events & ~(uint32_t)EPOLLIN) what |= UV_WRITABLE;
    uint64_t data = ready[i].data.u64;
    gyre__event(handle->env, handle->id, GYRE_POLLED, (int32_t)(uint32_t)data, what, (int32_t)(data >> 32));
  }
}

/* pollOpen(): the id of an empty set, or an error. */
static napi_value gyre_poll_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int set = epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) return gyre__int(&args, -errno);
  gyre_handle_t* handle = gyre__handle_new(args.env, GYRE_POLL, UV_POLL);
  if (handle == NULL) {
    close(set);
    return gyre__int(&args, UV_ENOMEM);
  }
  handle->data = (void*)(intptr_t)set;
  handle->on_free = gyre__poll_gone;
  int error = uv_poll_init(args.env->loop, (uv_poll_t*)gyre__uv(handle), set);
  if (error != 0) {
    gyre__handle_free(handle);
    return gyre__int(&args, error);
  }
  uv_unref(gyre__uv(handle));
  uv_poll_start((uv_poll_t*)gyre__uv(handle), UV_READABLE, gyre__on_poll);
  return gyre__int(&args, handle->id);
}

/*
 * pollWant(id, fd, events, token): from now on GYRE_POLLED tells of these events, with the token: 0, or an error. No events: the
 * descriptor leaves the set.
 */
static napi_value gyre_poll_want(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_POLL);
  int32_t fd = gyre__arg_int(&args, 1);
  int32_t events = gyre__arg_int(&args, 2);
  int32_t token = gyre__arg_int(&args, 3);
  if (handle == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  int set = gyre__poll_set(handle);
  struct epoll_event event = {.data.u64 = (uint64_t)(uint32_t)token << 32 | (uint32_t)fd};
  if (events & UV_READABLE) event.events |= EPOLLIN;
  if (events & UV_WRITABLE) event.events |= EPOLLOUT;
  if (event.events == 0) {
    epoll_ctl(set, EPOLL_CTL_DEL, fd, &event);
    return gyre__int(&args, 0);
  }
  int result = epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  if (result != 0 && errno == EEXIST) result = epoll_ctl(set, EPOLL_CTL_MOD, fd, &event);
  return gyre__int(&args, result == 0 ? 0 : -errno);
}

/* usesDescriptor(fd): whether it is that of a handle of ours. */
static napi_value gyre_uses_descriptor(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  bool used = false;
  for (uint32_t i = 0; i < args.env->capacity && !used && !args.failed; i++) {
    gyre_handle_t* handle = args.env->handles[i];
    uv_os_fd_t its = -1;
    if (handle == NULL || handle->kind == GYRE_LOOKUP || handle->closing) continue;
    used = uv_fileno(gyre__uv(handle), &its) == 0 && its == fd;
  }
  napi_value result;
  napi_get_boolean(napi, used, &result);
  return result;
}

const gyre_export_t gyre_poll_exports[] = {
    {"pollOpen", gyre_poll_open},
    {"pollWant", gyre_poll_want},
    {"usesDescriptor", gyre_uses_descriptor},
    {NULL, NULL},
};
