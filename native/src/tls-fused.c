/* A TLS session that is fused with a stream: the poll phase decrypts what it reads, straight into a slab. */
#include "tls.h"

#ifdef GYRE_OPENSSL

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

const gyre_export_t gyre_tls_fused_exports[] = {
    {"tlsFuse", gyre_tls_fuse},
    {NULL, NULL},
};
#endif
