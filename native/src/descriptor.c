/* Helpers for a descriptor of any socket or pipe, and the spare descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gyre.h"

int gyre__set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

int gyre__never_block(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK)) return 0;
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

void gyre__reset_at_close(int fd) {
  struct linger none = {.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

bool gyre__spare_lend(gyre_env_t* env) {
  if (env->spare_fd < 0) return false;
  close(env->spare_fd);
  env->spare_fd = -1;
  return true;
}

void gyre__spare_regain(gyre_env_t* env) {
  if (env->spare_fd < 0) env->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}
