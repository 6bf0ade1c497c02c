/* getaddrinfo and getnameinfo on libuv's threads. GYRE_RESOLVED tells that the answer can be taken. */
#include <stdlib.h>
#include <string.h>

#include "gyre.h"

/* Of a lookup, `data` and `on_free` are the answer, once there is one; before, `data` is libuv's request. */
static bool gyre__is_answered(const gyre_handle_t* handle) {
  return handle->on_free != NULL;
}

static void gyre__free_addresses(gyre_handle_t* handle) {
  uv_freeaddrinfo(handle->data);
}

static void gyre__answered(gyre_handle_t* handle, int status) {
  if (handle->closing) gyre__handle_free(handle);
  else gyre__event(handle->env, handle->id, GYRE_RESOLVED, status, 0, 0);
}

static void gyre__on_addresses(uv_getaddrinfo_t* req, int status, struct addrinfo* found) {
  gyre_request_t* request = gyre__request_of(req);
  gyre_handle_t* handle = request->handle;
  handle->data = found;
  handle->on_free = gyre__free_addresses;
  gyre__request_free(request);
  gyre__answered(handle, status);
}

/* A lookup and libuv's request for it; NULL without memory. */
static gyre_request_t* gyre__lookup_new(gyre_env_t* env, uv_req_type type) {
  gyre_handle_t* handle = gyre__handle_new(env, GYRE_LOOKUP, UV_UNKNOWN_HANDLE);
  if (handle == NULL) return NULL;
  gyre_request_t* request = gyre__request_new(env, handle, type, 0);
  if (request == NULL) gyre__handle_free(handle);
  else handle->data = gyre__req(request);
  return request;
}

/* The lookup's id; or the error with which it did not begin, and nothing is left of it. */
static int gyre__lookup_begun(gyre_request_t* request, int error) {
  gyre_handle_t* handle = request->handle;
  if (error == 0) return handle->id;
  gyre__request_free(request);
  gyre__handle_free(handle);
  return error;
}

/* getaddrinfo(host | null, service | null, family, type, proto, flags): an id, or an error. */
static napi_value gyre_getaddrinfo(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  char* host = gyre__arg_string(&args, 0);
  char* service = gyre__arg_string(&args, 1);
  struct addrinfo hints;
  memset(&hints, 0, sizeof(hints));
  hints.ai_family = gyre__arg_int(&args, 2);
  hints.ai_socktype = gyre__arg_int(&args, 3);
  hints.ai_protocol = gyre__arg_int(&args, 4);
  hints.ai_flags = gyre__arg_int(&args, 5);
  int result = gyre__arg_error(&args);
  if (result == 0) {
    gyre_request_t* request = gyre__lookup_new(args.env, UV_GETADDRINFO);
    result = request == NULL ? UV_ENOMEM
                             : gyre__lookup_begun(request, uv_getaddrinfo(args.env->loop, gyre__req(request), gyre__on_addresses,
                                                                          host, service, &hints));
  }
  free(host);
  free(service);
  return gyre__int(&args, result);
}

/* The lookup of an id that has its answer from `free_answer`. */
static gyre_handle_t* gyre__arg_answer(gyre_args_t* args, size_t index, void (*free_answer)(gyre_handle_t*)) {
  gyre_handle_t* handle = gyre__arg_handle(args, index, GYRE_LOOKUP);
  return handle != NULL && handle->on_free == free_answer ? handle : NULL;
}

