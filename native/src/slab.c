/*
 * Slabs: memory that C reads into, and that JavaScript gets as views.
 *
 * A view keeps its whole slab alive. So short data is read into a large slab and then moved to a slab of a
 * smaller kind. Otherwise a program that keeps one byte of each of 10,000 connections would keep 256 KiB for
 * each.
 *
 * A slab is a Buffer made by Node, which neither clears it nor asks the system for new memory. Memory of the
 * addon's own would cost more: V8 counts it in the same way, and Node tells of its end in a task for each
 * slab. src/backend/uv/slab-garbage.ts collects slabs before their count makes V8 mark the whole heap.
 */
#include <string.h>

#include "gyre.h"

/*
 * For each kind: the longest data, including the address of a datagram, and the size of a slab. A new slab
 * costs as much as several messages.
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

/* Returns the index in JavaScript's array of slabs. */
static uint32_t gyre__slot(int kind, uint32_t slot) {
  return (uint32_t)kind * GYRE_SLAB_SLOTS + slot % GYRE_SLAB_SLOTS;
}

/* Creates a slab, and puts it into the next slot of JavaScript's array. */
static bool gyre__slab_next(gyre_env_t* env, int kind) {
  gyre_slab_t* slab = &env->slabs[kind];
  napi_handle_scope scope;
  /* Don't reuse a slot before the next dispatch: a record may still name it. */
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
  /* Release the reference to the previous slab; after a failure, the new reference. */
  napi_ref over = made ? slab->buffer : reference;
  if (over != NULL) napi_delete_reference(env->napi, over);
  if (made) {
    *slab = (gyre_slab_t){.memory = memory, .buffer = reference, .slot = slot, .fresh = slab->fresh + 1, .is_attached = true};
  }
  napi_close_handle_scope(env->napi, scope);
  return made;
}

/*
 * Removes the slabs before the one that is being filled from JavaScript's array. No record names them any
 * more, so only their receivers hold them. Don't keep them longer: a slab that is reachable during a
 * young-generation collection is promoted to the old generation, and V8 then soon marks the whole heap.
 */
static void gyre__release_kind(gyre_env_t* env, int kind) {
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

void gyre__slabs_release(gyre_env_t* env) {
  if (env->ending) return;
  for (int kind = 0; kind < GYRE_SLAB_KINDS; kind++) gyre__release_kind(env, kind);
}

void gyre__slabs_recheck(gyre_env_t* env) {
  for (int kind = 0; kind < GYRE_SLAB_KINDS; kind++) env->slabs[kind].is_attached = false;
}

/*
 * Whether the slab's ArrayBuffer is still attached. The receiver of a view can transfer it (structuredClone,
 * a byte stream, transfer()). Then its memory has another owner, or is freed. No JavaScript runs while
 * records are written, so one check for each poll phase is enough.
 */
static bool gyre__slab_is_attached(gyre_env_t* env, gyre_slab_t* slab) {
  if (slab->is_attached) return true;
  napi_handle_scope scope;
  napi_value buffer;
  bool detached = true;
  if (napi_open_handle_scope(env->napi, &scope) != napi_ok) return false;
  bool known = napi_get_reference_value(env->napi, slab->buffer, &buffer) == napi_ok &&
               napi_is_detached_arraybuffer(env->napi, buffer, &detached) == napi_ok;
  napi_close_handle_scope(env->napi, scope);
  return slab->is_attached = known && !detached;
}

/* Makes sure that the slab which is being filled, or a new one, has `wanted` free bytes. */
static bool gyre__slab_has(gyre_env_t* env, int kind, size_t wanted) {
  gyre_slab_t* slab = &env->slabs[kind];
  if (env->ending) return false;
  bool fits = slab->memory != NULL && gyre__kinds[kind].size - slab->used >= wanted;
  return (fits && gyre__slab_is_attached(env, slab)) || gyre__slab_next(env, kind);
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

/* Views begin at multiples of 8, so that a receiver can lay typed arrays of any element over them. */
gyre_place_t gyre__slab_commit(gyre_env_t* env, size_t length) {
  int kind = 0;
  while (length > gyre__kinds[kind].longest) kind++;
  /* If there is no memory for a smaller slab, the data stays in the large one. */
  if (kind != GYRE_LARGE && !gyre__slab_has(env, kind, length)) kind = GYRE_LARGE;
  const gyre_slab_t* large = &env->slabs[GYRE_LARGE];
  gyre_slab_t* slab = &env->slabs[kind];
  if (kind != GYRE_LARGE) memcpy(slab->memory + slab->used, large->memory + large->used, length);
  gyre_place_t place = {.slot = (int32_t)gyre__slot(kind, slab->slot), .offset = (int32_t)slab->used};
  slab->used += (uint32_t)((length + 7) & ~(size_t)7);
  if (slab->used > gyre__kinds[kind].size) slab->used = gyre__kinds[kind].size;
  return place;
}
