/* fetch.c: one file over HTTP by libcurl: resumed by Range and If-Range, tried again while tries bring something,
 * checked, and only then given its name. A server is believed in nothing that can be checked. */
#include "pull.h"

#ifdef SOLO_PULL

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BARREN 5 /* tries in a row that bring nothing */

typedef struct transfer {
    fetch *f;
    CURL  *curl;
    char   part[4096], note[4104]; /* PATH.part, PATH.part.json */
    FILE  *file;
    char   etag[300], modified[100], linked[80]; /* of the response at hand */
    char   old_etag[300], old_modified[100];     /* of the bytes that are there */
    uint64_t n_have, n_start, n_total;           /* total 0: not said */
    bool   checked;   /* the response's head was looked at */
    bool   is_final;  /* trying again will not help */
    double t_start, t_shown;
} transfer;

static bool give_up(transfer *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool give_up(transfer *t, const char *fmt, ...) {
    va_list list;
    va_start(list, fmt);
    vsnprintf(t->f->why, sizeof t->f->why, fmt, list);
    va_end(list);
    t->is_final = true;
    return false;
}

/* ---- what is there of an earlier try ------------------------------------------------------ */

static void read_note(transfer *t) {
    struct stat st;
    json_t *note = json_load_file(t->note, 0, NULL);
    const char *url = json_string_value(json_object_get(note, "url"));
    const char *etag = json_string_value(json_object_get(note, "etag"));
    const char *modified = json_string_value(json_object_get(note, "last_modified"));
    if (url && !strcmp(url, t->f->url) && stat(t->part, &st) == 0) {
        snprintf(t->old_etag, sizeof t->old_etag, "%s", etag ? etag : "");
        snprintf(t->old_modified, sizeof t->old_modified, "%s", modified ? modified : "");
        if (t->old_etag[0] || t->old_modified[0]) t->n_have = (uint64_t)st.st_size; /* else nobody can tell */
    }
    json_decref(note);
}

static void write_note(const transfer *t) {
    json_t *note = json_pack("{s:s, s:s, s:s}", "url", t->f->url, "etag", t->etag, "last_modified", t->modified);
    json_dump_file(note, t->note, JSON_COMPACT);
    json_decref(note);
}

/* ---- the response ------------------------------------------------------------------------- */

static bool is_header(const char *line, size_t n, const char *name, char *out, size_t n_out) {
    size_t k = strlen(name);
    if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':') return false;
    for (k++; k < n && isspace((unsigned char)line[k]); k++) {}
    while (n > k && isspace((unsigned char)line[n - 1])) n--;
    snprintf(out, n_out, "%.*s", (int)(n - k), line + k);
    return true;
}

static size_t on_header(char *line, size_t size, size_t n, void *user) {
    transfer *t = user;
    n *= size;
    if (n > 5 && !strncmp(line, "HTTP/", 5)) t->etag[0] = t->modified[0] = '\0'; /* a redirect's are not the file's */
    is_header(line, n, "etag", t->etag, sizeof t->etag);
    is_header(line, n, "last-modified", t->modified, sizeof t->modified);
    is_header(line, n, "x-linked-etag", t->linked, sizeof t->linked); /* of a large file: its SHA-256 */
    return n;
}

static uint64_t length_said(transfer *t) {
    curl_off_t n = -1;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &n);
    return n > 0 ? (uint64_t)n : 0;
}

/* "bytes FIRST-LAST/TOTAL" of a 206; libcurl keeps the header. */
static bool range_said(transfer *t, uint64_t *first, uint64_t *total) {
    struct curl_header *h;
    unsigned long long a, b, n;
    if (curl_easy_header(t->curl, "content-range", 0, CURLH_HEADER, -1, &h) != CURLHE_OK ||
        sscanf(h->value, "bytes %llu-%llu/%llu", &a, &b, &n) != 3)
        return false;
    *first = a, *total = n;
    return true;
}

static bool looks_like_html(const char *at, size_t n) {
    while (n > 0 && isspace((unsigned char)*at)) at++, n--;
    return n > 4 && at[0] == '<' && (at[1] == '!' || !strncasecmp(at + 1, "html", n - 1 < 4 ? n - 1 : 4));
}

