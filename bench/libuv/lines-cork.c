/*
 * Line echo with one write for all the lines of a read, as a program does that has the next lines before it
 * writes.
 */
#define _GNU_SOURCE
#include "lines.h"

/* Looks at each line, as a program does that reads them. */
static size_t next_write(const char *text, size_t length) {
  size_t seen = 0;
  while (seen < length) seen = (size_t) ((const char *) memchr(text + seen, '\n', length - seen) - text) + 1;
  return seen;
}
