/*
 * The client side of handshakes. All servers negotiate the same: TLS 1.3, X25519, TLS_AES_128_GCM_SHA256. The
 * certificate's chain is not verified. Its signature of the handshake is.
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls.h"

static SSL_CTX *context;
static int secrets_index, kept_index;

void fail_in_tls(const char *what) {
  fprintf(stderr, "load: %s: ", what);
  ERR_print_errors_fp(stderr);
  fprintf(stderr, "\n");
  exit(1);
}

static void parse_hex(const char *text, unsigned char *out, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned value;
    if (sscanf(text + 2 * i, "%2x", &value) != 1) fail_because("the key log has no hexadecimal digits");
    out[i] = (unsigned char) value;
  }
}

/* A line has a label, the client's random bytes and the secret. */
static void on_key_log(const SSL *ssl, const char *line) {
  secrets_t *secrets = SSL_get_ex_data(ssl, secrets_index);
  if (secrets == NULL) return;
  const char *secret = strrchr(line, ' ') + 1;
  if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0) {
    parse_hex(secret, secrets->client, SECRET_BYTES);
    secrets->known |= 1;
  } else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0) {
    parse_hex(secret, secrets->server, SECRET_BYTES);
    secrets->known |= 2;
  }
}

/* Returns 1: the session belongs to this program from now on. */
static int on_session(SSL *ssl, SSL_SESSION *session) {
  SSL_SESSION **kept = SSL_get_ex_data(ssl, kept_index);
  if (kept == NULL) return 0;
  SSL_SESSION_free(*kept);
  *kept = session;
  return 1;
}

static void open_tls(void) {
  context = SSL_CTX_new(TLS_client_method());
  if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
      SSL_CTX_set1_groups_list(context, "X25519") != 1)
    fail_in_tls("TLS 1.3 is not there");
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_keylog_callback(context, on_key_log);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_session);
  secrets_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  kept_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

SSL *new_client(int fd, SSL_SESSION *session, secrets_t *secrets, SSL_SESSION **kept) {
  SSL *ssl = SSL_new(context);
  if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_set_ex_data(ssl, secrets_index, secrets) != 1 ||
      SSL_set_ex_data(ssl, kept_index, kept) != 1)
    fail_in_tls("a client cannot be made");
  if (session != NULL) {
    /* A copy: OpenSSL resumes a session once, and a server need not send a new one. */
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    if (copy == NULL || SSL_set_session(ssl, copy) != 1) fail_in_tls("a session cannot be resumed");
    SSL_SESSION_free(copy);
  }
  SSL_set_connect_state(ssl);
  return ssl;
}

/* One whole connection: see stream.c. */
void prime_tls(void) {
  char *answer = malloc(message_bytes);
  open_tls();
  int fd = connect_blocking();
  SSL *ssl = new_client(fd, NULL, NULL, NULL);
  if (answer == NULL || SSL_connect(ssl) != 1) fail_in_tls("the first handshake failed");
  if (SSL_write(ssl, pattern, (int) message_bytes) != (int) message_bytes) fail_in_tls("SSL_write");
  for (size_t done = 0; done < message_bytes;) {
    int received = SSL_read(ssl, answer + done, (int) (message_bytes - done));
    if (received <= 0) fail_in_tls("the server did not answer the first message");
    done += (size_t) received;
  }
  if (memcmp(answer, pattern, message_bytes) != 0) fail_because("something else came back than was sent");
  SSL_shutdown(ssl);
  SSL_free(ssl);
  close(fd);
  free(answer);
}
