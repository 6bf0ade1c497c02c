// The names that a test process and its parent share.

/** The test that `files.mjs` adds behind those of each file. The reporter leaves it out. */
export const LAST = '(the end of the file)';

/** `files.mjs` prints this character behind the output of each file, on both streams. */
export const SEPARATOR = '\x1e';
