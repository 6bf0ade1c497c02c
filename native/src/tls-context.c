/*
 * TLS contexts: an SSL_CTX from the options of node:tls. Node's own createSecureContext() has checked the
 * same options before, so a failure here is rare. The order and the details are those of Node.
 */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/core_names.h>
#include <stdlib.h>
#include <string.h>

/* Marks the objects of JavaScript that hold a context. */
static const napi_type_tag gyre__tls_tag = {0x67797265746c7363ULL, 0x6f6e746578740001ULL};

enum {
  /* An estimate of a context's size, for V8. */
  GYRE_TLS_CONTEXT_BYTES = 16 * 1024,
};

gyre_tls_context_t* gyre__arg_tls_context(gyre_args_t* args, size_t index) {
  napi_env napi = args->env->napi;
  napi_valuetype type = napi_undefined;
  void* data = NULL;
  bool tagged = false;
  if (index < args->argc) napi_typeof(napi, args->argv[index], &type);
  bool known = type == napi_object && napi_check_object_type_tag(napi, args->argv[index], &gyre__tls_tag, &tagged) == napi_ok &&
               tagged && napi_unwrap(napi, args->argv[index], &data) == napi_ok;
  if (!known) args->failed = true;
  return known ? data : NULL;
}

/* --- callbacks of a context --- */

static int gyre__tls_accept_any(int preverified, X509_STORE_CTX* store) {
  /* As in Node: the handshake goes on, and JavaScript asks for the result at its end. */
  (void)preverified;
  (void)store;
  return 1;
}

static void gyre__tls_on_keylog(const SSL* ssl, const char* line) {
  gyre__tls_note((SSL*)ssl, GYRE_TLS_KEYLOG, line, strlen(line));
}

static int gyre__tls_on_session(SSL* ssl, SSL_SESSION* session) {
  gyre_tls_t* tls = SSL_get_app_data(ssl);
  if (tls == NULL || !(tls->watched & GYRE_TLS_SESSION)) return 0;
  int length = i2d_SSL_SESSION(session, NULL);
  unsigned char* bytes = length > 0 ? gyre__alloc((size_t)length) : NULL;
  if (bytes != NULL) {
    unsigned char* end = bytes;
    i2d_SSL_SESSION(session, &end);
    gyre__tls_note(ssl, GYRE_TLS_SESSION, bytes, (size_t)length);
    OPENSSL_cleanse(bytes, (size_t)length);
  }
  free(bytes);
  /* The session still belongs to OpenSSL. */
  return 0;
}

static int gyre__tls_select(SSL* ssl, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                            unsigned int in_length, void* data) {
  (void)ssl;
  const gyre_tls_context_t* context = data;
  int status = SSL_select_next_proto((unsigned char**)out, out_length, context->protocols,
                                     (unsigned int)context->protocols_length, in, in_length);
  return status == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/*
 * Node's format of a session ticket: AES-128-CBC with HMAC-SHA256. Processes with the same keys share
 * tickets.
 */
static int gyre__tls_on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                               int encrypts) {
  const gyre_tls_context_t* context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  const uint8_t* keys = context->ticket_keys;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void*)(keys + 16), 16),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "sha256", 0),
      OSSL_PARAM_construct_end(),
  };
  if (encrypts) {
    memcpy(name, keys, 16);
    if (RAND_bytes(iv, 16) <= 0 || EVP_EncryptInit_ex(cipher, EVP_aes_128_cbc(), NULL, keys + 32, iv) <= 0) return -1;
    return EVP_MAC_CTX_set_params(mac, params) <= 0 ? -1 : 1;
  }
  if (memcmp(name, keys, 16) != 0) return 0;
  if (EVP_DecryptInit_ex(cipher, EVP_aes_128_cbc(), NULL, keys + 32, iv) <= 0) return -1;
  return EVP_MAC_CTX_set_params(mac, params) <= 0 ? -1 : 1;
}

/* --- creation --- */

static void gyre__tls_context_free(napi_env napi, void* data, void* hint) {
  (void)hint;
  gyre_tls_context_t* context = data;
  int64_t total;
  if (napi != NULL) napi_adjust_external_memory(napi, -GYRE_TLS_CONTEXT_BYTES, &total);
  SSL_CTX_free(context->ssl_ctx);
  free(context->protocols);
  OPENSSL_cleanse(context, sizeof(*context));
  free(context);
}

