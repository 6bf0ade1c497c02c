/* The steps of a TLS session: the calls of OpenSSL, and what has happened in them. */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <stdlib.h>
#include <string.h>

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

/* Every call of OpenSSL begins with an empty queue of errors, because SSL_get_error() reads it. */
void gyre__tls_forget_errors(void) {
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
bool gyre__tls_is_open(const gyre_tls_t* tls) {
  return tls->secured && !tls->failed;
}

/* Returns whether the session can decrypt. */
static bool gyre__tls_may_read(const gyre_tls_t* tls) {
  return gyre__tls_is_open(tls) && !tls->ended && !tls->unverified;
}

bool gyre__tls_write(gyre_tls_t* tls, const void* data, size_t length) {
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

/* Sends close_notify, unless a handshake is under way, which does not allow it. */
void gyre__tls_shut(gyre_tls_t* tls) {
  bool is_busy = SSL_in_init(tls->ssl);
  tls->end_waits = is_busy && !tls->ended;
  gyre__tls_forget_errors();
  /* 0: sent, and the peer's has not come yet. */
  if (!is_busy && SSL_shutdown(tls->ssl) < 0) gyre__tls_fail(tls);
}

/* Passes ciphertext to the session, behind that which it holds. */
void gyre__tls_give(gyre_tls_t* tls, const uint8_t* data, size_t length) {
  tls->sink = &tls->out;
  tls->in = data;
  tls->in_length = length;
  if (tls->held.length == 0) return;
  if (!gyre__tls_append(&tls->held, data, length)) tls->failed = true;
  tls->in = tls->held.data;
  tls->in_length = tls->held.length;
}

/* Ends the call: the session holds what it must not decrypt yet. */
void gyre__tls_taken(gyre_tls_t* tls) {
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
size_t gyre__tls_read(gyre_tls_t* tls, char* to, size_t size) {
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

gyre_tls_before_t gyre__tls_before(const gyre_tls_t* tls) {
  return (gyre_tls_before_t){.secured = tls->secured, .ended = tls->ended, .failed = tls->failed, .unverified = tls->unverified, .waiting = gyre__tls_waits(tls)};
}

/* Returns what has happened since. */
int32_t gyre__tls_since(const gyre_tls_t* tls, gyre_tls_before_t before) {
  return (tls->secured && !before.secured ? GYRE_TLS_SECURED : 0) | (tls->ended && !before.ended ? GYRE_TLS_END : 0) |
         (tls->failed && !before.failed ? GYRE_TLS_FAILED : 0) | (tls->out.length > 0 ? GYRE_TLS_OUTPUT : 0) |
         (tls->notes.length > 0 ? GYRE_TLS_NOTES : 0) |
         (tls->unverified && !before.unverified ? GYRE_TLS_RENEGOTIATED : 0) |
         (gyre__tls_waits(tls) ? GYRE_TLS_WAITING : before.waiting ? GYRE_TLS_DRAINED : 0);
}

/* Decrypts all of `in` into the environment's buffer. */
void gyre__tls_run(gyre_tls_t* tls, gyre_bytes_t* plain) {
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
#endif
