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
  napi_value array, slab, buffer;
  napi_ref reference = NULL;
  void* memory = NULL;
  uint32_t slot = (env->slab_slot + 1) % GYRE_SLAB_SLOTS;
  bool made = napi_create_buffer(env->napi, GYRE_SLAB_BYTES, &memory, &slab) == napi_ok &&
              napi_get_typedarray_info(env->napi, slab, NULL, NULL, NULL, &buffer, NULL) == napi_ok &&
              napi_create_reference(env->napi, buffer, 1, &reference) == napi_ok &&
              napi_get_reference_value(env->napi, env->slab_array, &array) == napi_ok &&
              napi_set_element(env->napi, array, slot, slab) == napi_ok;
  /* Of the one before where there is a new one, else of this. */
  napi_ref over = made ? env->slab_buffer : reference;
  if (over != NULL) napi_delete_reference(env->napi, over);
  if (made) {
    env->slab_buffer = reference;
    env->slab = memory;
    env->slab_slot = slot;
    env->slab_used = 0;
    env->fresh_slabs++;
    env->slab_is_ours = true;
  }
  napi_close_handle_scope(env->napi, scope);
  return made;
}

/*
 * No record names the slabs before the one under way any more: only their receivers hold them. What this array held while V8 collects the
 * young would grow old, and V8 would soon mark the whole heap to be rid of it.
 */
void gyre__slabs_forget(gyre_env_t* env, uint32_t count) {
  napi_handle_scope scope;
  napi_value array, nothing;
  if (count == 0 || env->ending || napi_open_handle_scope(env->napi, &scope) != napi_ok) return;
  if (napi_get_reference_value(env->napi, env->slab_array, &array) == napi_ok &&
      napi_get_undefined(env->napi, &nothing) == napi_ok) {
    for (uint32_t i = 1; i <= count; i++) {
      napi_set_element(env->napi, array, (env->slab_slot + GYRE_SLAB_SLOTS - i) % GYRE_SLAB_SLOTS, nothing);
    }
  }
  napi_close_handle_scope(env->napi, scope);
}

/*
 * Whoever has a view can give its ArrayBuffer away (structuredClone, a stream of bytes, transfer()), and then the memory is another's, or
 * nobody's. While the set is walked no JavaScript runs: so it is asked once for each walk.
 */
static bool gyre__slab_is_ours(gyre_env_t* env) {
  if (env->slab_is_ours) return true;
  napi_handle_scope scope;
  napi_value buffer;
  bool detached = true;
  if (napi_open_handle_scope(env->napi, &scope) != napi_ok) return false;
  bool known = napi_get_reference_value(env->napi, env->slab_buffer, &buffer) == napi_ok &&
               napi_is_detached_arraybuffer(env->napi, buffer, &detached) == napi_ok;
  napi_close_handle_scope(env->napi, scope);
  return env->slab_is_ours = known && !detached;
}

void gyre__slab_reserve(gyre_env_t* env, size_t wanted, uv_buf_t* buf) {
  bool fits = env->slab != NULL && GYRE_SLAB_BYTES - env->slab_used >= wanted;
  if (env->ending || !((fits && gyre__slab_is_ours(env)) || gyre__slab_next(env))) {
    *buf = uv_buf_init(NULL, 0);
    return;
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
