/*
 * Read buffers: filled once, handed over by view.
 *
 * A view keeps its whole slab alive. So short data moves on from the large slab, into which it was read, to a
 * smaller one: somebody who keeps a byte of each of 10,000 connections must not keep 256 KiB for each.
 *
 * They are Node's own buffers, not memory of ours that V8 is told of: for its own V8 collects the young ones
 * alone once there are 32 MiB of them; for others it marks the whole heap, and that costs more than a message
 * of 64 KiB.
 */
#include <string.h>

#include "gyre.h"

/*
 * Each kind's longest data, behind the address of a datagram, and the size of its slabs. A new slab costs as
 * much as some messages.
 */
static const struct {
  uint32_t longest;
  uint32_t size;
} gyre__kinds[GYRE_SLAB_KINDS] = {
    {GYRE_ADDRESS_BYTES + 64, 2 * 1024},
    {GYRE_ADDRESS_BYTES + 256, 8 * 1024},
    {GYRE_ADDRESS_BYTES + 1024, 32 * 1024},
    [GYRE_LARGE] = {GYRE_SLAB_BYTES, GYRE_SLAB_BYTES},
};

/* Answers the index in JavaScript's array. */
static uint32_t gyre__slot(int kind, uint32_t slot) {
  return (uint32_t)kind * GYRE_SLAB_SLOTS + slot % GYRE_SLAB_SLOTS;
}

/* A fresh slab, known to JavaScript by its slot. */
static bool gyre__slab_next(gyre_env_t* env, int kind) {
  gyre_slab_t* slab = &env->slabs[kind];
  napi_handle_scope scope;
  /* A record may still name the slab in the next slot. */
  if (slab->fresh == GYRE_SLAB_SLOTS - 1 || napi_open_handle_scope(env->napi, &scope) != napi_ok) return false;
  napi_value array, bytes, buffer;
  napi_ref reference = NULL;
  void* memory = NULL;
  uint32_t slot = (slab->slot + 1) % GYRE_SLAB_SLOTS;
  bool made = napi_create_buffer(env->napi, gyre__kinds[kind].size, &memory, &bytes) == napi_ok &&
              napi_get_typedarray_info(env->napi, bytes, NULL, NULL, NULL, &buffer, NULL) == napi_ok &&
              napi_create_reference(env->napi, buffer, 1, &reference) == napi_ok &&
              napi_get_reference_value(env->napi, env->slab_array, &array) == napi_ok &&
              napi_set_element(env->napi, array, gyre__slot(kind, slot), bytes) == napi_ok;
  /* Of the one before where there is a new one, else of this. */
  napi_ref over = made ? slab->buffer : reference;
  if (over != NULL) napi_delete_reference(env->napi, over);
  if (made) {
    *slab = (gyre_slab_t){.memory = memory, .buffer = reference, .slot = slot, .fresh = slab->fresh + 1, .is_ours = true};
  }
  napi_close_handle_scope(env->napi, scope);
  return made;
}

/*
 * No record names the slabs before the one under way any more: only their receivers hold them. What this
 * array held while V8 collects the young would grow old, and V8 would soon mark the whole heap to be rid of
 * it.
 */
static void gyre__forget_kind(gyre_env_t* env, int kind) {
  gyre_slab_t* slab = &env->slabs[kind];
  uint32_t fresh = slab->fresh;
  napi_handle_scope scope;
  napi_value array, nothing;
  slab->fresh = 0;
  if (fresh == 0 || napi_open_handle_scope(env->napi, &scope) != napi_ok) return;
  if (napi_get_reference_value(env->napi, env->slab_array, &array) == napi_ok &&
      napi_get_undefined(env->napi, &nothing) == napi_ok) {
    for (uint32_t i = 1; i <= fresh; i++) {
      napi_set_element(env->napi, array, gyre__slot(kind, slab->slot + GYRE_SLAB_SLOTS - i), nothing);
    }
  }
  napi_close_handle_scope(env->napi, scope);
}

void gyre__slabs_forget(gyre_env_t* env) {
  if (env->ending) return;
  for (int kind = 0; kind < GYRE_SLAB_KINDS; kind++) gyre__forget_kind(env, kind);
}

void gyre__slabs_ask_again(gyre_env_t* env) {
  for (int kind = 0; kind < GYRE_SLAB_KINDS; kind++) env->slabs[kind].is_ours = false;
}

/*
 * Whoever has a view can give its ArrayBuffer away (structuredClone, a stream of bytes, transfer()), and then
 * the memory is another's, or nobody's. While the set is walked no JavaScript runs: so it is asked once for
 * each walk.
 */
static bool gyre__slab_is_ours(gyre_env_t* env, gyre_slab_t* slab) {
  if (slab->is_ours) return true;
  napi_handle_scope scope;
  napi_value buffer;
  bool detached = true;
  if (napi_open_handle_scope(env->napi, &scope) != napi_ok) return false;
  bool known = napi_get_reference_value(env->napi, slab->buffer, &buffer) == napi_ok &&
               napi_is_detached_arraybuffer(env->napi, buffer, &detached) == napi_ok;
  napi_close_handle_scope(env->napi, scope);
  return slab->is_ours = known && !detached;
}

/* Whether there are so many bytes at the end of the slab under way, or of a new one. */
static bool gyre__slab_has(gyre_env_t* env, int kind, size_t wanted) {
  gyre_slab_t* slab = &env->slabs[kind];
  if (env->ending) return false;
  bool fits = slab->memory != NULL && gyre__kinds[kind].size - slab->used >= wanted;
  return (fits && gyre__slab_is_ours(env, slab)) || gyre__slab_next(env, kind);
}

void gyre__slab_reserve(gyre_env_t* env, size_t wanted, uv_buf_t* buf) {
  if (!gyre__slab_has(env, GYRE_LARGE, wanted)) {
    *buf = uv_buf_init(NULL, 0);
    return;
  }
  const gyre_slab_t* large = &env->slabs[GYRE_LARGE];
  size_t rest = GYRE_SLAB_BYTES - large->used;
  *buf = uv_buf_init(large->memory + large->used, rest < GYRE_BIG_READ ? rest : GYRE_BIG_READ);
}

/* Views begin at multiples of 8, so that whoever reads numbers out of them may. */
gyre_place_t gyre__slab_commit(gyre_env_t* env, size_t length) {
  int kind = 0;
  while (length > gyre__kinds[kind].longest) kind++;
  /* Without memory for a smaller slab the data stays where it is. */
  if (kind != GYRE_LARGE && !gyre__slab_has(env, kind, length)) kind = GYRE_LARGE;
  const gyre_slab_t* large = &env->slabs[GYRE_LARGE];
  gyre_slab_t* slab = &env->slabs[kind];
  if (kind != GYRE_LARGE) memcpy(slab->memory + slab->used, large->memory + large->used, length);
  gyre_place_t place = {.slot = (int32_t)gyre__slot(kind, slab->slot), .offset = (int32_t)slab->used};
  slab->used += (uint32_t)((length + 7) & ~(size_t)7);
  if (slab->used > gyre__kinds[kind].size) slab->used = gyre__kinds[kind].size;
  return place;
}
