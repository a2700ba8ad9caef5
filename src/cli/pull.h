/* pull.h: model files fetched over HTTP: pull.c asks and keeps the catalogue, fetch.c brings the bytes. */
#ifndef SOLO_CLI_PULL_H
#define SOLO_CLI_PULL_H

#include "cli.h"

typedef struct fetch {
    const char *url;
    const char *path;     /* the file to be; PATH.part and PATH.part.json meanwhile */
    uint32_t    stall_s;  /* give a connection up that brings nothing for so long */
    bool        shows;    /* progress on stderr */
    char        sha256[65]; /* wanted; "": any, or what the server says; afterwards the file's */
    uint64_t    n_bytes;  /* afterwards */
    char        why[600]; /* after a failure */
} fetch;

/* Resumes what is there of an earlier try, tries again after a cut, checks length and SHA-256, renames. */
bool fetch_file(fetch *f);

#endif
