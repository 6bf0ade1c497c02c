/* Socket addresses. In: host and port. Out: [host, port], [host, port, flowinfo, scope] or a path. */
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "gyre.h"

int gyre__parse_address(const char* host, int port, uint32_t scope, struct sockaddr_storage* out) {
  memset(out, 0, sizeof(*out));
  if (port < 0 || port > 65535) return UV_EINVAL;
  if (uv_ip4_addr(host, port, (struct sockaddr_in*)out) == 0) return 0;
  struct sockaddr_in6* in6 = (struct sockaddr_in6*)out;
  int error = uv_ip6_addr(host, port, in6);
  if (error == 0 && scope != 0) in6->sin6_scope_id = scope;
  return error;
}

int gyre__arg_unix_address(gyre_args_t* args, size_t index, struct sockaddr_storage* out, unsigned int* length) {
  struct sockaddr_un* un = (struct sockaddr_un*)out;
  memset(out, 0, sizeof(*out));
  un->sun_family = AF_UNIX;
  size_t size = 0;
  napi_env napi = args->env->napi;
  if (index >= args->argc || napi_get_value_string_utf8(napi, args->argv[index], NULL, 0, &size) != napi_ok) {
    return UV_EINVAL;
  }
  if (size >= sizeof(un->sun_path)) return UV_ENAMETOOLONG;
  napi_get_value_string_utf8(napi, args->argv[index], un->sun_path, sizeof(un->sun_path), &size);
  /* An empty name makes the system choose one. The system reads a path only up to the first NUL. */
  if (size == 0 || (un->sun_path[0] != '\0' && strlen(un->sun_path) != size)) return UV_EINVAL;
  /* A path ends with a NUL; a name of the abstract namespace ends with the length. */
  *length = (unsigned int)(offsetof(struct sockaddr_un, sun_path) + size + (un->sun_path[0] == '\0' ? 0 : 1));
  return 0;
}

unsigned int gyre__address_length(const struct sockaddr_storage* address) {
  return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

napi_value gyre__format_address(gyre_args_t* args, const struct sockaddr* address, size_t length) {
  napi_env napi = args->env->napi;
  napi_value result = NULL;
  char host[UV_IF_NAMESIZE + INET6_ADDRSTRLEN];
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in* in = (const struct sockaddr_in*)address;
    uv_ip4_name(in, host, sizeof(host));
    napi_create_array_with_length(napi, 2, &result);
    napi_set_element(napi, result, 0, gyre__string(args, host, NAPI_AUTO_LENGTH));
    napi_set_element(napi, result, 1, gyre__int(args, ntohs(in->sin_port)));
  } else if (address->sa_family == AF_INET6) {
    const struct sockaddr_in6* in6 = (const struct sockaddr_in6*)address;
    uv_ip6_name(in6, host, sizeof(host));
    napi_create_array_with_length(napi, 4, &result);
    napi_set_element(napi, result, 0, gyre__string(args, host, NAPI_AUTO_LENGTH));
    napi_set_element(napi, result, 1, gyre__int(args, ntohs(in6->sin6_port)));
    napi_set_element(napi, result, 2, gyre__int(args, ntohl(in6->sin6_flowinfo)));
    napi_set_element(napi, result, 3, gyre__int(args, in6->sin6_scope_id));
  } else if (address->sa_family == AF_UNIX) {
    const struct sockaddr_un* un = (const struct sockaddr_un*)address;
    size_t room = length > offsetof(struct sockaddr_un, sun_path) ? length - offsetof(struct sockaddr_un, sun_path) : 0;
    size_t used = room > 0 && un->sun_path[0] == '\0' ? room : strnlen(un->sun_path, room);
    result = gyre__string(args, un->sun_path, used);
  } else {
    napi_get_null(napi, &result);
  }
  return result;
}