static const SSL_METHOD* gyre__tls_method(int32_t role) {
  return role == 1 ? TLS_server_method() : role == 2 ? TLS_client_method() : TLS_method();
}

/*
 * tlsContext(role, min, max, options): a context without a certificate. Role 0: both sides, 1: server, 2:
 * client. The versions are OpenSSL's numbers; 0: no limit. null: there is no memory.
 */
static napi_value gyre_tls_context(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t role = gyre__arg_int(&args, 0);
  int32_t min = gyre__arg_int(&args, 1);
  int32_t max = gyre__arg_int(&args, 2);
  size_t options = gyre__arg_size(&args, 3);
  gyre_tls_context_t* context = args.failed ? NULL : gyre__alloc(sizeof(*context));
  if (context == NULL) return gyre__null(&args);
  ERR_clear_error();
  context->ssl_ctx = gyre__fault() ? NULL : SSL_CTX_new(gyre__tls_method(role));
  napi_value object;
  SSL_CTX* ctx = context->ssl_ctx;
  if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, min) != 1 || SSL_CTX_set_max_proto_version(ctx, max) != 1 ||
      napi_create_object(napi, &object) != napi_ok || napi_type_tag_object(napi, object, &gyre__tls_tag) != napi_ok ||
      napi_wrap(napi, object, context, gyre__tls_context_free, NULL, NULL) != napi_ok) {
    gyre__tls_context_free(NULL, context, NULL);
    return gyre__null(&args);
  }
  int64_t total;
  napi_adjust_external_memory(napi, GYRE_TLS_CONTEXT_BYTES, &total);
  SSL_CTX_set_app_data(ctx, context);
  SSL_CTX_set_options(ctx, SSL_OP_NO_SSLv2 | SSL_OP_NO_SSLv3 | (uint64_t)options);
  SSL_CTX_clear_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(
      ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
  SSL_CTX_sess_set_new_cb(ctx, gyre__tls_on_session);
  SSL_CTX_set_keylog_callback(ctx, gyre__tls_on_keylog);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, gyre__tls_accept_any);
  return object;
}

/* --- what is negotiated --- */

/* An option that is one text. */
static napi_value gyre__set_text(napi_env napi, napi_callback_info info, bool (*set)(SSL_CTX*, const char*)) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  char* text = gyre__arg_string(&args, 1);
  ERR_clear_error();
  bool is_fine = context != NULL && text != NULL && set(context->ssl_ctx, text);
  free(text);
  return gyre__tls_result(&args, is_fine);
}

static bool gyre__set_ciphers(SSL_CTX* ctx, const char* list) {
  bool set = SSL_CTX_set_cipher_list(ctx, list) == 1;
  /* Without a cipher for TLS 1.2, only TLS 1.3 is left. OpenSSL calls that an error. */
  if (!set && list[0] == '\0' && ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_CIPHER_MATCH) {
    ERR_clear_error();
    return true;
  }
  return set;
}

static bool gyre__set_suites(SSL_CTX* ctx, const char* list) {
  return SSL_CTX_set_ciphersuites(ctx, list) == 1;
}

static bool gyre__set_groups(SSL_CTX* ctx, const char* list) {
  return SSL_CTX_set1_groups_list(ctx, list) == 1;
}

static bool gyre__set_sigalgs(SSL_CTX* ctx, const char* list) {
  return SSL_CTX_set1_sigalgs_list(ctx, list) == 1;
}

static napi_value gyre_tls_ciphers(napi_env napi, napi_callback_info info) {
  return gyre__set_text(napi, info, gyre__set_ciphers);
}

static napi_value gyre_tls_suites(napi_env napi, napi_callback_info info) {
  return gyre__set_text(napi, info, gyre__set_suites);
}

static napi_value gyre_tls_groups(napi_env napi, napi_callback_info info) {
  return gyre__set_text(napi, info, gyre__set_groups);
}

static napi_value gyre_tls_sigalgs(napi_env napi, napi_callback_info info) {
  return gyre__set_text(napi, info, gyre__set_sigalgs);
}

