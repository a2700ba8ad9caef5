/* source_file.c: files as bytes in memory. */
#include "source_file.h"

#if defined(__unix__) || defined(__APPLE__)

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool solo_file_map(const char *path, const uint8_t **out, uint64_t *n, solo_error *err) {
    int fd = open(path, O_RDONLY | O_NONBLOCK); /* a pipe must not make us wait */
    if (fd < 0)
        return solo_fail(err, SOLO_FILE_IO, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat st;
    void *at = MAP_FAILED;
    bool ok = false;
    if (fstat(fd, &st) != 0)
        solo_fail(err, SOLO_FILE_IO, "%s: its size cannot be read: %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        solo_fail(err, SOLO_FILE_IO, "%s: wanted a .gguf file, found a directory", path);
    else if (!S_ISREG(st.st_mode))
        solo_fail(err, SOLO_FILE_IO, "%s: wanted a regular file, found a pipe or a device", path);
    else if (st.st_size == 0)
        solo_fail(err, SOLO_FILE_FORMAT, "%s: wanted a GGUF file, found an empty file", path);
    else if ((uint64_t)st.st_size > SIZE_MAX)
        solo_fail(err, SOLO_FILE_IO, "%s: has %llu bytes, more than this system can address", path,
                  (unsigned long long)st.st_size);
    else if ((at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        solo_fail(err, SOLO_FILE_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    else
        ok = true;
    close(fd);
    if (!ok) return false;
    *out = at;
    *n = (uint64_t)st.st_size;
    return true;
}

void solo_file_unmap(const uint8_t *in, uint64_t n) {
    union { const uint8_t *in; void *out; } at = {.in = in};
    munmap(at.out, (size_t)n);
}

#else

bool solo_file_map(const char *path, const uint8_t **out, uint64_t *n_bytes, solo_error *err) {
    FILE *file = fopen(path, "rb");
    if (!file) return solo_fail(err, SOLO_FILE_IO, "%s: cannot be opened", path);
    long n = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    uint8_t *at = n > 0 ? malloc((size_t)n) : NULL;
    bool ok = at && fseek(file, 0, SEEK_SET) == 0 && fread(at, 1, (size_t)n, file) == (size_t)n;
    fclose(file);
    if (!ok) {
        free(at);
        if (n == 0)
            return solo_fail(err, SOLO_FILE_FORMAT, "%s: wanted a GGUF file, found an empty file",
                             path);
        return solo_fail(err, SOLO_FILE_IO, "%s: its %ld bytes cannot be read", path, n);
    }
    *out = at;
    *n_bytes = (uint64_t)n;
    return true;
}

void solo_file_unmap(const uint8_t *in, uint64_t n) {
    (void)n;
    union { const uint8_t *in; void *out; } at = {.in = in};
    free(at.out);
}

#endif
