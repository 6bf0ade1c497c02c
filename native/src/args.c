/*
 * Arguments from JavaScript, and results to it. Only gyre calls these functions, so a wrong type is a bug of
 * gyre. It must not crash the process.
 */
#include <stdlib.h>
#include <string.h>

#include "gyre.h"

gyre_args_t gyre__args(napi_env napi, napi_callback_info info) {
  gyre_args_t args = {.argc = sizeof(args.argv) / sizeof(*args.argv)};
  void* data = NULL;
  napi_get_cb_info(napi, info, &args.argc, args.argv, NULL, &data);
  args.env = data;
  return args;
}

int32_t gyre__arg_int(gyre_args_t* args, size_t index) {
  double value = 0;
  if (index < args->argc && napi_get_value_double(args->env->napi, args->argv[index], &value) == napi_ok &&
      value >= INT32_MIN && value <= INT32_MAX && value == (int32_t)value) {
    return (int32_t)value;
  }
  args->failed = true;
  return -1;
}

uint32_t gyre__arg_uint(gyre_args_t* args, size_t index) {
  double value = 0;
  if (index < args->argc && napi_get_value_double(args->env->napi, args->argv[index], &value) == napi_ok && value >= 0 &&
      value <= UINT32_MAX && value == (uint32_t)value) {
    return (uint32_t)value;
  }
  args->failed = true;
  return 0;
}

size_t gyre__arg_size(gyre_args_t* args, size_t index) {
  static const double largest = 9007199254740991.0; /* every integer up to this is exact in a double */
  double value = 0;
  if (index < args->argc && napi_get_value_double(args->env->napi, args->argv[index], &value) == napi_ok && value >= 0 &&
      value <= largest && value == (double)(size_t)value) {
    return (size_t)value;
  }
  args->failed = true;
  return 0;
}

bool gyre__arg_bool(gyre_args_t* args, size_t index) {
  bool value = false;
  if (index >= args->argc || napi_get_value_bool(args->env->napi, args->argv[index], &value) != napi_ok) {
    args->failed = true;
  }
  return value;
}

gyre_handle_t* gyre__arg_handle(gyre_args_t* args, size_t index, enum gyre_kind kind) {
  int32_t id = gyre__arg_int(args, index);
  gyre_handle_t* handle = args->failed ? NULL : gyre__handle_get(args->env, id);
  return handle != NULL && handle->kind == kind ? handle : NULL;
}

gyre_handle_t* gyre__arg_open(gyre_args_t* args, size_t index) {
  int32_t id = gyre__arg_int(args, index);
  gyre_handle_t* handle = args->failed ? NULL : gyre__handle_get(args->env, id);
  return handle != NULL && handle->kind != GYRE_LOOKUP ? handle : NULL;
}

bool gyre__bytes(napi_env napi, napi_value value, uv_buf_t* bytes) {
  void* data = NULL;
  size_t length = 0;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(napi, value, &type, &length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array) {
    return false;
  }
  /* Don't use uv_buf_init(): it truncates a length of 4 GiB or more. */
  bytes->base = data;
  bytes->len = length;
  return true;
}

uv_buf_t gyre__arg_bytes(gyre_args_t* args, size_t index) {
  uv_buf_t bytes = {.base = NULL, .len = 0};
  if (index >= args->argc || !gyre__bytes(args->env->napi, args->argv[index], &bytes)) args->failed = true;
  return bytes;
}

char* gyre__arg_string(gyre_args_t* args, size_t index) {
  napi_env napi = args->env->napi;
  napi_valuetype type = napi_undefined;
  if (index < args->argc) napi_typeof(napi, args->argv[index], &type);
  if (type == napi_undefined || type == napi_null) return NULL;
  size_t length = 0;
  uv_buf_t bytes = {.base = NULL, .len = 0};
  bool is_text = napi_get_value_string_utf8(napi, args->argv[index], NULL, 0, &length) == napi_ok;
  bool known = is_text || gyre__bytes(napi, args->argv[index], &bytes);
  if (!is_text) length = bytes.len;
  char* text = known ? gyre__alloc(length + 1) : NULL;
  if (known && text == NULL) args->no_memory = true;
  if (text != NULL) {
    if (is_text) napi_get_value_string_utf8(napi, args->argv[index], text, length + 1, &length);
    else if (length > 0) memcpy(text, bytes.base, length);
    if (memchr(text, '\0', length) == NULL) return text;
  }
  free(text);
  args->failed = true;
  return NULL;
}

napi_value gyre__int(gyre_args_t* args, int64_t value) {
  napi_value result = NULL;
  /* V8 allocates no heap object for a small integer. */
  if (value == (int32_t)value) napi_create_int32(args->env->napi, (int32_t)value, &result);
  else napi_create_int64(args->env->napi, value, &result);
  return result;
}

napi_value gyre__string(gyre_args_t* args, const char* text, size_t length) {
  napi_value result = NULL;
  napi_create_string_utf8(args->env->napi, text, length, &result);
  return result;
}
