/*
 * The certificates of a TLS context: the authorities that it trusts, and its own certificate with the key.
 * The order and the details are those of Node.
 */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

/* --- certificates of authorities --- */

static int gyre__no_passphrase(char* to, int size, int writes, void* data) {
  (void)to;
  (void)size;
  (void)writes;
  (void)data;
  return -1;
}

static X509* gyre__next_certificate(BIO* bio) {
  return PEM_read_bio_X509(bio, NULL, gyre__no_passphrase, NULL);
}

/* The end of a PEM text is an error of OpenSSL. */
static bool gyre__pem_ended(void) {
  unsigned long error = ERR_peek_last_error();
  bool ended = error == 0 || (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
  if (ended) ERR_clear_error();
  return ended;
}

static X509_STORE* gyre__store_of(STACK_OF(X509) * certificates) {
  X509_STORE* store = gyre__fault() ? NULL : X509_STORE_new();
  for (int i = 0; store != NULL && i < sk_X509_num(certificates); i++) X509_STORE_add_cert(store, sk_X509_value(certificates, i));
  ERR_clear_error();
  return store;
}

/*
 * tlsRoots(pem): replaces the certificates that a context without a `ca` trusts. A certificate that OpenSSL
 * cannot read is left out, as in Node.
 */
static napi_value gyre_tls_roots(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  uv_buf_t pem = gyre__arg_bytes(&args, 0);
  struct gyre_tls_env_s* own = gyre__tls_env(args.env);
  BIO* bio = args.failed || own == NULL ? NULL : BIO_new_mem_buf(pem.base, (int)pem.len);
  STACK_OF(X509)* roots = bio == NULL ? NULL : sk_X509_new_null();
  if (roots != NULL) {
    for (X509* one; (one = gyre__next_certificate(bio)) != NULL;) {
      if (sk_X509_push(roots, one) <= 0) X509_free(one);
    }
    ERR_clear_error();
  }
  BIO_free(bio);
  X509_STORE* store = roots == NULL ? NULL : gyre__store_of(roots);
  if (store == NULL) {
    sk_X509_pop_free(roots, X509_free);
    return gyre__tls_result(&args, false);
  }
  sk_X509_pop_free(own->roots, X509_free);
  X509_STORE_free(own->store);
  own->roots = roots;
  own->store = store;
  return gyre__null(&args);
}

/* tlsUseRoots(context): trusts the certificates of tlsRoots(). */
static napi_value gyre_tls_use_roots(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  if (context == NULL || args.env->tls == NULL || args.env->tls->store == NULL) return gyre__tls_result(&args, false);
  SSL_CTX_set1_cert_store(context->ssl_ctx, args.env->tls->store);
  return gyre__null(&args);
}

/* Returns the store of this context alone. A shared one is replaced by a copy first. */
static X509_STORE* gyre__own_store(gyre_args_t* args, gyre_tls_context_t* context) {
  X509_STORE* store = SSL_CTX_get_cert_store(context->ssl_ctx);
  struct gyre_tls_env_s* own = args->env->tls;
  if (context->own_store || own == NULL || store != own->store) return store;
  X509_STORE* copy = gyre__store_of(own->roots);
  if (copy == NULL) return NULL;
  context->own_store = true;
  SSL_CTX_set_cert_store(context->ssl_ctx, copy);
  return copy;
}

/* tlsAddCa(context, pem): trusts these certificates; a server also names them to its clients. */
static napi_value gyre_tls_add_ca(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t pem = gyre__arg_bytes(&args, 1);
  BIO* bio = args.failed ? NULL : BIO_new_mem_buf(pem.base, (int)pem.len);
  X509_STORE* store = bio == NULL ? NULL : gyre__own_store(&args, context);
  ERR_clear_error();
  if (store != NULL) {
    for (X509* one; (one = gyre__next_certificate(bio)) != NULL; X509_free(one)) {
      X509_STORE_add_cert(store, one);
      SSL_CTX_add_client_CA(context->ssl_ctx, one);
    }
    ERR_clear_error();
  }
  BIO_free(bio);
  return gyre__tls_result(&args, store != NULL);
}

/* tlsAddCrl(context, pem): rejects the certificates of this list. Every certificate then needs a list. */
static napi_value gyre_tls_add_crl(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t pem = gyre__arg_bytes(&args, 1);
  BIO* bio = args.failed ? NULL : BIO_new_mem_buf(pem.base, (int)pem.len);
  X509_CRL* crl = bio == NULL ? NULL : PEM_read_bio_X509_CRL(bio, NULL, gyre__no_passphrase, NULL);
  X509_STORE* store = crl == NULL ? NULL : gyre__own_store(&args, context);
  bool added = store != NULL && X509_STORE_add_crl(store, crl) == 1 &&
               X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
  X509_CRL_free(crl);
  BIO_free(bio);
  return gyre__tls_result(&args, added);
}

/* tlsPartialChain(context): a chain may end at any trusted certificate, not only at a self-signed one. */
static napi_value gyre_tls_partial_chain(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  X509_STORE* store = context == NULL ? NULL : gyre__own_store(&args, context);
  return gyre__tls_result(&args, store != NULL && X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1);
}

/* --- the own certificate --- */

static bool gyre__use_chain(SSL_CTX* ctx, X509* leaf, const STACK_OF(X509) * chain) {
  if (SSL_CTX_use_certificate(ctx, leaf) != 1) return false;
  SSL_CTX_clear_chain_certs(ctx);
  for (int i = 0; i < sk_X509_num(chain); i++) {
    if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(chain, i)) != 1) return false;
  }
  return true;
}

