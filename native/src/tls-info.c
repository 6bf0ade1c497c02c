/*
 * Facts of a TLS session, for the object that getExtraInfo('sslObject') returns. A closed session has none.
 */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* The longest Finished message: SHA-512, and room to spare. */
enum { GYRE_TLS_FINISHED_BYTES = 2 * EVP_MAX_MD_SIZE, GYRE_TLS_MOST_EXPORTED = 1024 * 1024 };

static napi_value gyre__text_or_null(gyre_args_t* args, const char* text) {
  return text == NULL ? gyre__null(args) : gyre__string(args, text, strlen(text));
}

static napi_value gyre_tls_servername(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  return gyre__text_or_null(&args, tls == NULL ? NULL : SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name));
}

static napi_value gyre_tls_alpn(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  const unsigned char* name = NULL;
  unsigned int length = 0;
  napi_value result;
  if (tls != NULL) SSL_get0_alpn_selected(tls->ssl, &name, &length);
  if (length == 0) return gyre__null(&args);
  return napi_create_string_latin1(napi, (const char*)name, length, &result) == napi_ok ? result : gyre__null(&args);
}

static napi_value gyre_tls_protocol(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  return gyre__text_or_null(&args, tls == NULL ? NULL : SSL_get_version(tls->ssl));
}

static napi_value gyre_tls_cipher(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  const SSL_CIPHER* cipher = tls == NULL ? NULL : SSL_get_current_cipher(tls->ssl);
  napi_value list;
  if (cipher == NULL || napi_create_array_with_length(napi, 3, &list) != napi_ok) return gyre__null(&args);
  napi_set_element(napi, list, 0, gyre__text_or_null(&args, SSL_CIPHER_get_name(cipher)));
  napi_set_element(napi, list, 1, gyre__text_or_null(&args, SSL_CIPHER_standard_name(cipher)));
  napi_set_element(napi, list, 2, gyre__text_or_null(&args, SSL_CIPHER_get_version(cipher)));
  return list;
}

/* --- certificates --- */

static napi_value gyre__der(gyre_args_t* args, X509* certificate) {
  unsigned char* bytes = NULL;
  int length = certificate == NULL ? -1 : i2d_X509(certificate, &bytes);
  if (length < 0) return gyre__null(args);
  napi_value buffer = gyre__tls_buffer(args, bytes, (size_t)length);
  OPENSSL_free(bytes);
  return buffer;
}

/* Finds the issuer among the certificates of the peer. */
static X509* gyre__issuer_among(STACK_OF(X509) * chain, X509* certificate) {
  for (int i = 0; i < sk_X509_num(chain); i++) {
    X509* one = sk_X509_value(chain, i);
    if (X509_cmp(one, certificate) != 0 && X509_check_issued(one, certificate) == X509_V_OK) return one;
  }
  return NULL;
}

/* Finds the issuer among the trusted certificates. The caller frees it. */
static X509* gyre__issuer_trusted(SSL* ssl, X509* certificate) {
  X509* issuer = NULL;
  X509_STORE_CTX* search = X509_STORE_CTX_new();
  if (search != NULL && X509_STORE_CTX_init(search, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), NULL, NULL) == 1 &&
      X509_STORE_CTX_get1_issuer(&issuer, search, certificate) <= 0) {
    issuer = NULL;
  }
  X509_STORE_CTX_free(search);
  ERR_clear_error();
  return issuer;
}

/*
 * tlsPeerCertificates(id): the certificate of the peer, then its issuers as far as they are known, each as
 * DER. A peer may send its chain in any order, and without the root.
 */