/* tlsDh(context, pem): parameters for DHE with TLS 1.2; null: OpenSSL chooses them. */
static napi_value gyre_tls_dh(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t pem = gyre__tls_optional_bytes(&args, 1);
  if (args.failed) return gyre__tls_result(&args, false);
  ERR_clear_error();
  if (pem.base == NULL) return gyre__tls_result(&args, SSL_CTX_set_dh_auto(context->ssl_ctx, 1) == 1);
  BIO* bio = BIO_new_mem_buf(pem.base, (int)pem.len);
  EVP_PKEY* params = bio == NULL ? NULL : PEM_read_bio_Parameters(bio, NULL);
  /* The context owns the parameters if it takes them. */
  bool is_fine = params != NULL && SSL_CTX_set0_tmp_dh_pkey(context->ssl_ctx, params) == 1;
  if (!is_fine) EVP_PKEY_free(params);
  BIO_free(bio);
  return gyre__tls_result(&args, is_fine);
}

/* tlsProtocols(context, names, serverSide): ALPN names, each after its length. */
static napi_value gyre_tls_protocols(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t names = gyre__arg_bytes(&args, 1);
  bool is_server = gyre__arg_bool(&args, 2);
  if (args.failed || context->protocols != NULL) return gyre__tls_result(&args, false);
  if (!is_server) {
    return gyre__tls_result(&args, SSL_CTX_set_alpn_protos(context->ssl_ctx, (const unsigned char*)names.base, (unsigned int)names.len) == 0);
  }
  if (names.len == 0) return gyre__null(&args);
  context->protocols = gyre__alloc(names.len);
  if (context->protocols == NULL) return gyre__tls_result(&args, false);
  memcpy(context->protocols, names.base, names.len);
  context->protocols_length = names.len;
  SSL_CTX_set_alpn_select_cb(context->ssl_ctx, gyre__tls_select, context);
  return gyre__null(&args);
}

/* tlsVerify(context, demands): a server asks its clients for a certificate, and may demand one. */
static napi_value gyre_tls_verify(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  bool demands = gyre__arg_bool(&args, 1);
  if (args.failed) return gyre__tls_result(&args, false);
  int mode = SSL_VERIFY_PEER | (demands ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
  SSL_CTX_set_verify(context->ssl_ctx, mode, gyre__tls_accept_any);
  return gyre__null(&args);
}

/* --- resumption --- */

/*
 * tlsResumption(context, idContext, ticketKeys, timeout): each may be null; the timeout is in seconds, -1:
 * default.
 */
static napi_value gyre_tls_resumption(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t id = gyre__tls_optional_bytes(&args, 1);
  uv_buf_t keys = gyre__tls_optional_bytes(&args, 2);
  int32_t timeout = gyre__arg_int(&args, 3);
  if (args.failed || (keys.base != NULL && keys.len != GYRE_TLS_TICKET_KEY_BYTES)) return gyre__tls_result(&args, false);
  ERR_clear_error();
  SSL_CTX* ctx = context->ssl_ctx;
  if (id.base != NULL && SSL_CTX_set_session_id_context(ctx, (const unsigned char*)id.base, (unsigned int)id.len) != 1) {
    return gyre__tls_result(&args, false);
  }
  if (keys.base != NULL) {
    memcpy(context->ticket_keys, keys.base, GYRE_TLS_TICKET_KEY_BYTES);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, gyre__tls_on_ticket);
  }
  if (timeout >= 0) SSL_CTX_set_timeout(ctx, timeout);
  return gyre__null(&args);
}

const gyre_export_t gyre_tls_context_exports[] = {
    {"tlsContext", gyre_tls_context},
    {"tlsCiphers", gyre_tls_ciphers},
    {"tlsSuites", gyre_tls_suites},
    {"tlsGroups", gyre_tls_groups},
    {"tlsSigalgs", gyre_tls_sigalgs},
    {"tlsDh", gyre_tls_dh},
    {"tlsProtocols", gyre_tls_protocols},
    {"tlsVerify", gyre_tls_verify},
    {"tlsResumption", gyre_tls_resumption},
    {NULL, NULL},
};
#endif
