/* io.c: messages, JSON out, files and standard input in. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *command_name = "";

void cli_set_command(const char *name) { command_name = name; }

static void say(const char *kind, const char *fmt, va_list args) {
    fflush(stdout); /* what was written before it stands before it on a terminal */
    fprintf(stderr, "solo %s: %s", command_name, kind);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int cli_fail_text(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say("error: ", fmt, args);
    va_end(args);
    return CLI_FAILED;
}

void cli_note(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
}

int cli_fail(const solo_error *err) {
    return cli_fail_text("%s", err->text[0] ? err->text : solo_status_text(err->status));
}

int cli_finish_output(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return CLI_OK;
    return cli_fail_text("standard output: %s", strerror(errno));
}

int cli_print_json(json_t *value) {
    if (!value) return cli_fail_text("a value is not a number that JSON can hold");
    json_dumpf(value, stdout, JSON_REAL_PRECISION(9)); /* an f32 reads back as itself */
    fputc('\n', stdout);
    json_decref(value);
    return cli_finish_output();
}

bool cli_read_all(const char *path, char **text, size_t *n_text) {
    const char *name = path ? path : "standard input";
    FILE *in = path ? fopen(path, "rb") : stdin;
    if (!in) return cli_fail_text("%s: %s", name, strerror(errno)), false;
    char  *at = NULL;
    size_t n = 0, cap = 0;
    do {
        if (n + 1 >= cap) {
            cap = cap ? cap * 2 : 65536;
            char *grown = realloc(at, cap);
            if (!grown) {
                cli_fail_text("%s: no memory for more than %zu bytes", name, n);
                goto failed;
            }
            at = grown;
        }
        n += fread(at + n, 1, cap - 1 - n, in);
    } while (!feof(in) && !ferror(in));
    if (ferror(in)) {
        cli_fail_text("%s: %s", name, strerror(errno));
        goto failed;
    }
    if (path) fclose(in);
    at[n] = '\0';
    *text = at;
    *n_text = n;
    return true;
failed:
    if (path) fclose(in);
    free(at);
    return false;
}

bool cli_parse_ids(const solo_model *model, const char *text, size_t n_text, const char *where,
                   uint32_t **ids, uint32_t *n_ids) {
    uint32_t     n_vocab = solo_model_get_info(model).n_vocab;
    json_error_t error;
    json_t      *array = json_loadb(text, n_text, 0, &error);
    uint32_t    *out = NULL;
    if (!array) {
        cli_fail_text("%s: wanted a JSON array of token ids, found at line %d: %s", where,
                      error.line, error.text);
        return false;
    }
    if (!json_is_array(array)) {
        cli_fail_text("%s: wanted a JSON array of token ids, found another JSON value", where);
        goto failed;
    }
    size_t n = json_array_size(array);
    out = malloc((n + 1) * sizeof *out);
    if (!out || n > UINT32_MAX) {
        cli_fail_text("%s: %zu ids are more than fit into memory", where, n);
        goto failed;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        json_int_t    id = json_is_integer(item) ? json_integer_value(item) : -1;
        if (id < 0 || id >= (json_int_t)n_vocab) {
            char *found = json_dumps(item, JSON_ENCODE_ANY);
            cli_fail_text("%s: item %zu: wanted a token id from 0 to %" PRIu32 ", found %s", where,
                          i, n_vocab - 1, found ? found : "?");
            free(found);
            goto failed;
        }
        out[i] = (uint32_t)id;
    }
    json_decref(array);
    *ids = out;
    *n_ids = (uint32_t)n;
    return true;
failed:
    json_decref(array);
    free(out);
    return false;
}
