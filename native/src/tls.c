/* TLS sessions. See tls.h. */
#include "tls.h"

#ifdef GYRE_OPENSSL
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

/* Returns null if `is_fine`; otherwise the text of OpenSSL's last error. */
napi_value gyre__tls_result(gyre_args_t* args, bool is_fine) {
  if (is_fine) return gyre__null(args);
  char text[256] = "invalid argument, or no memory";
  unsigned long error = ERR_peek_last_error();
  if (error != 0) ERR_error_string_n(error, text, sizeof(text));
  ERR_clear_error();
  return gyre__string(args, text, strlen(text));
}

/* Returns the bytes of an argument that may be null. */
uv_buf_t gyre__tls_optional_bytes(gyre_args_t* args, size_t index) {
  napi_valuetype type = napi_undefined;
  if (index < args->argc) napi_typeof(args->env->napi, args->argv[index], &type);
  if (type == napi_object) {
    uv_buf_t bytes = gyre__arg_bytes(args, index);
    /* An empty passphrase is not a missing one. */
    if (bytes.base == NULL) bytes.base = "";
    return bytes;
  }
  return (uv_buf_t){.base = NULL, .len = 0};
}

/* --- notes --- */

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
  tls->ssl = gyre__fault() ? NULL : SSL_new(context->ssl_ctx);
  BIO* bio = tls->ssl == NULL ? NULL : gyre__tls_bio(tls);
  if (bio == NULL) return false;
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
  uv_buf_t session = gyre__tls_optional_bytes(&args, 3);
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
const gyre_export_t gyre_tls_fused_exports[] = {{NULL, NULL}};
const gyre_export_t gyre_tls_renegotiation_exports[] = {{NULL, NULL}};
const gyre_export_t gyre_tls_context_exports[] = {{NULL, NULL}};
const gyre_export_t gyre_tls_certificates_exports[] = {{NULL, NULL}};
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
