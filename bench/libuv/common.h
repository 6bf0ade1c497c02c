/* Helpers of all programs of this folder. */
#ifndef COMMON_H
#define COMMON_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static inline void check(int status, const char *what) {
  if (status >= 0) return;
  fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
  exit(1);
}

static inline void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static inline void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) abort();
  return memory;
}

/*
 * The bytes that travel: messages of letters and a newline, as in ../load/shared.c, over and over up to a
 * length.
 */
static inline char *message_of(size_t size, size_t length) {
  char *message = allocate(length);
  for (size_t i = 0; i < length; i++) message[i] = i % size == size - 1 ? '\n' : (char) ('a' + i % size % 26);
  return message;
}

#endif
