/*
 * Child processes.
 *
 * fork() copies the page tables of the whole process: 16 ms for 1 GiB of resident memory, during which
 * nothing else runs. So the child is started by vfork(): it borrows the parent's memory until it executes its
 * program. A pidfd reports its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gyre.h"

enum {
  GYRE_FD_NULL = -1,
  GYRE_FD_CLOSED = -2,
  GYRE_KEEP_ID = -1,
  /*
   * Higher numbers are errors: the kernel allows a process fewer descriptors, and an argument list fewer
   * strings.
   */
  GYRE_MOST_FDS = 1 << 20,
  GYRE_MOST_STRINGS = 1 << 24,
  /* The exit code of a child that other code has reaped, as in asyncio. */
  GYRE_CODE_UNKNOWN = 255,
};

/* The step at which a spawn failed, for the error message. */
enum gyre_spawn_stage { GYRE_AT_SETUP, GYRE_AT_DESCRIPTORS, GYRE_AT_DIRECTORY, GYRE_AT_USER, GYRE_AT_PROGRAM };

typedef struct {
  char** candidates; /* the paths to try, in order */
  char** argv;
  char** shell_argv; /* argv for a script without #!: shell, script, arguments */
  char** envp;
  const char* cwd;
  int32_t* fds; /* by the child's descriptor: the parent's one, or GYRE_FD_… */
  int fd_count;
  int32_t uid;
  int32_t gid;
  bool detached;
  /* The child writes these, in the parent's memory, before it executes the program. */
  volatile int error;
  volatile int stage;
} gyre_spawn_t;

/* The handle's descriptor is a pidfd. */
typedef struct {
  gyre_handle_t handle;
  pid_t pid;
} gyre_child_t;

/* --- in the child: don't allocate, lock, or return here --- */

static void gyre__child_fail(gyre_spawn_t* spawn, int stage) {
  spawn->error = errno;
  spawn->stage = stage;
  _exit(127);
}