/* takeAddresses(id): [family, type, proto, canonname, sockaddr] for each; the id is then gone. */
static napi_value gyre_take_addresses(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_answer(&args, 0, gyre__free_addresses);
  napi_value result;
  napi_create_array(napi, &result);
  if (handle == NULL) return result;
  uint32_t count = 0;
  for (const struct addrinfo* one = handle->data; one != NULL; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    napi_value entry;
    napi_create_array_with_length(napi, 5, &entry);
    const char* name = one->ai_canonname == NULL ? "" : one->ai_canonname;
    napi_set_element(napi, entry, 0, gyre__int(&args, one->ai_family));
    napi_set_element(napi, entry, 1, gyre__int(&args, one->ai_socktype));
    napi_set_element(napi, entry, 2, gyre__int(&args, one->ai_protocol));
    napi_set_element(napi, entry, 3, gyre__string(&args, name, NAPI_AUTO_LENGTH));
    napi_set_element(napi, entry, 4, gyre__format_address(&args, one->ai_addr, one->ai_addrlen));
    napi_set_element(napi, result, count++, entry);
  }
  gyre__handle_free(handle);
  return result;
}

static void gyre__free_names(gyre_handle_t* handle) {
  free(handle->data);
}

static void gyre__on_names(uv_getnameinfo_t* req, int status, const char* host, const char* service) {
  gyre_request_t* request = gyre__request_of(req);
  gyre_handle_t* handle = request->handle;
  handle->data = NULL;
  handle->on_free = gyre__free_names;
  if (status == 0) {
    size_t host_size = strlen(host) + 1, service_size = strlen(service) + 1;
    char* names = gyre__alloc(host_size + service_size);
    if (names == NULL) {
      status = UV_ENOMEM;
    } else {
      memcpy(names, host, host_size);
      memcpy(names + host_size, service, service_size);
    }
    handle->data = names;
  }
  /* host and service are in there. */
  gyre__request_free(request);
  gyre__answered(handle, status);
}

/* getnameinfo(host, port, scope, flags): an id, or an error. */
static napi_value gyre_getnameinfo(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  char* host = gyre__arg_string(&args, 0);
  int32_t port = gyre__arg_int(&args, 1);
  uint32_t scope = gyre__arg_uint(&args, 2);
  int32_t flags = gyre__arg_int(&args, 3);
  struct sockaddr_storage address;
  int error = gyre__arg_error(&args);
  if (error == 0) error = host == NULL ? UV_EINVAL : gyre__parse_address(host, port, scope, &address);
  free(host);
  if (error != 0) return gyre__int(&args, error);
  gyre_request_t* request = gyre__lookup_new(args.env, UV_GETNAMEINFO);
  if (request == NULL) return gyre__int(&args, UV_ENOMEM);
  error = uv_getnameinfo(args.env->loop, gyre__req(request), gyre__on_names, (struct sockaddr*)&address, flags);
  return gyre__int(&args, gyre__lookup_begun(request, error));
}

/* takeNames(id): [host, service]; the id is then gone. */
static napi_value gyre_take_names(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_answer(&args, 0, gyre__free_names);
  napi_value result;
  napi_create_array(napi, &result);
  if (handle == NULL) return result;
  const char* host = handle->data;
  if (host != NULL) {
    napi_set_element(napi, result, 0, gyre__string(&args, host, NAPI_AUTO_LENGTH));
    napi_set_element(napi, result, 1, gyre__string(&args, host + strlen(host) + 1, NAPI_AUTO_LENGTH));
  }
  gyre__handle_free(handle);
  return result;
}

void gyre__lookup_forget(gyre_handle_t* handle) {
  if (handle->closing) return;
  if (gyre__is_answered(handle)) {
    gyre__handle_free(handle);
    return;
  }
  handle->closing = true;
  /* One that no thread has begun is answered at once; of one under way the answer is dropped when it comes. */
  uv_cancel(handle->data);
}

/* forget(id) */
static napi_value gyre_forget(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_LOOKUP);
  if (handle != NULL) gyre__lookup_forget(handle);
  return NULL;
}

const gyre_export_t gyre_resolver_exports[] = {
    {"getaddrinfo", gyre_getaddrinfo},
    {"takeAddresses", gyre_take_addresses},
    {"getnameinfo", gyre_getnameinfo},
    {"takeNames", gyre_take_names},
    {"forget", gyre_forget},
    {NULL, NULL},
};
