/* Handles and their ids, by which JavaScript names them. */
#include <stdlib.h>
#include <unistd.h>

#include "gyre.h"

static bool gyre__grow(gyre_env_t* env) {
  uint32_t capacity = env->capacity == 0 ? 256 : env->capacity * 2;
  if (capacity > GYRE_ID_INDEX_MASK + 1u) return false;
  gyre_handle_t** handles = gyre__realloc(env->handles, capacity * sizeof(*handles));
  if (handles == NULL) return false;
  env->handles = handles;
  uint16_t* generations = gyre__realloc(env->generations, capacity * sizeof(*generations));
  if (generations == NULL) return false;
  env->generations = generations;
  uint32_t* free_indices = gyre__realloc(env->free_indices, capacity * sizeof(*free_indices));
  if (free_indices == NULL) return false;
  env->free_indices = free_indices;
  /* No index is free, so the ring buffer may begin anywhere. */
  env->free_first = 0;
  for (uint32_t i = env->capacity; i < capacity; i++) {
    handles[i] = NULL;
    generations[i] = 0;
    free_indices[env->free_count++] = i;
  }
  env->capacity = capacity;
  return true;
}

/*
 * Takes the index that has been free for longest. With the index that was freed last, a few thousand
 * connections one after the other would use up all its ids.
 */
static uint32_t gyre__index_take(gyre_env_t* env) {
  uint32_t index = env->free_indices[env->free_first];
  env->free_first = (env->free_first + 1) % env->capacity;
  env->free_count--;
  return index;
}

static void gyre__index_give(gyre_env_t* env, uint32_t index) {
  env->free_indices[(env->free_first + env->free_count++) % env->capacity] = index;
}

void* gyre__handle_new(gyre_env_t* env, enum gyre_kind kind, size_t size) {
  if (env->ending) return NULL;
  if (env->free_count == 0 && !gyre__grow(env)) return NULL;
  gyre_handle_t* handle = gyre__alloc(size);
  if (handle == NULL) return NULL;
  uint32_t index = gyre__index_take(env);
  handle->env = env;
  handle->kind = (uint8_t)kind;
  handle->fd = -1;
  handle->id = (int32_t)((uint32_t)env->generations[index] << GYRE_ID_INDEX_BITS | index);
  env->handles[index] = handle;
  env->open_count++;
  return handle;
}

gyre_handle_t* gyre__handle_get(gyre_env_t* env, int32_t id) {
  uint32_t index = (uint32_t)id & GYRE_ID_INDEX_MASK;
  if (id < 0 || index >= env->capacity) return NULL;
  gyre_handle_t* handle = env->handles[index];
  return handle != NULL && handle->id == id && !handle->closing ? handle : NULL;
}

void gyre__handle_free(gyre_handle_t* handle) {
  gyre_env_t* env = handle->env;
  if (handle->on_close != NULL) handle->on_close(handle);
  uint32_t index = (uint32_t)handle->id & GYRE_ID_INDEX_MASK;
  env->generations[index] = (uint16_t)((env->generations[index] + 1) % GYRE_ID_GENERATIONS);
  env->handles[index] = NULL;
  gyre__index_give(env, index);
  env->open_count--;
  free(handle);
  gyre__end_when_empty(env);
}

void gyre__handle_close(gyre_handle_t* handle) {
  gyre_env_t* env = handle->env;
  int fd = handle->fd;
  /*
   * Don't rely on close() to remove it: the poller keeps reporting a descriptor of which another process has
   * a copy.
   */
  gyre__watch(handle, 0);
  gyre__handle_free(handle);
  if (fd >= 0) close(fd);
  gyre__spare_regain(env);
}

static napi_value gyre_close(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_open(&args, 0);
  if (handle != NULL) gyre__handle_close(handle);
  return NULL;
}

static napi_value gyre_fileno(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_open(&args, 0);
  return gyre__int(&args, handle == NULL ? -1 : handle->fd);
}

/* The number of open handles, for tests that look for leaks. */
static napi_value gyre_open_count(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  return gyre__int(&args, args.env->open_count);
}

/* failedAt(): the step at which the last call failed, for calls with several steps. */
static napi_value gyre_failed_at(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  return gyre__int(&args, args.env->failed_at);
}

const gyre_export_t gyre_handle_exports[] = {
    {"close", gyre_close},
    {"fileno", gyre_fileno},
    {"failedAt", gyre_failed_at},
    {"openCount", gyre_open_count},
    {NULL, NULL},
};
