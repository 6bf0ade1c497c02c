/* The state for one copy of gyre's JavaScript in one environment: its creation, its functions, its end. */
#include <stdlib.h>
#include <unistd.h>

#include "gyre.h"

static const gyre_export_t* const gyre__exports[] = {
    gyre_handle_exports,
    gyre_stream_exports,
    gyre_connect_exports,
    gyre_listener_exports,
    gyre_datagram_exports,
    gyre_resolver_exports,
    gyre_process_exports,
    gyre_poll_exports,
    gyre_poller_exports,
    gyre_pipe_exports,
    gyre_socket_exports,
    gyre_tls_exports,
    gyre_tls_fused_exports,
    gyre_tls_renegotiation_exports,
    gyre_tls_context_exports,
    gyre_tls_certificates_exports,
    gyre_tls_info_exports,
};

static void gyre__unreference(gyre_env_t* env, napi_ref reference) {
  if (reference != NULL) napi_delete_reference(env->napi, reference);
}

static void gyre__env_free(gyre_env_t* env) {
  gyre__unreference(env, env->dispatch);
  gyre__unreference(env, env->slab_array);
  gyre__unreference(env, env->buffer_array);
  for (int kind = 0; kind < GYRE_SLAB_KINDS; kind++) gyre__unreference(env, env->slabs[kind].buffer);
  gyre__unreference(env, env->receiver);
  gyre__unreference(env, env->event_buffer);
  gyre__unreference(env, env->arena_buffer);
  gyre__unreference(env, env->outbox_buffer);
  if (env->async_context != NULL) napi_async_destroy(env->napi, env->async_context);
  free(env->check);
  gyre__poller_free(env);
  if (env->spare_fd >= 0) close(env->spare_fd);
  free(env->datagram_memory);
  free(env->handles);
  free(env->generations);
  free(env->free_indices);
  free(env->sockets);
  gyre__tls_env_free(env);
  /* Keep this last: when the hook is removed, Node may destroy the environment. */
  if (env->cleanup != NULL) napi_remove_async_cleanup_hook(env->cleanup);
  free(env);
}

/*
 * The end. Node runs the libuv loop until every asynchronous cleanup hook is removed. This addon removes its
 * hook after the last handle is freed:
 *
 *   gyre__on_cleanup ─▶ closes every handle, cancels every lookup
 *   last handle freed ─▶ closes poll ─▶ closes check ─▶ gyre__env_free removes the hook
 */
static void gyre__on_check_closed(uv_handle_t* uv) {
  gyre__env_free(uv->data);
}

static void gyre__on_poll_closed(uv_handle_t* uv) {
  gyre_env_t* env = uv->data;
  uv_close((uv_handle_t*)env->check, gyre__on_check_closed);
}

void gyre__end_when_empty(gyre_env_t* env) {
  if (env->ending && env->open_count == 0) uv_close((uv_handle_t*)env->poll, gyre__on_poll_closed);
}

/* The environment ends: a worker, or the process. No JavaScript may run from here on. */
static void gyre__on_cleanup(napi_async_cleanup_hook_handle cleanup, void* data) {
  (void)cleanup;
  gyre_env_t* env = data;
  env->ending = true;
  gyre__sockets_end(env);
  /* Counts this function as an open handle, so that the end begins below, and not in the loop as well. */
  env->open_count++;
  for (uint32_t i = 0; i < env->capacity; i++) {
    gyre_handle_t* handle = env->handles[i];
    if (handle == NULL) continue;
    if (handle->kind == GYRE_LOOKUP) gyre__lookup_forget(handle);
    else gyre__handle_close(handle);
  }
  env->open_count--;
  gyre__end_when_empty(env);
}

/* Creates memory that C and JavaScript share, as a property of the object that JavaScript gets. */
static bool gyre__share(gyre_env_t* env, napi_value object, const char* name, napi_typedarray_type type, size_t bytes,
                        void** memory, napi_ref* reference) {
  napi_value buffer, array;
  size_t length = type == napi_int32_array ? bytes / sizeof(int32_t) : bytes;
  return !gyre__fault() && napi_create_arraybuffer(env->napi, bytes, memory, &buffer) == napi_ok &&
         napi_create_reference(env->napi, buffer, 1, reference) == napi_ok &&
         napi_create_typedarray(env->napi, type, length, buffer, 0, &array) == napi_ok &&
         napi_set_named_property(env->napi, object, name, array) == napi_ok;
}

static bool gyre__define(gyre_env_t* env, napi_value object, const char* name, napi_callback call) {
  napi_value function;
  return napi_create_function(env->napi, name, NAPI_AUTO_LENGTH, call, env, &function) == napi_ok &&
         napi_set_named_property(env->napi, object, name, function) == napi_ok;
}

