/* What libuv was asked for. Its size is only known at run time, as that of a handle. */
#include <stdlib.h>

#include "gyre.h"

gyre_request_t* gyre__request_new(gyre_env_t* env, gyre_handle_t* handle, uv_req_type type, napi_value held) {
  size_t head = (sizeof(gyre_request_t) + 15) & ~(size_t)15;
  gyre_request_t* request = gyre__alloc(head + uv_req_size(type));
  if (request == NULL) return NULL;
  request->env = env;
  request->handle = handle;
  ((uv_req_t*)gyre__req(request))->data = request;
  if (held != NULL && (gyre__fault() || napi_create_reference(env->napi, held, 1, &request->buffer) != napi_ok)) {
    free(request);
    return NULL;
  }
  return request;
}

void gyre__request_free(gyre_request_t* request) {
  if (request == NULL) return;
  if (request->buffer != NULL) napi_delete_reference(request->env->napi, request->buffer);
  free(request);
}
