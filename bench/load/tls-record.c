/*
 * The record layer of TLS 1.3 (RFC 8446, 5) for TLS_AES_128_GCM_SHA256. SSL_read() and SSL_write() would make
 * the generator as slow as the servers that it measures. This takes half of their time.
 */
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "tls.h"

enum { KEY_BYTES = 16, APPLICATION_DATA = 23, HANDSHAKE = 22 };

/* HKDF-Expand-Label of RFC 8446, 7.1, with an empty context. */
static void expand(const unsigned char *secret, const char *label, unsigned char *out, size_t length) {
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
  unsigned char info[64];
  size_t label_length = strlen(label), used = 0;
  info[used++] = 0;
  info[used++] = (unsigned char) length;
  info[used++] = (unsigned char) (6 + label_length);
  memcpy(info + used, "tls13 ", 6);
  memcpy(info + used + 6, label, label_length);
  used += 6 + label_length;
  info[used++] = 0;
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *) secret, SECRET_BYTES),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, used),
    OSSL_PARAM_construct_end()};
  if (context == NULL || EVP_KDF_derive(context, out, length, params) != 1) fail_in_tls("HKDF");
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
}

void start_direction(direction_t *direction, const unsigned char *secret, int sealing) {
  unsigned char key[KEY_BYTES];
  expand(secret, "key", key, sizeof key);
  expand(secret, "iv", direction->iv, sizeof direction->iv);
  direction->sequence = 0;
  direction->cipher = EVP_CIPHER_CTX_new();
  if (direction->cipher == NULL ||
      EVP_CipherInit_ex(direction->cipher, EVP_aes_128_gcm(), NULL, key, NULL, sealing) != 1)
    fail_in_tls("AES-GCM");
}

/* Sets the nonce of the next record, and passes the record's header as additional data. */
static void begin_record(direction_t *direction, const unsigned char *header) {
  unsigned char nonce[sizeof direction->iv];
  memcpy(nonce, direction->iv, sizeof nonce);
  for (int i = 0; i < 8; i++) nonce[sizeof nonce - 1 - (size_t) i] ^= (unsigned char) (direction->sequence >> (8 * i));
  direction->sequence++;
  int unused;
  if (EVP_CipherInit_ex(direction->cipher, NULL, NULL, NULL, nonce, -1) != 1 ||
      EVP_CipherUpdate(direction->cipher, NULL, &unused, header, HEADER_BYTES) != 1)
    fail_in_tls("AES-GCM");
}

size_t seal_record(direction_t *direction, unsigned char *record, const char *data, size_t length) {
  size_t body = length + TYPE_BYTES + TAG_BYTES;
  unsigned char header[HEADER_BYTES] = {
    APPLICATION_DATA, 3, 3, (unsigned char) (body >> 8), (unsigned char) body};
  const unsigned char type = APPLICATION_DATA;
  unsigned char *at = record + HEADER_BYTES;
  int sealed, last;
  memcpy(record, header, sizeof header);
  begin_record(direction, record);
  if (EVP_CipherUpdate(direction->cipher, at, &sealed, (const unsigned char *) data, (int) length) != 1 ||
      EVP_CipherUpdate(direction->cipher, at + sealed, &last, &type, TYPE_BYTES) != 1 ||
      EVP_CipherFinal_ex(direction->cipher, at + sealed + last, &last) != 1 ||
      EVP_CIPHER_CTX_ctrl(direction->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, at + length + TYPE_BYTES) != 1)
    fail_in_tls("a record cannot be encrypted");
  return HEADER_BYTES + body;
}

size_t record_length(const unsigned char *bytes, size_t available) {
  if (available < HEADER_BYTES) return 0;
  size_t length = HEADER_BYTES + ((size_t) bytes[3] << 8) + bytes[4];
  if (bytes[0] != APPLICATION_DATA || length < RECORD_OVERHEAD || length > MAX_RECORD_BYTES)
    fail_because("the server sent no TLS record, or an alert");
  return length <= available ? length : 0;
}

size_t open_record(direction_t *direction, unsigned char *record, size_t length, char **data) {
  unsigned char *at = record + HEADER_BYTES;
  size_t sealed = length - HEADER_BYTES - TAG_BYTES;
  int opened, last;
  begin_record(direction, record);
  if (EVP_CipherUpdate(direction->cipher, at, &opened, at, (int) sealed) != 1 ||
      EVP_CIPHER_CTX_ctrl(direction->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, at + sealed) != 1 ||
      EVP_CipherFinal_ex(direction->cipher, at + opened, &last) != 1)
    fail_in_tls("a record cannot be decrypted");
  while (sealed > 0 && at[sealed - 1] == 0) sealed--; /* padding */
  if (sealed == 0) fail_because("a record has no type");
  unsigned char type = at[sealed - 1];
  *data = (char *) at;
  if (type == APPLICATION_DATA) return sealed - TYPE_BYTES;
  /* Session tickets; a KeyUpdate would make the next record fail. */
  if (type != HANDSHAKE) fail_because("the server sent an alert");
  return 0;
}
