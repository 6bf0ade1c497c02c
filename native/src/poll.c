/*
 * Readiness of any descriptor. Each loop has its own epoll instance, and the poller watches that.
 *
 * The descriptors are not in the poller itself. If a watched descriptor is closed while a child process has a
 * copy of it, the kernel reports it for ever. Only a new epoll instance stops that.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "gyre.h"

enum { GYRE_MOST_READY = 256 };

_Static_assert((int)GYRE_MOST_READY <= (int)GYRE_TURN_EVENTS, "a turn has room for all that is ready");

static void gyre__on_poll(gyre_handle_t* handle, uint32_t events) {
  (void)events;
  struct epoll_event ready[GYRE_MOST_READY];
  int count = epoll_wait(handle->fd, ready, GYRE_MOST_READY, 0);
  for (int i = 0; i < count; i++) {
    /*
     * An error or a hang-up wakes both a reader and a writer. Their next system call then returns the reason.
     */
    int readiness = 0;
    if (ready[i].events & ~(uint32_t)EPOLLOUT) readiness |= UV_READABLE;
    if (ready[i].events & ~(uint32_t)EPOLLIN) readiness |= UV_WRITABLE;
    uint64_t data = ready[i].data.u64;
    gyre__event(handle->env, handle->id, GYRE_POLLED, (int32_t)(uint32_t)data, readiness, (int32_t)(data >> 32));
  }
}

/* pollOpen(): the id of an empty epoll instance, or an error. */
static napi_value gyre_poll_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__handle_new(args.env, GYRE_POLL, sizeof(*handle));
  if (handle == NULL) return gyre__int(&args, UV_ENOMEM);
  handle->fd = epoll_create1(EPOLL_CLOEXEC);
  handle->on_ready = gyre__on_poll;
  int error = handle->fd < 0 ? -errno : gyre__watch(handle, EPOLLIN);
  if (error != 0) gyre__handle_close(handle);
  return gyre__int(&args, error == 0 ? handle->id : error);
}

/*
 * pollWant(id, fd, events, token): reports these events by GYRE_POLLED, with the token. Returns 0 or an
 * error. No events: removes the descriptor.
 */
static napi_value gyre_poll_want(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_POLL);
  int32_t fd = gyre__arg_int(&args, 1);
  int32_t events = gyre__arg_int(&args, 2);
  int32_t token = gyre__arg_int(&args, 3);
  if (handle == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  int epoll_fd = handle->fd;
  struct epoll_event event = {.data.u64 = (uint64_t)(uint32_t)token << 32 | (uint32_t)fd};
  if (events & UV_READABLE) event.events |= EPOLLIN;
  if (events & UV_WRITABLE) event.events |= EPOLLOUT;
  if (event.events == 0) {
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, &event);
    return gyre__int(&args, 0);
  }
  int result = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
  if (result != 0 && errno == EEXIST) result = epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);
  return gyre__int(&args, result == 0 ? 0 : -errno);
}

const gyre_export_t gyre_poll_exports[] = {
    {"pollOpen", gyre_poll_open},
    {"pollWant", gyre_poll_want},
    {NULL, NULL},
};