static void gyre__child_signals(void) {
  struct sigaction act = {.sa_handler = SIG_DFL};
  for (int signum = 1; signum < NSIG; signum++) {
    if (signum != SIGKILL && signum != SIGSTOP) sigaction(signum, &act, NULL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void gyre__child_descriptors(gyre_spawn_t* spawn) {
  /* First move each descriptor away whose number another descriptor will get. */
  for (int fd = 0; fd < spawn->fd_count; fd++) {
    int from = spawn->fds[fd];
    if (from < 0 || from >= spawn->fd_count || from == fd) continue;
    int moved = fcntl(from, F_DUPFD_CLOEXEC, spawn->fd_count);
    if (moved < 0) gyre__child_fail(spawn, GYRE_AT_DESCRIPTORS);
    spawn->fds[fd] = moved;
  }
  for (int fd = 0; fd < spawn->fd_count; fd++) {
    int from = spawn->fds[fd];
    if (from == GYRE_FD_CLOSED) {
      close(fd);
      continue;
    }
    if (from == GYRE_FD_NULL) {
      from = open("/dev/null", (fd == 0 ? O_RDONLY : O_RDWR) | O_CLOEXEC);
      if (from < 0) gyre__child_fail(spawn, GYRE_AT_DESCRIPTORS);
    }
    if (from == fd) {
      int flags = fcntl(fd, F_GETFD);
      if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0) gyre__child_fail(spawn, GYRE_AT_DESCRIPTORS);
    } else if (dup2(from, fd) < 0) {
      gyre__child_fail(spawn, GYRE_AT_DESCRIPTORS);
    }
    /*
     * Programs expect blocking standard streams. The parent's users of a shared socket pass MSG_DONTWAIT, so
     * this does not make them block.
     */
    if (fd <= STDERR_FILENO) {
      int flags = fcntl(fd, F_GETFL);
      if (flags >= 0 && (flags & O_NONBLOCK)) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
  }
}

/*
 * Tries the candidates as execvp() does. If all fail, the last error counts; but EACCES tells more than a
 * later ENOENT or ENOTDIR.
 */
static void gyre__child_program(gyre_spawn_t* spawn) {
  int error = ENOENT;
  bool forbidden = false;
  for (char** program = spawn->candidates; *program != NULL; program++) {
    execve(*program, spawn->argv, spawn->envp);
    if (errno == ENOEXEC) {
      spawn->shell_argv[0] = "/bin/sh";
      spawn->shell_argv[1] = *program;
      execve("/bin/sh", spawn->shell_argv, spawn->envp);
    }
    error = errno;
    if (error == EACCES) forbidden = true;
    else if (error != ENOENT && error != ENOTDIR) break;
  }
  errno = forbidden && (error == ENOENT || error == ENOTDIR) ? EACCES : error;
  gyre__child_fail(spawn, GYRE_AT_PROGRAM);
}

static void gyre__child(gyre_spawn_t* spawn) {
  gyre__child_signals();
  if (spawn->detached) setsid();
  gyre__child_descriptors(spawn);
  if (spawn->cwd != NULL && chdir(spawn->cwd) != 0) gyre__child_fail(spawn, GYRE_AT_DIRECTORY);
  /* Use system calls: the functions of libc would change all threads of the parent, too. */
  if (spawn->uid != GYRE_KEEP_ID || spawn->gid != GYRE_KEEP_ID) syscall(SYS_setgroups, 0, NULL);
  if (spawn->gid != GYRE_KEEP_ID && syscall(SYS_setgid, spawn->gid) != 0) gyre__child_fail(spawn, GYRE_AT_USER);
  if (spawn->uid != GYRE_KEEP_ID && syscall(SYS_setuid, spawn->uid) != 0) gyre__child_fail(spawn, GYRE_AT_USER);
  gyre__child_program(spawn);
}

/* --- in the parent --- */

/*
 * Keep this a separate function, not inlined: when vfork() returns for the second time, no variable of a
 * caller may be in a register.
 */
__attribute__((noinline)) static pid_t gyre__vfork(gyre_spawn_t* spawn) {
  pid_t pid = vfork();
  if (pid == 0) gyre__child(spawn);
  return pid;
}

/*
 * Gives the child a blocking description of each non-blocking pipe, so that the other users of the pipe keep
 * O_NONBLOCK. The caller closes `copies` after the spawn.
 */
static void gyre__copy_stdio(gyre_spawn_t* spawn, int copies[STDERR_FILENO + 1]) {
  for (int fd = 0; fd <= STDERR_FILENO; fd++) {
    copies[fd] = fd < spawn->fd_count && spawn->fds[fd] >= 0 ? gyre__blocking_copy(spawn->fds[fd]) : -1;
    if (copies[fd] >= 0) spawn->fds[fd] = copies[fd];
  }
}

static void gyre__reap(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

static int gyre__spawn(gyre_spawn_t* spawn, pid_t* result) {
  sigset_t all, before;
  int copies[STDERR_FILENO + 1];
  gyre__copy_stdio(spawn, copies);
  sigfillset(&all);
  /* Block all signals: no handler of the parent may run in the child, which shares its memory. */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = gyre__vfork(spawn);
  int error = pid < 0 ? errno : spawn->error;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  for (int fd = 0; fd <= STDERR_FILENO; fd++) {
    if (copies[fd] >= 0) close(copies[fd]);
  }
  if (pid > 0 && error != 0) gyre__reap(pid);
  *result = pid;
  return error == 0 ? 0 : -error;
}

static void gyre__on_child(gyre_handle_t* handle, uint32_t events) {
  (void)events;
  gyre_env_t* env = handle->env;
  int32_t id = handle->id;
  pid_t pid = ((gyre_child_t*)handle)->pid;
  int result;
  pid_t ended = waitpid(pid, &result, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return;
  int code = ended < 0 ? GYRE_CODE_UNKNOWN : WIFEXITED(result) ? WEXITSTATUS(result) : 0;
  int signum = ended > 0 && WIFSIGNALED(result) ? WTERMSIG(result) : 0;
  /* Close the handle first: another process may get the pid from now on. */
  gyre__handle_close(handle);
  gyre__event(env, id, GYRE_EXITED, code, signum, pid);
}

/* Watches a running child. Returns its id, or an error; then the child has been killed. */
static int gyre__watch_child(gyre_env_t* env, pid_t pid) {
  gyre_child_t* child = gyre__handle_new(env, GYRE_CHILD, sizeof(*child));
  int error = child == NULL ? UV_ENOMEM : 0;
  if (error == 0) {
    child->pid = pid;
    child->handle.on_ready = gyre__on_child;
    child->handle.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    error = child->handle.fd < 0 ? -errno : gyre__watch(&child->handle, EPOLLIN);
  }
  if (error != 0) {
    if (child != NULL) gyre__handle_close(&child->handle);
    /*
     * UV_ESRCH: the child has ended, and the kernel has reaped it because SIGCHLD is ignored. Don't signal
     * its pid: another process may have it.
     */
    if (error != UV_ESRCH) kill(pid, SIGKILL);
    gyre__reap(pid);
    return error;
  }
  return child->handle.id;
}

static void gyre__free_strings(char** list) {
  if (list == NULL) return;
  for (char** one = list; *one != NULL; one++) free(*one);
  free(list);
}

/* Copies an array of strings into a list that ends with NULL. */
static char** gyre__arg_strings(gyre_args_t* args, size_t index) {
  napi_env napi = args->env->napi;
  uint32_t length = 0;
  char** list = NULL;
  if (index < args->argc && napi_get_array_length(napi, args->argv[index], &length) == napi_ok && length <= GYRE_MOST_STRINGS) {
    list = gyre__alloc(((size_t)length + 1) * sizeof(*list));
    if (list == NULL) args->no_memory = true;
  }
  if (list == NULL) args->failed = true;
  for (uint32_t i = 0; list != NULL && i < length && !args->failed; i++) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(napi, &scope) != napi_ok) {
      args->failed = true;
      break;
    }
    gyre_args_t one = {.env = args->env, .argc = 1};
    if (napi_get_element(napi, args->argv[index], i, &one.argv[0]) == napi_ok) list[i] = gyre__arg_string(&one, 0);
    if (list[i] == NULL) args->failed = true;
    if (one.no_memory) args->no_memory = true;
    napi_close_handle_scope(napi, scope);
  }
  return list;
}

static bool gyre__arg_is_null(gyre_args_t* args, size_t index) {
  napi_valuetype type;
  return index < args->argc && napi_typeof(args->env->napi, args->argv[index], &type) == napi_ok && type == napi_null;
}

static char** gyre__shell_argv(char** argv) {
  size_t length = 0;
  while (argv[length] != NULL) length++;
  char** list = gyre__alloc((length + 3) * sizeof(*list));
  for (size_t i = 1; list != NULL && i < length; i++) list[i + 1] = argv[i];
  return list;
}

/* Copies an Int32Array. The child writes into the copy. */
static int32_t* gyre__arg_fds(gyre_args_t* args, size_t index, int* count) {
  void* fds = NULL;
  size_t length = 0;
  napi_typedarray_type type;
  if (index >= args->argc ||
      napi_get_typedarray_info(args->env->napi, args->argv[index], &type, &length, &fds, NULL, NULL) != napi_ok ||
      type != napi_int32_array || length > GYRE_MOST_FDS) {
    args->failed = true;
    return NULL;
  }
  int32_t* copy = gyre__alloc((length + 1) * sizeof(*copy));
  if (copy == NULL) args->failed = args->no_memory = true;
  else if (length > 0) memcpy(copy, fds, length * sizeof(*copy));
  *count = (int)length;
  return copy;
}

/*
 * spawn(candidates, argv, env | null, cwd | null, fds, uid, gid, detached): an id or an error. env of null:
 * the variables of this process. After an error, failedAt() names the step.
 */
static napi_value gyre_spawn(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_spawn_t spawn = {.error = 0};
  spawn.candidates = gyre__arg_strings(&args, 0);
  spawn.argv = gyre__arg_strings(&args, 1);
  bool own_env = gyre__arg_is_null(&args, 2);
  spawn.envp = own_env ? environ : gyre__arg_strings(&args, 2);
  char* cwd = gyre__arg_string(&args, 3);
  spawn.cwd = cwd;
  spawn.fds = gyre__arg_fds(&args, 4, &spawn.fd_count);
  spawn.uid = gyre__arg_int(&args, 5);
  spawn.gid = gyre__arg_int(&args, 6);
  spawn.detached = gyre__arg_bool(&args, 7);
  int result = gyre__arg_error(&args);
  if (result == 0) {
    spawn.shell_argv = gyre__shell_argv(spawn.argv);
    pid_t pid = -1;
    result = spawn.shell_argv == NULL ? UV_ENOMEM : gyre__spawn(&spawn, &pid);
    if (result == 0) result = gyre__watch_child(args.env, pid);
  }
  args.env->failed_at = spawn.stage;
  gyre__free_strings(spawn.candidates);
  gyre__free_strings(spawn.argv);
  if (!own_env) gyre__free_strings(spawn.envp);
  free(cwd);
  free(spawn.fds);
  free(spawn.shell_argv);
  return gyre__int(&args, result);
}

static napi_value gyre_pid(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_CHILD);
  return gyre__int(&args, handle == NULL ? -1 : ((gyre_child_t*)handle)->pid);
}

/*
 * kill(id, signum): signals through the pidfd, so that another process with the same pid never gets the
 * signal.
 */
static napi_value gyre_kill(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_CHILD);
  int32_t signum = gyre__arg_int(&args, 1);
  if (handle == NULL) return gyre__int(&args, UV_ESRCH);
  return gyre__int(&args, syscall(SYS_pidfd_send_signal, handle->fd, signum, NULL, 0) == 0 ? 0 : -errno);
}

static napi_value gyre__pair(napi_env napi, napi_callback_info info, bool socket) {
  gyre_args_t args = gyre__args(napi, info);
  int fds[2];
  int failed = socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) : pipe2(fds, O_CLOEXEC);
  if (failed != 0) return gyre__int(&args, -errno);
  napi_value pair;
  napi_create_array_with_length(napi, 2, &pair);
  napi_set_element(napi, pair, 0, gyre__int(&args, fds[0]));
  napi_set_element(napi, pair, 1, gyre__int(&args, fds[1]));
  return pair;
}

