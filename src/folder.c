/* folder.c: see folder.h. */
#include "folder.h"

#include "source_file.h"

static solo_source *open_hosted(const solo_folder *folder, const char *name, const char *path, uint64_t n_bytes,
                                bool required, solo_error *err) {
    solo_source *out = NULL;
    void *file = NULL;
    if (!folder->open(folder->user, name, &file, &n_bytes))
        solo_fail(err, SOLO_FILE_IO, "%s: cannot be opened", path);
    else if (file)
        solo_source_open_reader(&out, folder->read, file, n_bytes, path, err);
    else if (required)
        solo_fail(err, SOLO_FILE_IO, "%s: wanted this file of a model's folder, found none", path);
    return out;
}

solo_source *solo_folder_open(const solo_folder *folder, const char *name, uint64_t n_bytes, bool required,
                              solo_error *err) {
    solo_text path = {0};
    solo_source *out = NULL;
    solo_text_add(&path, "%s/%s", folder->name, name);
    if (folder->open) out = open_hosted(folder, name, path.at, n_bytes, required, err);
    else if (required || solo_file_exists(path.at)) solo_source_open_file(&out, path.at, err);
    free(path.at);
    return out;
}

solo_source *solo_folder_text(const solo_folder *folder, const char *name, bool required, solo_error *err) {
    solo_source *s = solo_folder_open(folder, name, 0, required, err);
    if (s && solo_source_need(s, s->n_bytes, err)) return s;
    solo_source_close(s);
    return NULL;
}

json_t *solo_json_object(const solo_source *s, uint64_t off, uint64_t n, solo_error *err) {
    json_error_t why;
    json_t *root = json_loadb((const char *)s->at + off, (size_t)n, JSON_ALLOW_NUL, &why);
    if (root && json_is_object(root)) return root;
    solo_fail(err, SOLO_FILE_FORMAT, "%s: wanted a JSON object, found: %s", s->name,
              root ? "another value" : why.text);
    json_decref(root);
    return NULL;
}

json_t *solo_folder_json(const solo_folder *folder, const char *name, bool required, solo_error *err) {
    solo_source *s = solo_folder_text(folder, name, required, err);
    if (!s) return NULL;
    json_t *root = solo_json_object(s, 0, s->n_bytes, err);
    solo_source_close(s);
    return root;
}
