/* getaddrinfo and getnameinfo on libuv's threads. After GYRE_RESOLVED, JavaScript takes the answer. */
#include <stdlib.h>
#include <string.h>

#include "gyre.h"

typedef struct {
  gyre_handle_t handle;
  uv_req_t* request; /* libuv uses it until the answer; its size is known only at run time */
  bool of_names;
  struct addrinfo* addresses; /* the answer of getaddrinfo */
  char* names;                /* the answer of getnameinfo: host, NUL, service, NUL */
} gyre_lookup_t;

static void gyre__lookup_gone(gyre_handle_t* handle) {
  gyre_lookup_t* lookup = (gyre_lookup_t*)handle;
  free(lookup->request);
  uv_freeaddrinfo(lookup->addresses);
  free(lookup->names);
}

/* Returns NULL if there is no memory. */
static gyre_lookup_t* gyre__lookup_new(gyre_env_t* env, uv_req_type type) {
  gyre_lookup_t* lookup = gyre__handle_new(env, GYRE_LOOKUP, sizeof(*lookup));
  if (lookup == NULL) return NULL;
  lookup->handle.on_close = gyre__lookup_gone;
  lookup->of_names = type == UV_GETNAMEINFO;
  lookup->request = gyre__alloc(uv_req_size(type));
  if (lookup->request == NULL) {
    gyre__handle_free(&lookup->handle);
    return NULL;
  }
  lookup->request->data = lookup;
  return lookup;
}

/* Returns the lookup's id; or the error with which it could not begin, after freeing the lookup. */
static int gyre__lookup_begun(gyre_lookup_t* lookup, int error) {
  if (error == 0) return lookup->handle.id;
  gyre__handle_free(&lookup->handle);
  return error;
}

static void gyre__answered(gyre_lookup_t* lookup, int status) {
  free(lookup->request);
  lookup->request = NULL;
  if (lookup->handle.closing) gyre__handle_free(&lookup->handle);
  else gyre__event(lookup->handle.env, lookup->handle.id, GYRE_RESOLVED, status, 0, 0);
}

static void gyre__on_addresses(uv_getaddrinfo_t* req, int status, struct addrinfo* found) {
  gyre_lookup_t* lookup = req->data;
  lookup->addresses = found;
  gyre__answered(lookup, status);
}

/* getaddrinfo(host | null, service | null, family, type, proto, flags): an id or an error. */
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
  gyre_lookup_t* lookup = result == 0 ? gyre__lookup_new(args.env, UV_GETADDRINFO) : NULL;
  if (result == 0 && lookup == NULL) result = UV_ENOMEM;
  if (result == 0) {
    uv_getaddrinfo_t* req = (uv_getaddrinfo_t*)lookup->request;
    result = gyre__lookup_begun(lookup, uv_getaddrinfo(args.env->loop, req, gyre__on_addresses, host, service, &hints));
  }
  free(host);
  free(service);
  return gyre__int(&args, result);
}

/* Returns the lookup of an id if its answer has come. */
static gyre_lookup_t* gyre__arg_answer(gyre_args_t* args, size_t index, bool of_names) {
  gyre_lookup_t* lookup = (gyre_lookup_t*)gyre__arg_handle(args, index, GYRE_LOOKUP);
  return lookup != NULL && lookup->request == NULL && lookup->of_names == of_names ? lookup : NULL;
}

/* takeAddresses(id): [family, type, proto, canonname, sockaddr] for each address. Frees the lookup. */
static napi_value gyre_take_addresses(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_lookup_t* lookup = gyre__arg_answer(&args, 0, false);
  napi_value result;
  napi_create_array(napi, &result);
  if (lookup == NULL) return result;
  uint32_t count = 0;
  for (const struct addrinfo* one = lookup->addresses; one != NULL; one = one->ai_next) {
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
  gyre__handle_free(&lookup->handle);
  return result;
}

static void gyre__on_names(uv_getnameinfo_t* req, int status, const char* host, const char* service) {
  gyre_lookup_t* lookup = req->data;
  if (status == 0) {
    size_t host_size = strlen(host) + 1, service_size = strlen(service) + 1;
    lookup->names = gyre__alloc(host_size + service_size);
    if (lookup->names == NULL) {
      status = UV_ENOMEM;
    } else {
      memcpy(lookup->names, host, host_size);
      memcpy(lookup->names + host_size, service, service_size);
    }
  }
  gyre__answered(lookup, status);
}

/* getnameinfo(host, port, scope, flags): an id or an error. */
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
  gyre_lookup_t* lookup = gyre__lookup_new(args.env, UV_GETNAMEINFO);
  if (lookup == NULL) return gyre__int(&args, UV_ENOMEM);
  uv_getnameinfo_t* req = (uv_getnameinfo_t*)lookup->request;
  error = uv_getnameinfo(args.env->loop, req, gyre__on_names, (struct sockaddr*)&address, flags);
  return gyre__int(&args, gyre__lookup_begun(lookup, error));
}

/* takeNames(id): [host, service]. Frees the lookup. */
static napi_value gyre_take_names(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_lookup_t* lookup = gyre__arg_answer(&args, 0, true);
  napi_value result;
  napi_create_array(napi, &result);
  if (lookup == NULL) return result;
  const char* host = lookup->names;
  if (host != NULL) {
    napi_set_element(napi, result, 0, gyre__string(&args, host, NAPI_AUTO_LENGTH));
    napi_set_element(napi, result, 1, gyre__string(&args, host + strlen(host) + 1, NAPI_AUTO_LENGTH));
  }
  gyre__handle_free(&lookup->handle);
  return result;
}

void gyre__lookup_forget(gyre_handle_t* handle) {
  gyre_lookup_t* lookup = (gyre_lookup_t*)handle;
  if (handle->closing) return;
  if (lookup->request == NULL) {
    gyre__handle_free(handle);
    return;
  }
  handle->closing = true;
  /* If no thread has begun the lookup, libuv ends it at once. Otherwise gyre__answered() drops the answer. */
  uv_cancel(lookup->request);
}

/* forget(id): cancels a lookup, or drops its answer. */
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