/* tlsUseCertificate(context, pem): a certificate, and the chain of its issuers. */
static napi_value gyre_tls_use_certificate(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t pem = gyre__arg_bytes(&args, 1);
  ERR_clear_error();
  BIO* bio = args.failed ? NULL : BIO_new_mem_buf(pem.base, (int)pem.len);
  X509* leaf = bio == NULL ? NULL : PEM_read_bio_X509_AUX(bio, NULL, gyre__no_passphrase, NULL);
  STACK_OF(X509)* chain = leaf == NULL ? NULL : sk_X509_new_null();
  bool is_fine = chain != NULL;
  for (X509* one; is_fine && (one = gyre__next_certificate(bio)) != NULL;) {
    is_fine = sk_X509_push(chain, one) > 0;
    if (!is_fine) X509_free(one);
  }
  is_fine = is_fine && gyre__pem_ended() && gyre__use_chain(context->ssl_ctx, leaf, chain);
  sk_X509_pop_free(chain, X509_free);
  X509_free(leaf);
  BIO_free(bio);
  return gyre__tls_result(&args, is_fine);
}

static int gyre__passphrase(char* to, int size, int writes, void* data) {
  (void)writes;
  const uv_buf_t* passphrase = data;
  if (passphrase->base == NULL || passphrase->len > (size_t)size) return -1;
  memcpy(to, passphrase->base, passphrase->len);
  return (int)passphrase->len;
}

/* tlsUseKey(context, pem, passphrase): the private key of the certificate. */
static napi_value gyre_tls_use_key(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t pem = gyre__arg_bytes(&args, 1);
  uv_buf_t passphrase = gyre__tls_optional_bytes(&args, 2);
  ERR_clear_error();
  BIO* bio = args.failed ? NULL : BIO_new_mem_buf(pem.base, (int)pem.len);
  EVP_PKEY* key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, gyre__passphrase, &passphrase);
  bool is_fine = key != NULL && SSL_CTX_use_PrivateKey(context->ssl_ctx, key) == 1;
  EVP_PKEY_free(key);
  BIO_free(bio);
  return gyre__tls_result(&args, is_fine);
}

/*
 * tlsUsePfx(context, der, passphrase): key, certificate and authorities in one. The passphrase ends with a
 * NUL.
 */
static napi_value gyre_tls_use_pfx(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  uv_buf_t der = gyre__arg_bytes(&args, 1);
  uv_buf_t passphrase = gyre__tls_optional_bytes(&args, 2);
  if (passphrase.base != NULL && memchr(passphrase.base, 0, passphrase.len) == NULL) args.failed = true;
  ERR_clear_error();
  BIO* bio = args.failed ? NULL : BIO_new_mem_buf(der.base, (int)der.len);
  PKCS12* pfx = bio == NULL ? NULL : d2i_PKCS12_bio(bio, NULL);
  EVP_PKEY* key = NULL;
  X509* leaf = NULL;
  STACK_OF(X509)* others = NULL;
  bool is_fine = pfx != NULL && PKCS12_parse(pfx, passphrase.base, &key, &leaf, &others) == 1 && key != NULL && leaf != NULL &&
                 gyre__use_chain(context->ssl_ctx, leaf, others) && SSL_CTX_use_PrivateKey(context->ssl_ctx, key) == 1;
  X509_STORE* store = is_fine && sk_X509_num(others) > 0 ? gyre__own_store(&args, context) : NULL;
  for (int i = 0; store != NULL && i < sk_X509_num(others); i++) {
    X509_STORE_add_cert(store, sk_X509_value(others, i));
    SSL_CTX_add_client_CA(context->ssl_ctx, sk_X509_value(others, i));
  }
  if (is_fine) ERR_clear_error();
  sk_X509_pop_free(others, X509_free);
  X509_free(leaf);
  EVP_PKEY_free(key);
  PKCS12_free(pfx);
  BIO_free(bio);
  return gyre__tls_result(&args, is_fine);
}

const gyre_export_t gyre_tls_certificates_exports[] = {
    {"tlsRoots", gyre_tls_roots},
    {"tlsUseRoots", gyre_tls_use_roots},
    {"tlsAddCa", gyre_tls_add_ca},
    {"tlsAddCrl", gyre_tls_add_crl},
    {"tlsPartialChain", gyre_tls_partial_chain},
    {"tlsUseCertificate", gyre_tls_use_certificate},
    {"tlsUseKey", gyre_tls_use_key},
    {"tlsUsePfx", gyre_tls_use_pfx},
    {NULL, NULL},
};
#endif
