/* What libuv was asked for. Its size is only known at run time, as that of a handle. */
#include <stdlib.h>

#include "gyre.h"

gyre_request_t* gyre__request_new(gyre_env_t* env, gyre_handle_t* handle, uv_req_type type, size_t room) {
  size_t head = (sizeof(gyre_request_t) + 15) & ~(size_t)15;
  gyre_request_t* request = gyre__alloc(head + uv_req_size(type) + room);
  if (request == NULL) return NULL;
  request->env = env;
  request->handle = handle;
  request->room = uv_buf_init((char*)request + head + uv_req_size(type), (unsigned int)room);
  ((uv_req_t*)gyre__req(request))->data = request;
  return request;
}

void gyre__request_free(gyre_request_t* request) {
  if (request == NULL) return;
  if (request->data != NULL) napi_delete_reference(request->env->napi, request->data);
  free(request);
}
