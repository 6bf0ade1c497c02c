/* Renegotiation, which TLS 1.3 does not have: see tls.h. */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <string.h>

static void gyre__tls_refuse_client(gyre_tls_t* tls) {
  static const char text[] = "TLS session renegotiation disabled for this socket";
  tls->failed = true;
  tls->code = "ERR_TLS_RENEGOTIATION_DISABLED";
  tls->message = gyre__alloc(sizeof(text));
  if (tls->message != NULL) memcpy(tls->message, text, sizeof(text));
}

void gyre__tls_on_info(const SSL* ssl, int where, int result) {
  (void)result;
  gyre_tls_t* tls = SSL_get_app_data(ssl);
  /* TLS 1.3 reports its other messages in the same way. */
  if (tls == NULL || !tls->secured || tls->failed || SSL_version(ssl) >= TLS1_3_VERSION) return;
  if (tls->is_server && (where & SSL_CB_HANDSHAKE_START)) gyre__tls_refuse_client(tls);
  if (!tls->is_server && (where & SSL_CB_HANDSHAKE_DONE)) tls->unverified = true;
}

/* Encrypts what has waited for the end of a renegotiation. */
void gyre__tls_write_unsent(gyre_tls_t* tls) {
  if (tls->unsent.length == 0 || !gyre__tls_is_open(tls) || SSL_in_init(tls->ssl)) return;
  gyre_bytes_t unsent = tls->unsent;
  tls->unsent = (gyre_bytes_t){0};
  gyre__tls_write(tls, unsent.data, unsent.length);
  gyre__tls_wipe(&unsent);
}

/* Whether data or close_notify waits for the end of a renegotiation. */
bool gyre__tls_waits(const gyre_tls_t* tls) {
  return tls->unsent.length > 0 || tls->end_waits;
}

/*
 * tlsVerified(id): the peer's certificate was verified again. tlsDecrypt() then returns what the session
 * holds.
 */
static napi_value gyre_tls_verified(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  if (tls != NULL) tls->unverified = false;
  return NULL;
}

const gyre_export_t gyre_tls_renegotiation_exports[] = {
    {"tlsVerified", gyre_tls_verified},
    {NULL, NULL},
};
#endif
