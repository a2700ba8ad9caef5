/* source_file.h: how a file is reached. source_file.c maps it where the system can and reads it
 * whole elsewhere; where there is no file system (src/web) another file takes its place. */
#ifndef SOLO_SOURCE_FILE_H
#define SOLO_SOURCE_FILE_H

#include "source.h"

bool solo_file_map(const char *path, const uint8_t **at, uint64_t *n, solo_error *err);
void solo_file_unmap(const uint8_t *at, uint64_t n);

#endif
