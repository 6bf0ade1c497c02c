/* Every allocation of the addon. */
#include <stdlib.h>

#include "gyre.h"

#ifdef GYRE_TEST_FAULTS
/* How many allocations of this thread succeed before one fails; negative: none fails. */
static _Thread_local int32_t gyre__allocations_left = -1;

bool gyre__fault(void) {
  return gyre__allocations_left >= 0 && gyre__allocations_left-- == 0;
}

/*
 * failAllocation(n): makes an allocation fail after n others have succeeded; negative: none fails. Returns
 * the number that was left before.
 */
static napi_value gyre__fail_allocation(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t left = gyre__allocations_left;
  gyre__allocations_left = gyre__arg_int(&args, 0);
  return gyre__int(&args, left);
}

const napi_callback gyre_fail_allocation = gyre__fail_allocation;
#endif

void* gyre__alloc(size_t size) {
  return gyre__fault() ? NULL : calloc(1, size);
}

void* gyre__realloc(void* memory, size_t size) {
  return gyre__fault() ? NULL : realloc(memory, size);
}