/* socketPair(): two connected sockets, or an error. For tests. */
static napi_value gyre_socket_pair(napi_env napi, napi_callback_info info) {
  return gyre__pair(napi, info, true);
}

/* pipe(): [read end, write end], or an error. */
static napi_value gyre_pipe(napi_env napi, napi_callback_info info) {
  return gyre__pair(napi, info, false);
}

static napi_value gyre_close_fd(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  if (args.failed) return NULL;
  /*
   * Otherwise the end of the environment would close this number again, and another file may have it by then.
   */
  gyre__disown(args.env, fd);
  close(fd);
  return NULL;
}

/* hasPidfd(): whether the kernel has pidfd_open() (Linux 5.3). */
static napi_value gyre_has_pidfd(napi_env napi, napi_callback_info info) {
  (void)info;
  int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (fd >= 0) close(fd);
  napi_value result;
  napi_get_boolean(napi, fd >= 0, &result);
  return result;
}

const gyre_export_t gyre_process_exports[] = {
    {"spawn", gyre_spawn},
    {"pid", gyre_pid},
    {"kill", gyre_kill},
    {"socketPair", gyre_socket_pair},
    {"pipe", gyre_pipe},
    {"closeFd", gyre_close_fd},
    {"hasPidfd", gyre_has_pidfd},
    {NULL, NULL},
};
