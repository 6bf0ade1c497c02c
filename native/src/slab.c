/*
 * Read buffers: filled once, handed over by view.
 *
 * They are Node's own buffers, not memory of ours that V8 is told of: for its own V8 collects the young ones alone once there are 32 MiB
 * of them; for others it marks the whole heap, and that costs more than a message of 64 KiB.
 */
#include "gyre.h"

/* A fresh slab, known to JavaScript by its slot. */
static bool gyre__slab_next(gyre_env_t* env) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env->napi, &scope) != napi_ok) return false;
  napi_value array, slab;
  void* memory = NULL;
  uint32_t slot = (env->slab_slot + 1) % GYRE_SLAB_SLOTS;
  bool made = napi_create_buffer(env->napi, GYRE_SLAB_BYTES, &memory, &slab) == napi_ok &&
              napi_get_reference_value(env->napi, env->slab_array, &array) == napi_ok &&
              napi_set_element(env->napi, array, slot, slab) == napi_ok;
  if (made) {
    env->slab = memory;
    env->slab_slot = slot;
    env->slab_used = 0;
    env->fresh_slabs++;
  }
  napi_close_handle_scope(env->napi, scope);
  return made;
}

void gyre__slab_reserve(gyre_env_t* env, size_t wanted, uv_buf_t* buf) {
  if (env->slab == NULL || GYRE_SLAB_BYTES - env->slab_used < wanted) {
    if (env->ending || !gyre__slab_next(env)) {
      *buf = uv_buf_init(NULL, 0);
      return;
    }
  }
  size_t rest = GYRE_SLAB_BYTES - env->slab_used;
  *buf = uv_buf_init(env->slab + env->slab_used, rest < GYRE_BIG_READ ? rest : GYRE_BIG_READ);
}

/* Views begin at multiples of 8, so that whoever reads numbers out of them may. */
uint32_t gyre__slab_commit(gyre_env_t* env, size_t length) {
  uint32_t offset = env->slab_used;
  env->slab_used += (uint32_t)((length + 7) & ~(size_t)7);
  if (env->slab_used > GYRE_SLAB_BYTES) env->slab_used = GYRE_SLAB_BYTES;
  return offset;
}