/* Before the first bytes of a response are kept: whether they are the file's, and from where on. */
static bool check_head(transfer *t, const char *at, size_t n) {
    long status = 0;
    char *type = NULL;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type);
    uint64_t first = 0;
    if (status == 206) {
        if (!range_said(t, &first, &t->n_total) || first != t->n_have) {
            t->n_have = 0; /* it answers another question: from the start, without one */
            t->old_etag[0] = t->old_modified[0] = '\0';
            snprintf(t->f->why, sizeof t->f->why, "%s: wanted the rest of the file, found another part", t->f->url);
            return false;
        }
    } else {
        t->n_have = 0;
        t->n_total = length_said(t);
        if ((type && !strncasecmp(type, "text/html", 9)) || looks_like_html(at, n))
            return give_up(t, "%s: wanted a model file, found a web page", t->f->url);
        size_t k = strlen(t->f->path);
        if (k > 5 && !strcmp(t->f->path + k - 5, ".gguf") && n >= 4 && memcmp(at, "GGUF", 4) != 0)
            return give_up(t, "%s: wanted a GGUF file, found one that begins otherwise", t->f->url);
    }
    t->file = fopen(t->part, t->n_have ? "r+b" : "wb");
    if (!t->file || fseeko(t->file, (off_t)t->n_have, SEEK_SET) != 0)
        return give_up(t, "%s: cannot be written: %s", t->part, strerror(errno));
    t->n_start = t->n_have;
    write_note(t);
    return true;
}

static size_t on_bytes(char *at, size_t size, size_t n, void *user) {
    transfer *t = user;
    long status = 0;
    n *= size;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300) return n; /* told by its number */
    if (!t->checked) {
        if (!check_head(t, at, n)) return 0;
        t->checked = true;
    }
    if (fwrite(at, 1, n, t->file) != n) {
        give_up(t, "%s: cannot be written: %s", t->part, strerror(errno));
        return 0;
    }
    t->n_have += n;
    return n;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    transfer *t = user;
    (void)a, (void)b, (void)c, (void)d;
    double at = cli_now();
    if (!t->f->shows || !t->n_have || at - t->t_shown < 0.2) return 0;
    t->t_shown = at;
    double rate = (double)(t->n_have - t->n_start) / (at - t->t_start + 1e-9);
    fprintf(stderr, "\r\033[K%.1f", (double)t->n_have * 1e-6);
    if (t->n_total) fprintf(stderr, " of %.1f", (double)t->n_total * 1e-6);
    fprintf(stderr, " MB, %.1f MB/s", rate * 1e-6);
    if (t->n_total && rate > 0) {
        double left = (double)(t->n_total - t->n_have) / rate;
        fprintf(stderr, ", %d:%02d left", (int)left / 60, (int)left % 60);
    }
    return 0;
}

/* ---- tries -------------------------------------------------------------------------------- */

static void set_options(transfer *t, struct curl_slist **headers, char *range, size_t n_range) {
    CURL *c = t->curl;
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, t->f->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_USERAGENT, "solo/" SOLO_VERSION);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)t->f->stall_s);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    const char *of = t->old_etag[0] && strncmp(t->old_etag, "W/", 2) != 0 ? t->old_etag : t->old_modified;
    if (!t->n_have || !of[0]) {
        t->n_have = 0;
        return;
    }
    snprintf(range, n_range, "%llu-", (unsigned long long)t->n_have);
    curl_easy_setopt(c, CURLOPT_RANGE, range);
    char line[400];
    snprintf(line, sizeof line, "If-Range: %s", of);
    *headers = curl_slist_append(*headers, line);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers);
}

/* What a status above 299 means for the next try. */
static bool judge_status(transfer *t, long status) {
    if (status == 416) { /* nothing behind what is there: whole, or of another file */
        t->n_have = 0;
        unlink(t->part);
        snprintf(t->f->why, sizeof t->f->why, "%s: wanted the rest of the file, found none", t->f->url);
        return false;
    }
    if (status == 429 || status >= 500) {
        snprintf(t->f->why, sizeof t->f->why, "%s: the server answers %ld", t->f->url, status);
        return false;
    }
    return give_up(t, "%s: wanted a file, found: %ld %s", t->f->url, status,
                   status == 404                    ? "(no such file)"
                   : status == 401 || status == 403 ? "(access refused: it may need a licence or a login)"
                                                    : "");
}