static napi_value gyre_tls_peer_certificates(napi_env napi, napi_callback_info info) {
  enum { MOST = 32 };
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  napi_value list;
  if (napi_create_array(napi, &list) != napi_ok) return gyre__null(&args);
  X509* current = tls == NULL ? NULL : SSL_get1_peer_certificate(tls->ssl);
  STACK_OF(X509)* chain = tls == NULL ? NULL : SSL_get_peer_cert_chain(tls->ssl);
  for (uint32_t i = 0; current != NULL && i < MOST; i++) {
    napi_set_element(napi, list, i, gyre__der(&args, current));
    X509* next = X509_check_issued(current, current) == X509_V_OK ? NULL : gyre__issuer_among(chain, current);
    if (next != NULL) X509_up_ref(next);
    else if (X509_check_issued(current, current) != X509_V_OK) next = gyre__issuer_trusted(tls->ssl, current);
    X509_free(current);
    current = next;
  }
  X509_free(current);
  return list;
}

static napi_value gyre_tls_certificate(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  return gyre__der(&args, tls == NULL ? NULL : SSL_get_certificate(tls->ssl));
}

static const char* gyre__verify_code(long error) {
#define GYRE_CASE(name) \
  case X509_V_ERR_##name: \
    return #name
  switch (error) {
    GYRE_CASE(UNABLE_TO_GET_ISSUER_CERT);
    GYRE_CASE(UNABLE_TO_GET_CRL);
    GYRE_CASE(UNABLE_TO_DECRYPT_CERT_SIGNATURE);
    GYRE_CASE(UNABLE_TO_DECRYPT_CRL_SIGNATURE);
    GYRE_CASE(UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY);
    GYRE_CASE(CERT_SIGNATURE_FAILURE);
    GYRE_CASE(CRL_SIGNATURE_FAILURE);
    GYRE_CASE(CERT_NOT_YET_VALID);
    GYRE_CASE(CERT_HAS_EXPIRED);
    GYRE_CASE(CRL_NOT_YET_VALID);
    GYRE_CASE(CRL_HAS_EXPIRED);
    GYRE_CASE(ERROR_IN_CERT_NOT_BEFORE_FIELD);
    GYRE_CASE(ERROR_IN_CERT_NOT_AFTER_FIELD);
    GYRE_CASE(ERROR_IN_CRL_LAST_UPDATE_FIELD);
    GYRE_CASE(ERROR_IN_CRL_NEXT_UPDATE_FIELD);
    GYRE_CASE(OUT_OF_MEM);
    GYRE_CASE(DEPTH_ZERO_SELF_SIGNED_CERT);
    GYRE_CASE(SELF_SIGNED_CERT_IN_CHAIN);
    GYRE_CASE(UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    GYRE_CASE(UNABLE_TO_VERIFY_LEAF_SIGNATURE);
    GYRE_CASE(CERT_CHAIN_TOO_LONG);
    GYRE_CASE(CERT_REVOKED);
    GYRE_CASE(INVALID_CA);
    GYRE_CASE(PATH_LENGTH_EXCEEDED);
    GYRE_CASE(INVALID_PURPOSE);
    GYRE_CASE(CERT_UNTRUSTED);
    GYRE_CASE(CERT_REJECTED);
    GYRE_CASE(HOSTNAME_MISMATCH);
    default:
      return "UNSPECIFIED";
  }
#undef GYRE_CASE
}

/* Whether a peer without a certificate is authenticated: by a pre-shared key, or a resumed session. */
static bool gyre__needs_no_certificate(SSL* ssl) {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  const SSL_SESSION* session = SSL_get_session(ssl);
  if (cipher != NULL && SSL_CIPHER_get_auth_nid(cipher) == NID_auth_psk) return true;
  return session != NULL && SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION && SSL_session_reused(ssl);
}

/* tlsVerifyError(id): [code, message] of the verification; null: the peer's certificate is valid. */
static napi_value gyre_tls_verify_error(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  long error = X509_V_ERR_UNSPECIFIED;
  if (tls != NULL) {
    bool has_certificate = SSL_get0_peer_certificate(tls->ssl) != NULL;
    if (has_certificate) error = SSL_get_verify_result(tls->ssl);
    else error = gyre__needs_no_certificate(tls->ssl) ? X509_V_OK : X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT;
  }
  napi_value list;
  if (error == X509_V_OK || napi_create_array_with_length(napi, 2, &list) != napi_ok) return gyre__null(&args);
  napi_set_element(napi, list, 0, gyre__text_or_null(&args, gyre__verify_code(error)));
  napi_set_element(napi, list, 1, gyre__text_or_null(&args, X509_verify_cert_error_string(error)));
  return list;
}

/* --- sessions and keys --- */

static napi_value gyre_tls_session(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  SSL_SESSION* session = tls == NULL ? NULL : SSL_get_session(tls->ssl);
  int length = session == NULL ? 0 : i2d_SSL_SESSION(session, NULL);
  unsigned char* bytes = length <= 0 ? NULL : gyre__alloc((size_t)length);
  if (bytes == NULL) return gyre__null(&args);
  unsigned char* end = bytes;
  i2d_SSL_SESSION(session, &end);
  napi_value buffer = gyre__tls_buffer(&args, bytes, (size_t)length);
  OPENSSL_cleanse(bytes, (size_t)length);
  free(bytes);
  return buffer;
}

static napi_value gyre_tls_ticket(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  SSL_SESSION* session = tls == NULL ? NULL : SSL_get_session(tls->ssl);
  const unsigned char* ticket = NULL;
  size_t length = 0;
  if (session != NULL) SSL_SESSION_get0_ticket(session, &ticket, &length);
  return ticket == NULL ? gyre__null(&args) : gyre__tls_buffer(&args, ticket, length);
}

static napi_value gyre_tls_is_reused(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  napi_value result;
  napi_get_boolean(napi, tls != NULL && SSL_session_reused(tls->ssl), &result);
  return result;
}

/* tlsFinished(id, peer): the last Finished message that was sent, or received. */
static napi_value gyre_tls_finished(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  bool peer = gyre__arg_bool(&args, 1);
  char bytes[GYRE_TLS_FINISHED_BYTES];
  size_t length = 0;
  if (tls != NULL) {
    length = peer ? SSL_get_peer_finished(tls->ssl, bytes, sizeof(bytes)) : SSL_get_finished(tls->ssl, bytes, sizeof(bytes));
  }
  return length == 0 ? gyre__null(&args) : gyre__tls_buffer(&args, bytes, length);
}

/* tlsExportKey(id, length, label, context): keying material (RFC 5705). null: OpenSSL has failed. */
static napi_value gyre_tls_export_key(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  uint32_t length = gyre__arg_uint(&args, 1);
  char* label = gyre__arg_string(&args, 2);
  napi_valuetype type = napi_undefined;
  uv_buf_t context = {.base = NULL, .len = 0};
  if (args.argc > 3) napi_typeof(napi, args.argv[3], &type);
  if (type == napi_object) context = gyre__arg_bytes(&args, 3);
  unsigned char* key = tls == NULL || args.failed || label == NULL || length > GYRE_TLS_MOST_EXPORTED ? NULL : gyre__alloc(length + 1);
  napi_value result = NULL;
  if (key != NULL) {
    ERR_clear_error();
    if (SSL_export_keying_material(tls->ssl, key, length, label, strlen(label), (const unsigned char*)context.base, context.len,
                                   type == napi_object) == 1) {
      result = gyre__tls_buffer(&args, key, length);
    }
    OPENSSL_cleanse(key, length);
  }
  free(key);
  free(label);
  return result == NULL ? gyre__null(&args) : result;
}

/* tlsEphemeralKey(id): [type, name, bits] of the key exchange, for a client; null: none. */
static napi_value gyre_tls_ephemeral_key(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  EVP_PKEY* key = NULL;
  if (tls == NULL || tls->is_server || SSL_get_peer_tmp_key(tls->ssl, &key) != 1 || key == NULL) return gyre__null(&args);
  napi_value list;
  char name[80];
  size_t length = 0;
  const char* text = NULL;
  int kind = EVP_PKEY_get_id(key);
  if (kind == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, name, sizeof(name), &length) == 1) text = name;
  else if (kind == EVP_PKEY_X25519 || kind == EVP_PKEY_X448) text = OBJ_nid2sn(kind);
  const char* type = kind == EVP_PKEY_DH ? "DH" : text != NULL ? "ECDH" : NULL;
  if (type == NULL || napi_create_array_with_length(napi, 3, &list) != napi_ok) {
    EVP_PKEY_free(key);
    return gyre__null(&args);
  }
  napi_set_element(napi, list, 0, gyre__text_or_null(&args, type));
  napi_set_element(napi, list, 1, gyre__text_or_null(&args, text));
  napi_set_element(napi, list, 2, gyre__int(&args, EVP_PKEY_get_bits(key)));
  EVP_PKEY_free(key);
  return list;
}

