/* The BIO between OpenSSL and the bytes of a session: see tls.h. */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <string.h>

static int gyre__bio_read(BIO* bio, char* to, int size) {
  gyre_tls_t* tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  size_t count = size < 0 ? 0 : (size_t)size;
  if (count > tls->in_length) count = tls->in_length;
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  memcpy(to, tls->in, count);
  tls->in += count;
  tls->in_length -= count;
  return (int)count;
}

static int gyre__bio_write(BIO* bio, const char* from, int size) {
  gyre_tls_t* tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  return size >= 0 && gyre__tls_append(tls->sink, from, (size_t)size) ? size : -1;
}

static long gyre__bio_ctrl(BIO* bio, int command, long number, void* pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD* gyre__bio_method;

static void gyre__bio_method_make(void) {
  BIO_METHOD* method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "gyre");
  if (method == NULL) return;
  if (BIO_meth_set_read(method, gyre__bio_read) && BIO_meth_set_write(method, gyre__bio_write) &&
      BIO_meth_set_ctrl(method, gyre__bio_ctrl)) {
    gyre__bio_method = method;
  } else {
    BIO_meth_free(method);
  }
}

BIO* gyre__tls_bio(gyre_tls_t* tls) {
  static uv_once_t once = UV_ONCE_INIT;
  uv_once(&once, gyre__bio_method_make);
  BIO* bio = gyre__bio_method == NULL ? NULL : BIO_new(gyre__bio_method);
  if (bio == NULL) return NULL;
  BIO_set_data(bio, tls);
  BIO_set_init(bio, 1);
  return bio;
}
#endif
