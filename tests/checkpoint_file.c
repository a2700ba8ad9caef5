/* checkpoint_file.c: checkpoint_file NAME OUT.gguf TYPE: a tiny model of checkpoints.c as a file, its matrices of a
 * type, for tests in other languages. */
#include "checkpoints.h"

#include <stdio.h>

static const checkpoint *find(const char *name) {
    for (uint32_t i = 0; i < n_checkpoint; i++)
        if (!strcmp(checkpoints[i].name, name)) return &checkpoints[i];
    return NULL;
}

static bool is_any(const solo_type_info *info, solo_type type) { return (void)info, (void)type, true; }

int main(int argc, char **argv) {
    solo_error err = {0};
    solo_type type;
    const checkpoint *c = argc == 4 ? find(argv[1]) : NULL;
    uint8_t *bytes;
    uint64_t n;
    if (!c || !solo_type_find("type", argv[3], is_any, &type, &err)) {
        fprintf(stderr, "wanted the name of a checkpoint, a file and a type, found others: %s\n", err.text);
        return 2;
    }
    tiny_desc d = c->model;
    if (type == SOLO_TYPE_F32) type = TINY_TYPE_F32;
    d.type_qk = d.type_v = d.type_out = d.type_gate = d.type_up = d.type_down = d.type_embd = d.type_output = type;
    if (!tiny_gguf(&d, &bytes, &n)) return 1;
    FILE *file = fopen(argv[2], "wb");
    bool ok = file && fwrite(bytes, 1, (size_t)n, file) == n;
    if (file && fclose(file) != 0) ok = false;
    free(bytes);
    return ok ? 0 : 1;
}