/* --- signature algorithms --- */

static const char* gyre__sigalg_key(int nid) {
  switch (nid) {
    case EVP_PKEY_RSA:
      return "RSA";
    case EVP_PKEY_RSA_PSS:
      return "RSA-PSS";
    case EVP_PKEY_DSA:
      return "DSA";
    case EVP_PKEY_EC:
      return "ECDSA";
    case NID_ED25519:
      return "Ed25519";
    case NID_ED448:
      return "Ed448";
    case NID_id_GostR3410_2001:
      return "gost2001";
    case NID_id_GostR3410_2012_256:
      return "gost2012_256";
    case NID_id_GostR3410_2012_512:
      return "gost2012_512";
    default:
      return OBJ_nid2sn(nid);
  }
}

/* tlsSharedSigalgs(id): the names that Node gives: ECDSA+SHA256. */
static napi_value gyre_tls_shared_sigalgs(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  napi_value list;
  if (napi_create_array(napi, &list) != napi_ok) return gyre__null(&args);
  int count = tls == NULL ? 0 : SSL_get_shared_sigalgs(tls->ssl, 0, NULL, NULL, NULL, NULL, NULL);
  for (int i = 0; i < count; i++) {
    int sign = NID_undef, hash = NID_undef;
    char text[128];
    SSL_get_shared_sigalgs(tls->ssl, i, &sign, &hash, NULL, NULL, NULL);
    const char* key = gyre__sigalg_key(sign);
    /* Node writes UNDEF for a key without a hash of its own. */
    const char* digest = hash == NID_undef ? "UNDEF" : OBJ_nid2sn(hash);
    int length = snprintf(text, sizeof(text), "%s+%s", key == NULL ? "UNDEF" : key, digest == NULL ? "UNDEF" : digest);
    napi_set_element(napi, list, (uint32_t)i, gyre__string(&args, text, (size_t)length));
  }
  return list;
}

