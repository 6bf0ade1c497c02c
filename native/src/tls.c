/* TLS sessions. See tls.h. */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  /* The most plaintext of one TLS record. */
  GYRE_TLS_RECORD = 16 * 1024,
  GYRE_TLS_FIRST_CAPACITY = 4 * 1024,
  /* A larger buffer is freed after its use. */
  GYRE_TLS_KEPT_CAPACITY = 256 * 1024,
};

/* --- bytes that grow --- */

static bool gyre__tls_room(gyre_bytes_t* bytes, size_t more) {
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
static void gyre__tls_empty(gyre_bytes_t* bytes) {
  bytes->length = 0;
  if (bytes->capacity <= GYRE_TLS_KEPT_CAPACITY) return;
  free(bytes->data);
  *bytes = (gyre_bytes_t){0};
}

/* --- the BIO --- */

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

/* --- the environment --- */

struct gyre_tls_env_s* gyre__tls_env(gyre_env_t* env) {
  if (env->tls == NULL) env->tls = gyre__alloc(sizeof(*env->tls));
  return env->tls;
}

void gyre__tls_env_free(gyre_env_t* env) {
  struct gyre_tls_env_s* own = env->tls;
  if (own == NULL) return;
  sk_X509_pop_free(own->roots, X509_free);
  X509_STORE_free(own->store);
  gyre__tls_wipe(&own->plain);
  gyre__tls_wipe(&own->cipher);
  free(own->input);
  free(own);
  env->tls = NULL;
}

/* --- arguments and results --- */

gyre_tls_t* gyre__arg_tls(gyre_args_t* args, size_t index) {
  return (gyre_tls_t*)gyre__arg_handle(args, index, GYRE_TLS);
}

napi_value gyre__null(gyre_args_t* args) {
  napi_value nothing = NULL;
  napi_get_null(args->env->napi, &nothing);
  return nothing;
}

/* Returns a Buffer with a copy; null if there is no memory. */
napi_value gyre__tls_buffer(gyre_args_t* args, const void* data, size_t length) {
  napi_value buffer;
  void* copy;
  if (gyre__fault() || napi_create_buffer(args->env->napi, length, &copy, &buffer) != napi_ok) return gyre__null(args);
  if (length > 0) memcpy(copy, data, length);
  return buffer;
}

/* --- failures and notes --- */

/* Records the reason of a failure, as Node words it: all entries of OpenSSL's queue. */
static void gyre__tls_fail(gyre_tls_t* tls) {
  if (tls->failed) return;
  unsigned long error = ERR_peek_error();
  tls->failed = true;
  tls->library = ERR_lib_error_string(error);
  tls->reason = ERR_reason_error_string(error);
  BIO* bio = error == 0 ? NULL : BIO_new(BIO_s_mem());
  if (bio == NULL) return;
  char* text;
  ERR_print_errors(bio);
  long length = BIO_get_mem_data(bio, &text);
  tls->message = length > 0 ? gyre__alloc((size_t)length + 1) : NULL;
  if (tls->message != NULL) memcpy(tls->message, text, (size_t)length);
  BIO_free(bio);
}

void gyre__tls_note(SSL* ssl, uint8_t type, const void* data, size_t length) {
  gyre_tls_t* tls = SSL_get_app_data(ssl);
  uint32_t head[2] = {type, (uint32_t)length};
  if (tls == NULL || (tls->watched & type) == 0) return;
  size_t before = tls->notes.length;
  /* If there is no memory, the note is lost. It is for information only. */
  if (!gyre__tls_append(&tls->notes, head, sizeof(head)) || !gyre__tls_append(&tls->notes, data, length)) {
    tls->notes.length = before;
  }
}

/* --- renegotiation, which TLS 1.3 does not have --- */

static void gyre__tls_refuse_client(gyre_tls_t* tls) {
  static const char text[] = "TLS session renegotiation disabled for this socket";
  tls->failed = true;
  tls->code = "ERR_TLS_RENEGOTIATION_DISABLED";
  tls->message = gyre__alloc(sizeof(text));
  if (tls->message != NULL) memcpy(tls->message, text, sizeof(text));
}

static void gyre__tls_on_info(const SSL* ssl, int where, int result) {
  (void)result;
  gyre_tls_t* tls = SSL_get_app_data(ssl);
  /* TLS 1.3 reports its other messages in the same way. */
  if (tls == NULL || !tls->secured || tls->failed || SSL_version(ssl) >= TLS1_3_VERSION) return;
  if (tls->is_server && (where & SSL_CB_HANDSHAKE_START)) gyre__tls_refuse_client(tls);
  if (!tls->is_server && (where & SSL_CB_HANDSHAKE_DONE)) tls->unverified = true;
}

/* --- the buffers of records --- */

/*
 * A session needs 34 KiB for records while it converts data. OpenSSL can free them after each record, which
 * costs as much as the rest of a short message. So the sessions that were busy last keep theirs.
 */
static void gyre__tls_warm(gyre_tls_t* tls) {
  if (tls->warm) return;
  gyre_env_t* env = tls->handle.env;
  struct gyre_tls_env_s* own = env->tls;
  int32_t* place = &own->warm[own->next_warm];
  own->next_warm = (own->next_warm + 1) % GYRE_TLS_WARM;
  /* Ids are stored with 1 added, so that 0 is none. */
  gyre_tls_t* before = (gyre_tls_t*)gyre__handle_get(env, *place - 1);
  if (before != NULL && before->handle.kind == GYRE_TLS) {
    before->warm = false;
    SSL_set_mode(before->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_free_buffers(before->ssl);
  }
  *place = tls->handle.id + 1;
  tls->warm = true;
  SSL_clear_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
}

/* --- one step --- */

/* Every call of OpenSSL begins with an empty queue of errors, because SSL_get_error() reads it. */
static void gyre__tls_forget_errors(void) {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

/* Examines the result of a call of OpenSSL that did not succeed. */
static void gyre__tls_stopped(gyre_tls_t* tls, int result) {
  switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
      break;
    case SSL_ERROR_ZERO_RETURN:
      tls->ended = true;
      break;
    default:
      gyre__tls_fail(tls);
  }
}

/* Returns whether the session can convert data. */
static bool gyre__tls_is_open(const gyre_tls_t* tls) {
  return tls->secured && !tls->failed;
}

/* Returns whether the session can decrypt. */
static bool gyre__tls_may_read(const gyre_tls_t* tls) {
  return gyre__tls_is_open(tls) && !tls->ended && !tls->unverified;
}

static bool gyre__tls_write(gyre_tls_t* tls, const void* data, size_t length) {
  size_t count = 0;
  if (length == 0) return true;
  if (tls->unsent.length > 0) return gyre__tls_append(&tls->unsent, data, length);
  gyre__tls_forget_errors();
  int result = SSL_write_ex(tls->ssl, data, length, &count);
  if (result == 1) return true;
  /* A renegotiation is under way. */
  if (SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ) return gyre__tls_append(&tls->unsent, data, length);
  gyre__tls_stopped(tls, result);
  tls->failed = true;
  return false;
}

/* Encrypts what has waited for the end of a renegotiation. */
static void gyre__tls_write_unsent(gyre_tls_t* tls) {
  if (tls->unsent.length == 0 || !gyre__tls_is_open(tls) || SSL_in_init(tls->ssl)) return;
  gyre_bytes_t unsent = tls->unsent;
  tls->unsent = (gyre_bytes_t){0};
  gyre__tls_write(tls, unsent.data, unsent.length);
  gyre__tls_wipe(&unsent);
}

/* Sends close_notify, unless a handshake is under way, which does not allow it. */
static void gyre__tls_shut(gyre_tls_t* tls) {
  bool is_busy = SSL_in_init(tls->ssl);
  tls->end_waits = is_busy && !tls->ended;
  gyre__tls_forget_errors();
  /* 0: sent, and the peer's has not come yet. */
  if (!is_busy && SSL_shutdown(tls->ssl) < 0) gyre__tls_fail(tls);
}

/* Passes ciphertext to the session, behind that which it holds. */
static void gyre__tls_give(gyre_tls_t* tls, const uint8_t* data, size_t length) {
  tls->sink = &tls->out;
  tls->in = data;
  tls->in_length = length;
  if (tls->held.length == 0) return;
  if (!gyre__tls_append(&tls->held, data, length)) tls->failed = true;
  tls->in = tls->held.data;
  tls->in_length = tls->held.length;
}

/* Ends the call: the session holds what it must not decrypt yet. */
static void gyre__tls_taken(gyre_tls_t* tls) {
  gyre__tls_write_unsent(tls);
  if (tls->end_waits && gyre__tls_is_open(tls)) gyre__tls_shut(tls);
  gyre_bytes_t rest = {0};
  if (tls->unverified && tls->in_length > 0 && !gyre__tls_append(&rest, tls->in, tls->in_length)) tls->failed = true;
  gyre__tls_wipe(&tls->held);
  tls->held = rest;
  tls->in = NULL;
  tls->in_length = 0;
}

static void gyre__tls_shake(gyre_tls_t* tls) {
  if (tls->secured || tls->failed) return;
  gyre__tls_forget_errors();
  int result = SSL_do_handshake(tls->ssl);
  if (result == 1) tls->secured = true;
  else gyre__tls_stopped(tls, result);
}

/*
 * Decrypts into `to`, several records one after the other. Returns the number of bytes; 0: there are no more.
 */
static size_t gyre__tls_read(gyre_tls_t* tls, char* to, size_t size) {
  size_t total = 0;
  while (total < size && gyre__tls_may_read(tls)) {
    size_t count = 0;
    gyre__tls_forget_errors();
    int result = SSL_read_ex(tls->ssl, to + total, size - total, &count);
    if (result != 1) {
      gyre__tls_stopped(tls, result);
      break;
    }
    if (!tls->unverified && !tls->failed) {
      total += count;
      /* Nothing is left: another call would only say so. */
      if (tls->in_length == 0 && !SSL_has_pending(tls->ssl)) break;
    } else if (tls->unverified) {
      if (!gyre__tls_append(&tls->early, to + total, count)) tls->failed = true;
      OPENSSL_cleanse(to + total, count);
    }
  }
  return total;
}

typedef struct {
  bool secured;
  bool ended;
  bool failed;
  bool unverified;
  bool waiting;
} gyre_tls_before_t;

/* Whether data or close_notify waits for the end of a renegotiation. */
static bool gyre__tls_waits(const gyre_tls_t* tls) {
  return tls->unsent.length > 0 || tls->end_waits;
}

static gyre_tls_before_t gyre__tls_before(const gyre_tls_t* tls) {
  return (gyre_tls_before_t){.secured = tls->secured, .ended = tls->ended, .failed = tls->failed, .unverified = tls->unverified, .waiting = gyre__tls_waits(tls)};
}

/* Returns what has happened since. */
static int32_t gyre__tls_since(const gyre_tls_t* tls, gyre_tls_before_t before) {
  return (tls->secured && !before.secured ? GYRE_TLS_SECURED : 0) | (tls->ended && !before.ended ? GYRE_TLS_END : 0) |
         (tls->failed && !before.failed ? GYRE_TLS_FAILED : 0) | (tls->out.length > 0 ? GYRE_TLS_OUTPUT : 0) |
         (tls->notes.length > 0 ? GYRE_TLS_NOTES : 0) |
         (tls->unverified && !before.unverified ? GYRE_TLS_RENEGOTIATED : 0) |
         (gyre__tls_waits(tls) ? GYRE_TLS_WAITING : before.waiting ? GYRE_TLS_DRAINED : 0);
}

/* Decrypts all of `in` into the environment's buffer. */
static void gyre__tls_run(gyre_tls_t* tls, gyre_bytes_t* plain) {
  gyre__tls_shake(tls);
  if (tls->early.length > 0 && gyre__tls_may_read(tls)) {
    if (!gyre__tls_append(plain, tls->early.data, tls->early.length)) tls->failed = true;
    gyre__tls_wipe(&tls->early);
  }
  while (gyre__tls_may_read(tls)) {
    if (!gyre__tls_room(plain, GYRE_TLS_RECORD)) {
      tls->failed = true;
      return;
    }
    size_t count = gyre__tls_read(tls, (char*)plain->data + plain->length, plain->capacity - plain->length);
    if (count == 0) return;
    plain->length += count;
  }
}

/*
 * tlsDecrypt(id, data): passes ciphertext of the peer to the session, and goes on with the handshake. Returns
 * bits. Take the plaintext right after the call.
 */
static napi_value gyre_tls_decrypt(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  uv_buf_t data = gyre__arg_bytes(&args, 1);
  struct gyre_tls_env_s* own = gyre__tls_env(args.env);
  if (tls == NULL || args.failed || own == NULL) return gyre__int(&args, 0);
  gyre_tls_before_t before = gyre__tls_before(tls);
  gyre__tls_empty(&own->plain);
  gyre__tls_give(tls, (const uint8_t*)data.base, data.len);
  gyre__tls_run(tls, &own->plain);
  gyre__tls_taken(tls);
  return gyre__int(&args, gyre__tls_since(tls, before) | (own->plain.length > 0 ? GYRE_TLS_PLAIN : 0));
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

/* tlsTakePlain(): the plaintext of the last tlsDecrypt(); null if there is no memory. */
static napi_value gyre_tls_take_plain(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  struct gyre_tls_env_s* own = gyre__tls_env(args.env);
  if (own == NULL) return gyre__null(&args);
  napi_value plain = gyre__tls_buffer(&args, own->plain.data, own->plain.length);
  if (own->plain.length > 0) OPENSSL_cleanse(own->plain.data, own->plain.length);
  gyre__tls_empty(&own->plain);
  return plain;
}

/* tlsTakeOutput(id): the ciphertext for the peer; null if there is no memory. */
static napi_value gyre_tls_take_output(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  if (tls == NULL) return gyre__null(&args);
  napi_value output = gyre__tls_buffer(&args, tls->out.data, tls->out.length);
  free(tls->out.data);
  tls->out = (gyre_bytes_t){0};
  return output;
}

/* tlsTakeNotes(id): [type, bytes, type, bytes, ...]. */
static napi_value gyre_tls_take_notes(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  napi_value list;
  uint32_t count = 0;
  if (napi_create_array(napi, &list) != napi_ok || tls == NULL) return gyre__null(&args);
  for (size_t at = 0; at < tls->notes.length;) {
    uint32_t head[2];
    memcpy(head, tls->notes.data + at, sizeof(head));
    at += sizeof(head);
    napi_set_element(napi, list, count++, gyre__int(&args, head[0]));
    napi_set_element(napi, list, count++, gyre__tls_buffer(&args, tls->notes.data + at, head[1]));
    at += head[1];
  }
  gyre__tls_wipe(&tls->notes);
  return list;
}

/* tlsFault(id): [message, library, reason, code], each may be null. */
static napi_value gyre_tls_fault(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  napi_value list;
  if (napi_create_array_with_length(napi, 4, &list) != napi_ok || tls == NULL) return gyre__null(&args);
  const char* texts[] = {tls->message, tls->library, tls->reason, tls->code};
  for (uint32_t i = 0; i < 4; i++) {
    napi_set_element(napi, list, i, texts[i] == NULL ? gyre__null(&args) : gyre__string(&args, texts[i], strlen(texts[i])));
  }
  return list;
}

/* --- encryption --- */

/*
 * Encrypts the chunks of an array. Short ones are copied together: each record costs the peer a system call
 * or two, and 22 bytes or more.
 *
 * An element may be a getter, which can close the session. So each step looks the session up.
 */
static bool gyre__tls_write_all(gyre_args_t* args, gyre_tls_t* tls, napi_value chunks) {
  gyre_env_t* env = args->env;
  int32_t id = tls->handle.id;
  size_t filled = 0;
  uint32_t count = 0;
  if (napi_get_array_length(env->napi, chunks, &count) != napi_ok) return false;
  for (uint32_t i = 0; i < count; i++) {
    napi_value chunk;
    uv_buf_t bytes;
    if (napi_get_element(env->napi, chunks, i, &chunk) != napi_ok || gyre__handle_get(env, id) != &tls->handle ||
        !gyre__bytes(env->napi, chunk, &bytes)) {
      return false;
    }
    if (filled + bytes.len > GYRE_TLS_RECORD) {
      if (!gyre__tls_write(tls, env->arena, filled)) return false;
      filled = 0;
    }
    if (bytes.len >= GYRE_TLS_RECORD) {
      if (!gyre__tls_write(tls, bytes.base, bytes.len)) return false;
    } else if (bytes.len > 0) {
      memcpy(env->arena + filled, bytes.base, bytes.len);
      filled += bytes.len;
    }
  }
  return gyre__tls_write(tls, env->arena, filled);
}

/* Sends the ciphertext of the call. The session keeps the rest, which JavaScript takes. */
static void gyre__tls_send(gyre_tls_t* tls, const gyre_stream_t* stream, gyre_bytes_t* cipher) {
  ssize_t sent;
  do {
    sent = stream == NULL ? 0 : send(stream->handle.fd, cipher->data, cipher->length, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  /* If the socket has failed, JavaScript learns it with the rest. */
  size_t done = sent < 0 ? 0 : (size_t)sent;
  if (done < cipher->length && !gyre__tls_append(&tls->out, cipher->data + done, cipher->length - done)) {
    tls->failed = true;
  }
  gyre__tls_empty(cipher);
}

/*
 * tlsEncrypt(id, stream, chunks): encrypts a chunk or an array of chunks. With a stream it also sends, and
 * keeps only what the kernel did not take. -1: no stream. Returns bits.
 */
static napi_value gyre_tls_encrypt(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  gyre_stream_t* stream = (gyre_stream_t*)gyre__arg_handle(&args, 1, GYRE_STREAM);
  struct gyre_tls_env_s* own = gyre__tls_env(args.env);
  if (tls == NULL || own == NULL) return gyre__int(&args, 0);
  gyre_tls_before_t before = gyre__tls_before(tls);
  bool is_direct = stream != NULL && stream->data == NULL && tls->out.length == 0 && stream->type != GYRE_FILE;
  bool is_list = false;
  uv_buf_t bytes;
  napi_is_array(napi, args.argv[2], &is_list);
  tls->sink = is_direct ? &own->cipher : &tls->out;
  bool is_fine = gyre__tls_is_open(tls) &&
                 (is_list ? gyre__tls_write_all(&args, tls, args.argv[2])
                          : gyre__bytes(napi, args.argv[2], &bytes) && gyre__tls_write(tls, bytes.base, bytes.len));
  /* An element of the array may have closed both. */
  tls = gyre__arg_tls(&args, 0);
  if (tls == NULL) return gyre__int(&args, 0);
  if (!is_fine) tls->failed = true;
  if (is_direct && own->cipher.length > 0) gyre__tls_send(tls, (gyre_stream_t*)gyre__arg_handle(&args, 1, GYRE_STREAM), &own->cipher);
  return gyre__int(&args, gyre__tls_since(tls, before));
}

/* tlsEnd(id): adds close_notify to the output, at the latest when a renegotiation is over. Returns bits. */
static napi_value gyre_tls_end(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  if (tls == NULL) return gyre__int(&args, 0);
  gyre_tls_before_t before = gyre__tls_before(tls);
  tls->sink = &tls->out;
  if (gyre__tls_is_open(tls)) gyre__tls_shut(tls);
  return gyre__int(&args, gyre__tls_since(tls, before));
}

/* --- fused with a stream --- */

/*
 * tlsFuse(id, stream): from the next poll phase on, the addon decrypts what it reads from the stream. Returns
 * 0, or an error. No ciphertext may be on its way through JavaScript then.
 */
static napi_value gyre_tls_fuse(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_t* tls = gyre__arg_tls(&args, 0);
  gyre_stream_t* stream = (gyre_stream_t*)gyre__arg_handle(&args, 1, GYRE_STREAM);
  struct gyre_tls_env_s* own = gyre__tls_env(args.env);
  if (tls == NULL || stream == NULL || stream->type == GYRE_FILE) return gyre__int(&args, UV_EBADF);
  if (own == NULL) return gyre__int(&args, UV_ENOMEM);
  if (own->input == NULL) own->input = gyre__alloc(GYRE_BIG_READ);
  if (own->input == NULL) return gyre__int(&args, UV_ENOMEM);
  stream->tls = tls->handle.id;
  return gyre__int(&args, 0);
}

bool gyre__tls_receive_into(gyre_stream_t* stream, uv_buf_t* buf) {
  gyre_handle_t* handle = gyre__handle_get(stream->handle.env, stream->tls);
  if (handle == NULL || handle->kind != GYRE_TLS) return false;
  *buf = uv_buf_init((char*)stream->handle.env->tls->input, GYRE_BIG_READ);
  return true;
}

int gyre__tls_received(gyre_stream_t* stream, size_t count) {
  gyre_env_t* env = stream->handle.env;
  gyre_tls_t* tls = (gyre_tls_t*)gyre__handle_get(env, stream->tls);
  gyre_tls_before_t before = gyre__tls_before(tls);
  gyre__tls_warm(tls);
  gyre__tls_give(tls, env->tls->input, count);
  bool told = false;
  for (;;) {
    uv_buf_t buf;
    gyre__slab_reserve(env, tls->in_length > GYRE_SMALL_READ ? GYRE_BIG_READ : GYRE_SMALL_READ, &buf);
    if (buf.base == NULL) {
      gyre__tls_taken(tls);
      return UV_ENOBUFS;
    }
    size_t plain = gyre__tls_read(tls, buf.base, buf.len);
    if (plain == 0) break;
    /* A session that can be resumed is reported before the data that came with it, as Node does. */
    if (tls->notes.length > 0 && !told) gyre__event(env, stream->handle.id, GYRE_TLS_STEP, GYRE_TLS_NOTES, 0, 0);
    told = told || tls->notes.length > 0;
    gyre_place_t place = gyre__slab_commit(env, plain);
    gyre__event(env, stream->handle.id, GYRE_DECRYPTED, place.slot, place.offset, (int32_t)plain);
    if (plain < buf.len) break;
  }
  gyre__tls_taken(tls);
  int32_t bits = gyre__tls_since(tls, before);
  if (bits != 0) gyre__event(env, stream->handle.id, GYRE_TLS_STEP, bits, 0, 0);
  return 0;
}

/* --- opening and closing --- */

static void gyre__tls_on_close(gyre_handle_t* handle) {
  gyre_tls_t* tls = (gyre_tls_t*)handle;
  SSL_free(tls->ssl);
  gyre__tls_wipe(&tls->out);
  gyre__tls_wipe(&tls->notes);
  gyre__tls_wipe(&tls->held);
  gyre__tls_wipe(&tls->early);
  gyre__tls_wipe(&tls->unsent);
  free(tls->message);
}

static bool gyre__tls_set_up(gyre_tls_t* tls, const gyre_tls_context_t* context, const char* name, const uv_buf_t* session) {
  static uv_once_t once = UV_ONCE_INIT;
  uv_once(&once, gyre__bio_method_make);
  tls->ssl = gyre__bio_method == NULL || gyre__fault() ? NULL : SSL_new(context->ssl_ctx);
  BIO* bio = tls->ssl == NULL ? NULL : BIO_new(gyre__bio_method);
  if (bio == NULL) return false;
  BIO_set_data(bio, tls);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls->ssl, bio, bio);
  SSL_set_app_data(tls->ssl, tls);
  SSL_set_read_ahead(tls->ssl, 1);
  SSL_set_mode(tls->ssl, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_set_info_callback(tls->ssl, gyre__tls_on_info);
  if (tls->is_server) {
    SSL_set_options(tls->ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_set_accept_state(tls->ssl);
  } else {
    SSL_set_connect_state(tls->ssl);
  }
  /* As in Node, a longer name is not sent. No certificate is valid for it. */
  bool is_sent = name != NULL && strlen(name) <= TLSEXT_MAXLEN_host_name;
  if (is_sent && SSL_set_tlsext_host_name(tls->ssl, name) != 1) return false;
  if (session->base != NULL) {
    const unsigned char* data = (const unsigned char*)session->base;
    SSL_SESSION* resumed = d2i_SSL_SESSION(NULL, &data, (long)session->len);
    /* As in Node: the handshake is a full one if the session is of no use. */
    if (resumed != NULL) SSL_set_session(tls->ssl, resumed);
    SSL_SESSION_free(resumed);
  }
  return true;
}

/*
 * tlsOpen(context, serverSide, name, session): opens a session. `name` is sent as SNI, `session` is to be
 * resumed; each may be null. Returns its id, or an error.
 */
static napi_value gyre_tls_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_tls_context_t* context = gyre__arg_tls_context(&args, 0);
  bool is_server = gyre__arg_bool(&args, 1);
  char* name = gyre__arg_string(&args, 2);
  uv_buf_t session = {.base = NULL, .len = 0};
  napi_valuetype type = napi_undefined;
  if (args.argc > 3) napi_typeof(napi, args.argv[3], &type);
  if (type == napi_object) session = gyre__arg_bytes(&args, 3);
  int error = context == NULL ? UV_EINVAL : gyre__arg_error(&args);
  gyre_tls_t* tls = error != 0 ? NULL : gyre__handle_new(args.env, GYRE_TLS, sizeof(*tls));
  if (tls != NULL) {
    tls->handle.on_close = gyre__tls_on_close;
    tls->is_server = is_server;
    tls->sink = &tls->out;
    gyre__tls_forget_errors();
    if (!gyre__tls_set_up(tls, context, name, &session)) {
      gyre__handle_close(&tls->handle);
      tls = NULL;
    }
  }
  free(name);
  if (error == 0 && tls == NULL) error = UV_ENOMEM;
  return gyre__int(&args, error != 0 ? error : tls->handle.id);
}

/* tlsAvailable(): whether the host has the functions of OpenSSL 3 that the engine needs. */
static napi_value gyre_tls_available(napi_env napi, napi_callback_info info) {
  (void)info;
  napi_value result;
#define GYRE_EXISTS(name) &&(void*)name != NULL
  bool complete = true GYRE_TLS_SYMBOLS(GYRE_EXISTS);
#undef GYRE_EXISTS
  napi_get_boolean(napi, complete && OpenSSL_version_num() >= 0x30000000UL, &result);
  return result;
}

const gyre_export_t gyre_tls_exports[] = {
    {"tlsAvailable", gyre_tls_available},
    {"tlsOpen", gyre_tls_open},
    {"tlsDecrypt", gyre_tls_decrypt},
    {"tlsEncrypt", gyre_tls_encrypt},
    {"tlsEnd", gyre_tls_end},
    {"tlsFuse", gyre_tls_fuse},
    {"tlsVerified", gyre_tls_verified},
    {"tlsTakePlain", gyre_tls_take_plain},
    {"tlsTakeOutput", gyre_tls_take_output},
    {"tlsTakeNotes", gyre_tls_take_notes},
    {"tlsFault", gyre_tls_fault},
    {NULL, NULL},
};
#else
/* Built without the headers of OpenSSL: the portable engine serves every connection. */
static napi_value gyre_tls_available(napi_env napi, napi_callback_info info) {
  (void)info;
  napi_value result;
  napi_get_boolean(napi, false, &result);
  return result;
}

const gyre_export_t gyre_tls_exports[] = {
    {"tlsAvailable", gyre_tls_available},
    {NULL, NULL},
};
const gyre_export_t gyre_tls_context_exports[] = {{NULL, NULL}};
const gyre_export_t gyre_tls_info_exports[] = {{NULL, NULL}};

void gyre__tls_env_free(gyre_env_t* env) {
  (void)env;
}

bool gyre__tls_receive_into(gyre_stream_t* stream, uv_buf_t* buf) {
  (void)stream;
  (void)buf;
  return false;
}

int gyre__tls_received(gyre_stream_t* stream, size_t count) {
  (void)stream;
  (void)count;
  return UV_EBADF;
}
#endif
