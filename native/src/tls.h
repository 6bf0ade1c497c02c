/*
 * TLS by the OpenSSL of the host: Node exports its functions, so the addon contains no copy of it.
 *
 *   context   One SSL_CTX, made from the options of one `ssl` argument. An object of JavaScript holds it, and
 *             the garbage collector frees it.
 *   session   One SSL, as a handle with an id. It has no descriptor of its own.
 *
 * No JavaScript runs inside of OpenSSL. A session converts between two kinds of bytes:
 *
 *   ciphertext in  ──▶  gyre__tls_run()  ──▶  plaintext
 *   plaintext      ──▶  tlsEncrypt()     ──▶  ciphertext out
 *
 * Its BIO reads from the bytes of the current call, without a copy, and writes into a buffer that grows. A
 * call returns bits that say what happened; JavaScript then takes the bytes.
 *
 * With TLS 1.2 a server may renegotiate, with another certificate. Then the session holds all data back until
 * JavaScript has verified the certificate. A client must not renegotiate.
 *
 * A session can be fused with a stream of the addon (`tlsFuse`). From then on the poll phase decrypts,
 * straight into a slab, and `tlsEncrypt` sends.
 */
#ifndef GYRE_TLS_H
#define GYRE_TLS_H

#include "gyre.h"

#ifdef GYRE_OPENSSL
#define OPENSSL_API_COMPAT 30000
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls-symbols.h"

/* Results of a step. src/backend/uv/addon.ts has the same numbers. */
enum {
  GYRE_TLS_SECURED = 1,
  GYRE_TLS_PLAIN = 2,
  GYRE_TLS_OUTPUT = 4,
  GYRE_TLS_END = 8,
  GYRE_TLS_FAILED = 16,
  GYRE_TLS_NOTES = 32,
  GYRE_TLS_RENEGOTIATED = 64,
  GYRE_TLS_WAITING = 128, /* data waits for the end of a handshake */
  GYRE_TLS_DRAINED = 256, /* it was encrypted */
};

/* Rare events that JavaScript can ask for, and the types of notes. */
enum { GYRE_TLS_SESSION = 1, GYRE_TLS_KEYLOG = 2 };

enum {
  GYRE_TLS_TICKET_KEY_BYTES = 48,
  /* The most plaintext of one TLS record. */
  GYRE_TLS_RECORD = 16 * 1024,
  /* The most sessions that keep their buffers of records: 4 MiB. */
  GYRE_TLS_WARM = 128,
};

/* Bytes that grow. */
typedef struct {
  uint8_t* data;
  size_t length;
  size_t capacity;
} gyre_bytes_t;

typedef struct {
  SSL_CTX* ssl_ctx;
  uint8_t* protocols; /* of a server: ALPN names, each after its length */
  size_t protocols_length;
  bool own_store;     /* the store was made for this context, not shared */
  bool has_ticket_keys;
  uint8_t ticket_keys[GYRE_TLS_TICKET_KEY_BYTES]; /* name, HMAC key, AES key: 16 bytes each */
} gyre_tls_context_t;

typedef struct {
  gyre_handle_t handle;
  SSL* ssl;
  const uint8_t* in; /* ciphertext of the current call */
  size_t in_length;
  gyre_bytes_t held;  /* ciphertext that waits until JavaScript has verified the peer again */
  gyre_bytes_t early; /* plaintext that waits for the same */
  gyre_bytes_t unsent; /* plaintext that waits until a renegotiation is over */
  gyre_bytes_t out;   /* ciphertext for the peer */
  gyre_bytes_t* sink; /* the buffer that the BIO writes into: `out`, or the environment's */
  gyre_bytes_t notes; /* [ type | length | bytes ] ... */
  char* message;      /* of the failure; NULL: there is no memory */
  const char* library;
  const char* reason;
  const char* code; /* of a failure that OpenSSL does not know */
  uint8_t watched; /* events that JavaScript asks for */
  bool is_server;
  bool secured;
  bool ended;
  bool failed;
  bool end_waits;  /* close_notify waits until a renegotiation is over */
  bool warm;       /* keeps its buffers of records */
  bool unverified; /* JavaScript has not verified the certificate of a renegotiation yet */
} gyre_tls_t;

/* The part of the environment's state that belongs to TLS. */
struct gyre_tls_env_s {
  STACK_OF(X509) * roots;
  X509_STORE* store; /* with these roots, shared by contexts */
  gyre_bytes_t plain;  /* plaintext that JavaScript takes at once */
  gyre_bytes_t cipher; /* ciphertext that is sent at once */
  int32_t warm[GYRE_TLS_WARM]; /* a ring of ids, each plus 1; 0: none */
  uint32_t next_warm;
  uint8_t* input;      /* ciphertext that was read from a descriptor: GYRE_BIG_READ bytes */
};

/* The state of a session before a step. */
typedef struct {
  bool secured;
  bool ended;
  bool failed;
  bool unverified;
  bool waiting;
} gyre_tls_before_t;

/* tls-bytes.c */
/* Makes room for `more` bytes. */
bool gyre__tls_room(gyre_bytes_t* bytes, size_t more);
bool gyre__tls_append(gyre_bytes_t* bytes, const void* data, size_t length);
/* Zeroes the bytes, and frees them. */
void gyre__tls_wipe(gyre_bytes_t* bytes);
void gyre__tls_empty(gyre_bytes_t* bytes);

/* tls-bio.c */
/* Returns a BIO that reads and writes for the session; NULL: there is no memory. */
BIO* gyre__tls_bio(gyre_tls_t* tls);

/* tls-step.c */
void gyre__tls_forget_errors(void);
bool gyre__tls_is_open(const gyre_tls_t* tls);
gyre_tls_before_t gyre__tls_before(const gyre_tls_t* tls);
int32_t gyre__tls_since(const gyre_tls_t* tls, gyre_tls_before_t before);
void gyre__tls_give(gyre_tls_t* tls, const uint8_t* data, size_t length);
void gyre__tls_taken(gyre_tls_t* tls);
size_t gyre__tls_read(gyre_tls_t* tls, char* to, size_t size);
void gyre__tls_run(gyre_tls_t* tls, gyre_bytes_t* plain);
bool gyre__tls_write(gyre_tls_t* tls, const void* data, size_t length);
void gyre__tls_shut(gyre_tls_t* tls);

/* tls-renegotiation.c */
void gyre__tls_on_info(const SSL* ssl, int where, int result);
void gyre__tls_write_unsent(gyre_tls_t* tls);
bool gyre__tls_waits(const gyre_tls_t* tls);

/* tls.c */
struct gyre_tls_env_s* gyre__tls_env(gyre_env_t* env);
gyre_tls_t* gyre__arg_tls(gyre_args_t* args, size_t index);
/* An argument that is null has no bytes. */
uv_buf_t gyre__tls_optional_bytes(gyre_args_t* args, size_t index);
napi_value gyre__tls_buffer(gyre_args_t* args, const void* data, size_t length);
/* null, or the reason of OpenSSL. */
napi_value gyre__tls_result(gyre_args_t* args, bool is_fine);
void gyre__tls_note(SSL* ssl, uint8_t type, const void* data, size_t length);
napi_value gyre__null(gyre_args_t* args);

/* tls-context.c */
gyre_tls_context_t* gyre__arg_tls_context(gyre_args_t* args, size_t index);
#endif

#endif
