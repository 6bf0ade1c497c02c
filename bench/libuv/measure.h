/* Helpers of the programs of this folder that measure themselves: the twin of ../measure.ts. */
#ifndef MEASURE_H
#define MEASURE_H

#include "common.h"

static inline int compare_doubles(const void *left, const void *right) {
  double a = *(const double *) left, b = *(const double *) right;
  return (a > b) - (a < b);
}

/* Sorts them. */
static inline double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare_doubles);
  return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* details: the text between the braces */
static inline void report(double value, const char *details) {
  printf("{\"value\":%.4f,\"details\":{%s},\"runtime\":\"libuv %s\"}\n", value, details, uv_version_string());
}

#endif
