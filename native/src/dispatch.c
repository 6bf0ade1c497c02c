/* The event records, and the call of JavaScript for them, once in each poll phase. */
#include "gyre.h"

/* Calls dispatch(count), unless JavaScript cannot run any more. */
static void gyre__call(gyre_env_t* env, uint32_t count) {
  napi_handle_scope scope;
  if (env->ending || napi_open_handle_scope(env->napi, &scope) != napi_ok) return;
  napi_value receiver, dispatch, argument;
  bool ready = napi_get_reference_value(env->napi, env->receiver, &receiver) == napi_ok &&
               napi_get_reference_value(env->napi, env->dispatch, &dispatch) == napi_ok &&
               napi_create_uint32(env->napi, count, &argument) == napi_ok;
  bool called = ready && napi_make_callback(env->napi, env->async_context, receiver, dispatch, 1, &argument, NULL) == napi_ok;
  bool pending = false;
  if (!called) napi_is_exception_pending(env->napi, &pending);
  /*
   * A process.nextTick() callback has thrown, and the program may handle that. The call also fails in a
   * worker that is being terminated; then there is no exception.
   */
  napi_value error;
  if (pending && napi_get_and_clear_last_exception(env->napi, &error) == napi_ok) napi_fatal_exception(env->napi, error);
  napi_close_handle_scope(env->napi, scope);
}

static void gyre__call_records(gyre_env_t* env) {
  uint32_t count = env->event_count;
  /* No records are added while JavaScript runs, because libuv runs callbacks only from its own loop. */
  env->event_count = 0;
  gyre__call(env, count);
  gyre__slabs_release(env);
}

static void gyre__on_check(uv_check_t* check) {
  gyre_env_t* env = check->data;
  if (env->event_count > 0) gyre__call_records(env);
}

bool gyre__has_room(const gyre_env_t* env) {
  return env->event_count <= GYRE_EVENTS - GYRE_TURN_EVENTS &&
         env->slabs[GYRE_LARGE].fresh < GYRE_LARGE_SLABS - GYRE_TURN_SLABS;
}

void gyre__event(gyre_env_t* env, int32_t id, enum gyre_event_kind kind, int32_t a, int32_t b, int32_t c) {
  if (env->ending) return;
  /* More lookups can end in one poll phase than there are records. */
  if (env->event_count == GYRE_EVENTS) gyre__call_records(env);
  int32_t* record = env->events + (size_t)env->event_count++ * GYRE_EVENT_WORDS;
  record[0] = id;
  record[1] = kind;
  record[2] = a;
  record[3] = b;
  record[4] = c;
}

int gyre__dispatch_init(gyre_env_t* env) {
  env->check = gyre__alloc(uv_handle_size(UV_CHECK));
  /* On failure the caller frees check and poll: libuv does not know them yet. */
  int error = env->check == NULL ? UV_ENOMEM : gyre__poller_init(env);
  if (error != 0) return error;
  uv_check_init(env->loop, env->check);
  env->check->data = env;
  uv_check_start(env->check, gyre__on_check);
  uv_unref((uv_handle_t*)env->check);
  return 0;
}
