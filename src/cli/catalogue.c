/* catalogue.c: the files that `solo pull` keeps, by name: catalogue.json in the folder of models, {"models": {NAME:
 * {"path", "url", "sha256", "n_bytes"}}}. NAME is what pull was asked for. */
#include "pull.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- the file ----------------------------------------------------------------------------- */

void catalogue_folder(char *out, size_t n) {
    const char *said = getenv("SOLO_MODELS"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (said && said[0]) snprintf(out, n, "%s", said);
    else if (data && data[0] == '/') snprintf(out, n, "%s/solo/models", data);
    else snprintf(out, n, "%s/.local/share/solo/models", home ? home : ".");
}

static json_t *load(char path[4200]) {
    char folder[4000];
    catalogue_folder(folder, sizeof folder);
    snprintf(path, 4200, "%s/catalogue.json", folder);
    json_t *root = json_load_file(path, 0, NULL);
    if (json_is_object(json_object_get(root, "models"))) return root;
    json_decref(root);
    return json_pack("{s:{}}", "models");
}

json_t *catalogue_read(void) {
    char path[4200];
    json_t *root = load(path), *models = json_incref(json_object_get(root, "models")), *each;
    const char *name;
    void *next;
    json_decref(root);
    json_object_foreach_safe(models, next, name, each) { /* what was deleted by hand is no longer there */
        const char *at = json_string_value(json_object_get(each, "path"));
        if (!at || access(at, F_OK) != 0) json_object_del(models, name);
    }
    return models;
}

bool catalogue_add(const char *name, const fetch *f) {
    char path[4200], next[4300];
    json_t *root = load(path);
    snprintf(next, sizeof next, "%s.%ld", path, (long)getpid());
    json_object_set_new(json_object_get(root, "models"), name,
                        json_pack("{s:s, s:s, s:s, s:I}", "path", f->path, "url", f->url, "sha256", f->sha256,
                                  "n_bytes", (json_int_t)f->n_bytes));
    bool ok = json_dump_file(root, next, JSON_INDENT(2) | JSON_SORT_KEYS) == 0 && rename(next, path) == 0;
    json_decref(root);
    return ok;
}

/* ---- finding ------------------------------------------------------------------------------ */

static bool holds(const char *text, const char *part) { /* in any case */
    size_t n = strlen(part);
    for (; strlen(text) >= n; text++)
        if (strncasecmp(text, part, n) == 0) return true;
    return false;
}

/* Whether ORG/REPO:FILE is what a hub's address leads to: .../ORG/REPO/resolve/REVISION/FILE. */
static bool leads_to(const char *url, const char *said) {
    const char *colon = strchr(said, ':'), *repo = colon ? strstr(url, "/resolve/") : NULL;
    if (!repo) return false;
    const size_t n = (size_t)(colon - said);
    const char *file = strchr(repo + strlen("/resolve/"), '/');
    return file && strcmp(file + 1, colon + 1) == 0 && (size_t)(repo - url) > n && repo[-1 - (long)n] == '/' &&
           strncmp(repo - n, said, n) == 0;
}

/* The entries that said names, as a new object: the one of exactly that name, else those it leads to or is in. */
static json_t *named(json_t *models, const char *said) {
    json_t *out = json_object(), *each = json_object_get(models, said);
    const char *name;
    if (each) {
        json_object_set(out, said, each);
        return out;
    }
    json_object_foreach(models, name, each) {
        const char *url = json_string_value(json_object_get(each, "url"));
        if (holds(name, said) || (url && leads_to(url, said))) json_object_set(out, name, each);
    }
    return out;
}

/* All of one file are one: an entry for its address and one for its name. */
static const char *only_path(json_t *found) {
    const char *path = NULL, *name;
    json_t *each;
    json_object_foreach(found, name, each) {
        const char *at = json_string_value(json_object_get(each, "path"));
        if (path && strcmp(path, at) != 0) return NULL;
        path = at;
    }
    return path;
}

static void tell_names(const char *said, const char *found, json_t *models) {
    enum { N_SHOWN = 20 };
    char text[4000] = "";
    size_t n = 0, n_name = 0;
    const char *name;
    json_t *each;
    json_object_foreach(models, name, each) {
        if (n_name++ < N_SHOWN && n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, "\n  %s", name);
    }
    if (n_name > N_SHOWN && n < sizeof text)
        snprintf(text + n, sizeof text - n, "\n  and %zu more (solo models)", n_name - N_SHOWN);
    if (!n_name) snprintf(text, sizeof text, " nothing");
    cli_fail_text("%s: wanted a file, a folder or a name of `solo models`, found %s:%s", said, found, text);
}

char *cli_find_model(const char *said) {
    if (access(said, F_OK) == 0) return strdup(said);
    json_t *models = catalogue_read(), *found = named(models, said);
    const char *path = said[0] ? only_path(found) : NULL;
    char *out = path ? strdup(path) : NULL;
    if (!out) {
        if (said[0] && json_object_size(found) > 0) tell_names(said, "several that it is a part of", found);
        else tell_names(said, "none; what pull keeps is", models);
    }
    json_decref(found);
    json_decref(models);
    return out;
}

/* ---- the command -------------------------------------------------------------------------- */

int cli_models(const cli_options *o) {
    json_t *models = catalogue_read(), *each;
    const char *name;
    if (o->json) return cli_print_json(models);
    json_object_foreach(models, name, each)
        printf("%-60s %10.1f MB  %s\n", name, (double)json_integer_value(json_object_get(each, "n_bytes")) * 1e-6,
               json_string_value(json_object_get(each, "path")));
    if (!json_object_size(models)) {
        char folder[4000];
        catalogue_folder(folder, sizeof folder);
        cli_note("none in %s", folder);
    }
    json_decref(models);
    return cli_finish_output();
}