/* --- settings --- */

static napi_value gyre_tls_max_send_fragment(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  int32_t size = gyre__arg_int(&args, 1);
  napi_value result;
  napi_get_boolean(napi, tls != NULL && !args.failed && SSL_set_max_send_fragment(tls->ssl, size) == 1, &result);
  return result;
}

/* tlsWatch(id, bits): the rare events to report from now on. */
static napi_value gyre_tls_watch(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  int32_t bits = gyre__arg_int(&args, 1);
  if (tls != NULL && !args.failed) tls->watched = (uint8_t)bits;
  return NULL;
}

const gyre_export_t gyre_tls_info_exports[] = {
    {"tlsServername", gyre_tls_servername},
    {"tlsAlpn", gyre_tls_alpn},
    {"tlsProtocol", gyre_tls_protocol},
    {"tlsCipher", gyre_tls_cipher},
    {"tlsPeerCertificates", gyre_tls_peer_certificates},
    {"tlsCertificate", gyre_tls_certificate},
    {"tlsVerifyError", gyre_tls_verify_error},
    {"tlsSession", gyre_tls_session},
    {"tlsTicket", gyre_tls_ticket},
    {"tlsIsReused", gyre_tls_is_reused},
    {"tlsFinished", gyre_tls_finished},
    {"tlsExportKey", gyre_tls_export_key},
    {"tlsEphemeralKey", gyre_tls_ephemeral_key},
    {"tlsSharedSigalgs", gyre_tls_shared_sigalgs},
    {"tlsSetMaxSendFragment", gyre_tls_max_send_fragment},
    {"tlsWatch", gyre_tls_watch},
    {NULL, NULL},
};
#endif
