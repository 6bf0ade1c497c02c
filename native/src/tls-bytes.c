/* Bytes of a TLS session that grow. They may be secret, so what is freed is zeroed first. */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <stdlib.h>
#include <string.h>

enum {
  GYRE_TLS_FIRST_CAPACITY = 4 * 1024,
  /* A larger buffer is freed after its use. */
  GYRE_TLS_KEPT_CAPACITY = 256 * 1024,
};

bool gyre__tls_room(gyre_bytes_t* bytes, size_t more) {
  if (bytes->capacity - bytes->length >= more) return true;
  size_t capacity = bytes->capacity == 0 ? GYRE_TLS_FIRST_CAPACITY : bytes->capacity * 2;
  while (capacity < bytes->length + more) capacity *= 2;
  /* Don't use realloc(): it would leave a copy of the plaintext behind. */
  uint8_t* data = gyre__alloc(capacity);
  if (data == NULL) return false;
  if (bytes->length > 0) memcpy(data, bytes->data, bytes->length);
  if (bytes->data != NULL) OPENSSL_cleanse(bytes->data, bytes->length);
  free(bytes->data);
  bytes->data = data;
  bytes->capacity = capacity;
  return true;
}

bool gyre__tls_append(gyre_bytes_t* bytes, const void* data, size_t length) {
  /* C forbids memcpy() from NULL, which an empty buffer may have as its address. */
  if (length == 0) return true;
  if (!gyre__tls_room(bytes, length)) return false;
  memcpy(bytes->data + bytes->length, data, length);
  bytes->length += length;
  return true;
}

void gyre__tls_wipe(gyre_bytes_t* bytes) {
  if (bytes->data != NULL) OPENSSL_cleanse(bytes->data, bytes->length);
  free(bytes->data);
  *bytes = (gyre_bytes_t){0};
}

/* Empties a buffer of the environment, which keeps its memory for the next call. */
void gyre__tls_empty(gyre_bytes_t* bytes) {
  bytes->length = 0;
  if (bytes->capacity <= GYRE_TLS_KEPT_CAPACITY) return;
  free(bytes->data);
  *bytes = (gyre_bytes_t){0};
}
#endif
