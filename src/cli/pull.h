/* pull.h: model files fetched over HTTP: pull.c asks, fetch.c brings the bytes, catalogue.c remembers what is kept. */
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

/* $SOLO_MODELS, else $XDG_DATA_HOME/solo/models, else ~/.local/share/solo/models. */
void catalogue_folder(char *out, size_t n);
/* {NAME: {"path", "url", "sha256", "n_bytes"}} of the files that are still there; json_decref it. */
json_t *catalogue_read(void);
bool    catalogue_add(const char *name, const fetch *f); /* false: errno says why */

/* What MODEL stands for, malloc'd: a path that exists as it is, else the file that pull keeps under that name or
 * under the only one that it is a part of. NULL: told. */
char *cli_find_model(const char *said);

#endif
