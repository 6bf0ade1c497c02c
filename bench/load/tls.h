/* TLS of the load generator. OpenSSL makes the handshakes. tls-record.c carries the data of `tls-echo`. */
#ifndef TLS_H
#define TLS_H

#include <openssl/ssl.h>

#include "load.h"

/* --- tls-record.c: TLS 1.3 records of TLS_AES_128_GCM_SHA256 --- */

enum {
  SECRET_BYTES = 32,
  HEADER_BYTES = 5,
  TAG_BYTES = 16,
  /* A record's type, behind its data. */
  TYPE_BYTES = 1,
  RECORD_OVERHEAD = HEADER_BYTES + TYPE_BYTES + TAG_BYTES,
  MAX_RECORD_BYTES = HEADER_BYTES + 16384 + 256
};

/* One direction of a connection. */
typedef struct {
  EVP_CIPHER_CTX *cipher;
  unsigned char iv[12];
  uint64_t sequence;
} direction_t;

void start_direction(direction_t *direction, const unsigned char *secret, int sealing);
/* Writes one record of application data, and returns its length. */
size_t seal_record(direction_t *direction, unsigned char *record, const char *data, size_t length);
/* Returns the length of the record at the beginning of `bytes`; 0 if it is not complete. */
size_t record_length(const unsigned char *bytes, size_t available);
/* Decrypts a complete record in place. Returns the length of its application data; 0 for another type. */
size_t open_record(direction_t *direction, unsigned char *record, size_t length, char **data);

/* --- tls-client.c: the handshakes --- */

/* The traffic secrets of a connection, as OpenSSL's key log has them. */
typedef struct {
  unsigned char client[SECRET_BYTES], server[SECRET_BYTES];
  int known;
} secrets_t;

void fail_in_tls(const char *what); /* with OpenSSL's reason */
/* One whole connection, before anything is measured: see stream.c. */
void prime_tls(void);
/*
 * Returns the client side of a connection.
 *
 * session: resumed; NULL: a full handshake
 * secrets: filled during the handshake; may be NULL
 * kept: receives the session, if the server sends one; may be NULL
 */
SSL *new_client(int fd, SSL_SESSION *session, secrets_t *secrets, SSL_SESSION **kept);

#endif