/* True: all bytes are there. False and not is_final: worth another try. */
static bool try_once(transfer *t) {
    struct curl_slist *headers = NULL;
    char range[32];
    t->checked = false;
    t->n_total = 0;
    t->t_start = cli_now();
    set_options(t, &headers, range, sizeof range);
    CURLcode code = curl_easy_perform(t->curl);
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (t->file && fclose(t->file) != 0) give_up(t, "%s: cannot be written: %s", t->part, strerror(errno));
    t->file = NULL;
    if (t->checked) {
        snprintf(t->old_etag, sizeof t->old_etag, "%s", t->etag);
        snprintf(t->old_modified, sizeof t->old_modified, "%s", t->modified);
    }
    if (t->is_final) return false;
    if (status >= 300 && code == CURLE_OK) return judge_status(t, status);
    if (code == CURLE_WRITE_ERROR) return false; /* check_head said why */
    if (code != CURLE_OK) {
        snprintf(t->f->why, sizeof t->f->why, "%s: %s", t->f->url, curl_easy_strerror(code));
        if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_TOO_MANY_REDIRECTS)
            t->is_final = true;
        return false;
    }
    if (!t->checked) return give_up(t, "%s: wanted a model file, found an empty answer", t->f->url);
    if (t->n_total && t->n_have != t->n_total)
        return give_up(t, "%s: wanted the %llu bytes that the server said, found %llu", t->f->url,
                       (unsigned long long)t->n_total, (unsigned long long)t->n_have);
    return true;
}

/* ---- checking ----------------------------------------------------------------------------- */

static bool sha256_of(const char *path, char hex[65]) {
    FILE *file = fopen(path, "rb");
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    static unsigned char piece[1 << 16], digest[EVP_MAX_MD_SIZE];
    unsigned n_digest = 0;
    bool ok = file && sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) == 1;
    for (size_t n; ok && (n = fread(piece, 1, sizeof piece, file)) > 0;)
        ok = EVP_DigestUpdate(sum, piece, n) == 1;
    ok = ok && !ferror(file) && EVP_DigestFinal_ex(sum, digest, &n_digest) == 1;
    for (unsigned i = 0; ok && i < n_digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(sum);
    if (file) fclose(file);
    return ok;
}

/* The SHA-256 that a hub names beside its redirect: 64 hex digits in quotes. */
static void take_linked_sum(transfer *t) {
    const char *at = t->linked + (t->linked[0] == '"');
    if (t->f->sha256[0] || strspn(at, "0123456789abcdef") != 64) return;
    snprintf(t->f->sha256, sizeof t->f->sha256, "%.64s", at);
}

static bool check_sum(transfer *t) {
    char found[65] = "";
    take_linked_sum(t);
    if (!sha256_of(t->part, found)) return give_up(t, "%s: cannot be read: %s", t->part, strerror(errno));
    if (t->f->sha256[0] && strcasecmp(found, t->f->sha256) != 0) {
        unlink(t->part);
        return give_up(t, "%s: its SHA-256: wanted %s, found %s; nothing was kept", t->f->url, t->f->sha256, found);
    }
    snprintf(t->f->sha256, sizeof t->f->sha256, "%s", found);
    return true;
}

bool fetch_file(fetch *f) {
    transfer t = {.f = f};
    snprintf(t.part, sizeof t.part, "%s.part", f->path);
    snprintf(t.note, sizeof t.note, "%s.json", t.part);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    t.curl = curl_easy_init();
    read_note(&t);
    if (t.n_have) cli_note("going on after %.1f MB", (double)t.n_have * 1e-6);
    bool ok = false;
    for (int barren = 0; !ok && !t.is_final && barren < MAX_BARREN;) {
        uint64_t before = t.n_have;
        ok = try_once(&t);
        if (ok || t.is_final) break;
        barren = t.n_have > before ? 0 : barren + 1;
        if (f->shows) fputs("\r\033[K", stderr);
        cli_note("%s; trying again", f->why);
        struct timespec pause = {barren / 2, 200000000 + barren % 2 * 500000000}; /* longer where nothing comes */
        nanosleep(&pause, NULL);
    }
    if (f->shows) fputs("\r\033[K", stderr);
    ok = ok && check_sum(&t);
    if (ok && rename(t.part, f->path) != 0) ok = give_up(&t, "%s: cannot be written: %s", f->path, strerror(errno));
    if (ok || access(t.part, F_OK) != 0) unlink(t.note);
    f->n_bytes = t.n_have;
    curl_easy_cleanup(t.curl);
    return ok;
}

#else

bool fetch_file(fetch *f) {
    snprintf(f->why, sizeof f->why, "%s: this program was built without SOLO_PULL: it cannot fetch", f->url);
    return false;
}

#endif
