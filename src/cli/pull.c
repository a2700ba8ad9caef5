/* pull.c: `solo pull`: where a file comes from and where it goes. What is kept is catalogue.c's. */
#include "pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUB "https://huggingface.co"

/* Makes the folders of a path, whose last part is a file. */
static bool make_folders(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = '\0';
        bool ok = mkdir(path, 0777) == 0 || errno == EEXIST;
        *at = '/';
        if (!ok) return false;
    }
    return true;
}

/* ---- names -------------------------------------------------------------------------------- */

static bool is_plain(const char *at, size_t n) { /* a part of a path that stays where it is put */
    if (n == 0 || at[0] == '.') return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+", at[i])) return false;
    return true;
}

static bool are_plain(const char *at, size_t n) { /* parts with slashes between */
    for (;;) {
        const char *slash = memchr(at, '/', n);
        size_t k = slash ? (size_t)(slash - at) : n;
        if (!is_plain(at, k)) return false;
        if (!slash) return true;
        at += k + 1, n -= k + 1;
    }
}

/* ORG/REPO:FILE at the endpoint, or an address as it is; place: where below the folder the file goes. */
static bool resolve(const cli_options *o, char *url, size_t n_url, char *place, size_t n_place) {
    const char *name = o->in, *scheme = strstr(name, "://"), *colon = strchr(name, ':');
    if (scheme) {
        if (strncmp(name, "http://", 7) != 0 && strncmp(name, "https://", 8) != 0) return false;
        const char *host = scheme + 3;
        size_t n_host = strcspn(host, ":/?#"), n_all = strcspn(host, "?#");
        const char *file = host + n_all;
        while (file > host && file[-1] != '/') file--;
        size_t n_file = (size_t)(host + n_all - file);
        if (file == host || !is_plain(host, n_host) || !is_plain(file, n_file)) return false;
        snprintf(url, n_url, "%s", name);
        snprintf(place, n_place, "%.*s/%.*s", (int)n_host, host, (int)n_file, file);
        return true;
    }
    const char *slash = strchr(name, '/');
    if (!colon || !slash || slash > colon || memchr(slash + 1, '/', (size_t)(colon - slash - 1)) ||
        !are_plain(name, (size_t)(colon - name)) || !are_plain(colon + 1, strlen(colon + 1)))
        return false;
    const char *said = getenv("SOLO_ENDPOINT"), *endpoint = o->endpoint ? o->endpoint : said && said[0] ? said : HUB;
    snprintf(url, n_url, "%s/%.*s/resolve/main/%s", endpoint, (int)(colon - name), name, colon + 1);
    snprintf(place, n_place, "%.*s/%s", (int)(colon - name), name, colon + 1);
    return true;
}

/* ---- commands ----------------------------------------------------------------------------- */

/* What the file is: a GGUF that is cut short, or was never one, is told and not kept. */
static bool check_model(const fetch *f) {
    size_t n = strlen(f->path);
    if (n < 5 || strcmp(f->path + n - 5, ".gguf") != 0) return true;
    solo_model *model;
    solo_error err = {0};
    if (solo_model_open(&model, &(solo_model_desc){.path = f->path}, &err)) {
        solo_model_close(model);
        return true;
    }
    if (err.status != SOLO_FILE_FORMAT) {
        cli_note("kept, but this Solo does not run it: %s", err.text);
        return true;
    }
    cli_fail(&err);
    return false;
}

int cli_pull(const cli_options *o) {
    char folder[4000], url[4000], place[1000], path[5100];
    if (!resolve(o, url, sizeof url, place, sizeof place)) {
        cli_fail_text("wanted http(s)://HOST/PATH/FILE or ORG/REPO:FILE, found '%s'", o->in);
        return CLI_USAGE;
    }
    if (o->sha256 && (strlen(o->sha256) != 64 || strspn(o->sha256, "0123456789abcdefABCDEF") != 64)) {
        cli_fail_text("--sha256: wanted 64 hexadecimal digits, found '%s'", o->sha256);
        return CLI_USAGE;
    }
    catalogue_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/%s", folder, place);
    if (!make_folders(path)) return cli_fail_text("%s: its folder cannot be made: %s", path, strerror(errno));
    json_t *models = catalogue_read();
    const char *sum = json_string_value(json_object_get(json_object_get(models, o->in), "sha256"));
    bool is_there = sum && access(path, F_OK) == 0 && (!o->sha256 || strcasecmp(sum, o->sha256) == 0);
    json_decref(models);
    if (is_there) {
        cli_note("already there");
        puts(path);
        return cli_finish_output();
    }
    fetch f = {.url = url, .path = path, .stall_s = o->stall ? o->stall : 30, .shows = isatty(STDERR_FILENO)};
    if (o->sha256) snprintf(f.sha256, sizeof f.sha256, "%s", o->sha256);
    if (!fetch_file(&f)) return cli_fail_text("%s", f.why);
    if (!check_model(&f)) {
        unlink(path);
        return CLI_FAILED;
    }
    if (!catalogue_add(o->in, &f))
        return cli_fail_text("%s/catalogue.json: cannot be written: %s", folder, strerror(errno));
    cli_note("%.1f MB, SHA-256 %s", (double)f.n_bytes * 1e-6, f.sha256);
    puts(path);
    return cli_finish_output();
}