static bool gyre__define_all(gyre_env_t* env, napi_value object) {
  for (size_t i = 0; i < sizeof(gyre__exports) / sizeof(*gyre__exports); i++) {
    for (const gyre_export_t* one = gyre__exports[i]; one->name != NULL; one++) {
      if (!gyre__define(env, object, one->name, one->call)) return false;
    }
  }
#ifdef GYRE_TEST_FAULTS
  return gyre__define(env, object, "failAllocation", gyre_fail_allocation);
#else
  return true;
#endif
}

/* Keeps references to the arguments of open(), and creates the receiver of the callback. */
static bool gyre__remember(gyre_env_t* env, napi_value dispatch, napi_value slabs, napi_value buffers) {
  napi_value object, name;
  napi_valuetype type = napi_undefined;
  bool slabs_fit = false, buffers_fit = false;
  napi_typeof(env->napi, dispatch, &type);
  napi_is_array(env->napi, slabs, &slabs_fit);
  napi_is_array(env->napi, buffers, &buffers_fit);
  return type == napi_function && slabs_fit && buffers_fit &&
         napi_create_reference(env->napi, dispatch, 1, &env->dispatch) == napi_ok &&
         napi_create_reference(env->napi, slabs, 1, &env->slab_array) == napi_ok &&
         napi_create_reference(env->napi, buffers, 1, &env->buffer_array) == napi_ok &&
         napi_create_object(env->napi, &object) == napi_ok &&
         napi_create_reference(env->napi, object, 1, &env->receiver) == napi_ok &&
         napi_create_string_utf8(env->napi, "gyre", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_async_init(env->napi, object, name, &env->async_context) == napi_ok;
}

/*
 * open(dispatch, slabs, buffers): an object with the functions and the shared memory. null: there is no
 * memory, or an argument has a wrong type. Each copy of gyre in a thread calls this, and has its own ids and
 * records.
 */
static napi_value gyre_open_env(napi_env napi, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3], object, nothing;
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  napi_get_null(napi, &nothing);
  gyre_env_t* env = gyre__alloc(sizeof(*env));
  if (env == NULL) return nothing;
  env->napi = napi;
  env->epoll_fd = -1;
  env->spare_fd = -1;
  gyre__spare_regain(env);
  bool made = napi_get_uv_event_loop(napi, &env->loop) == napi_ok && gyre__remember(env, argv[0], argv[1], argv[2]) &&
              napi_create_object(napi, &object) == napi_ok && gyre__define_all(env, object) &&
              gyre__share(env, object, "events", napi_int32_array, (size_t)GYRE_EVENTS * GYRE_EVENT_WORDS * sizeof(int32_t),
                          (void**)&env->events, &env->event_buffer) &&
              gyre__share(env, object, "arena", napi_uint8_array, GYRE_ARENA_BYTES, (void**)&env->arena,
                          &env->arena_buffer) &&
              gyre__share(env, object, "outbox", napi_uint8_array, GYRE_OUTBOX_BYTES, (void**)&env->outbox,
                          &env->outbox_buffer) &&
              gyre__dispatch_init(env) == 0;
  if (!made) {
    gyre__env_free(env);
    return nothing;
  }
  /* This fails only if the environment has ended; then no function of the addon is called again. */
  napi_add_async_cleanup_hook(napi, gyre__on_cleanup, env, &env->cleanup);
  return object;
}

/*
 * Makes glibc keep freed memory, by freeing one large block.
 *
 * When V8 collects garbage, it frees dozens of slabs. By default glibc returns memory of that size to the
 * system each time. New slabs then cost a page fault for every 4 KiB that is read: a quarter of the time of
 * large reads. Freeing one large block raises glibc's thresholds, as most programs do sooner or later. If the
 * user has set the thresholds (MALLOC_TRIM_THRESHOLD_, GLIBC_TUNABLES), this changes nothing.
 */
static void gyre__keep_freed_memory(void) {
  enum { LARGE = 16 * 1024 * 1024 }; /* glibc keeps freed memory up to twice this size */
  void* volatile block = malloc(LARGE);
  free(block);
}

NAPI_MODULE_INIT() {
  gyre__keep_freed_memory();
  napi_value abi, open;
  if (napi_create_int32(env, GYRE_ABI, &abi) != napi_ok || napi_set_named_property(env, exports, "abi", abi) != napi_ok ||
      napi_create_function(env, "open", NAPI_AUTO_LENGTH, gyre_open_env, NULL, &open) != napi_ok ||
      napi_set_named_property(env, exports, "open", open) != napi_ok) {
    return NULL;
  }
  return exports;
}
