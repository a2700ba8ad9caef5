/* solo.h: the public interface of Solo, an LLM inference engine on WebGPU.
 *
 * Nouns, in the order in which their lifetimes nest:
 *
 *   model    a parsed file: hyper-parameters, tensors, tokenizer. No GPU.
 *   device   one WebGPU adapter and its queue, or the CPU reference ("cpu").
 *   weights  that model's tensors, repacked and uploaded to one device.
 *   plan     weights + factoring + geometry: pipelines, buffers, a list of dispatches.
 *   session  KV cache, position, sampler state: one text being written.
 *
 * Close in the opposite order. The model must outlive the weights (they borrow its tokenizer and,
 * on the CPU device, its tensors). Many plans may share one weights; many sessions one plan is not
 * allowed: a plan owns the one KV cache that its session writes.
 *
 * Threads: one thread at a time per device. Nothing here prints, exits or reads the environment.
 * A desc filled with zeros means defaults; pointers in a desc are borrowed for the call.
 *
 *   solo_model_open(&model, &(solo_model_desc){.path = "a.gguf"}, &err)
 *   solo_device_open(&device, &(solo_device_desc){0}, &err)
 *   solo_weights_open(&weights, &(solo_weights_desc){.model = model, .device = device}, &err)
 *   solo_plan_open(&plan, &(solo_plan_desc){.weights = weights, .factoring = "single"}, &err)
 *   solo_session_open(&session, &(solo_session_desc){.plan = plan}, &err)
 *   solo_session_sync(session, ids, n, &err);  while (solo_session_next(session, &id, &err)) ...
 */
#ifndef SOLO_H
#define SOLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOLO_VERSION "0.1.0"

/* ---- errors ------------------------------------------------------------------------------- */

#define SOLO_STATUS_LIST(X)                                                  \
    X(OK,           "ok")                                                    \
    X(FILE_IO,      "the file could not be read")                            \
    X(FILE_FORMAT,  "the file is not a model Solo can read")                 \
    X(UNSUPPORTED,  "the file is valid but needs something Solo lacks")      \
    X(ARGUMENT,     "an argument is out of range")                           \
    X(DEVICE_NONE,  "no such device")                                        \
    X(DEVICE_LIMIT, "the device grants less than this needs")                \
    X(DEVICE_LOST,  "the device was lost")                                   \
    X(DEVICE_ERROR, "the device reported an error")                          \
    X(CONTEXT_FULL, "the context is full")                                   \
    X(MEMORY,       "out of memory")

typedef enum solo_status {
#define X(name, text) SOLO_##name,
    SOLO_STATUS_LIST(X)
#undef X
} solo_status;

typedef struct solo_error {
    solo_status status;
    char text[1000]; /* what was wanted, what was found, where; one line */
} solo_error;

const char *solo_status_text(solo_status status);
/* Called with done/total in bytes while something long runs; may be NULL. */
typedef void solo_progress(void *user, uint64_t done, uint64_t total);

/* ---- model -------------------------------------------------------------------------------- */

typedef struct solo_model solo_model;

/* Fills into with n bytes of a file from off on; false: it cannot. */
typedef bool solo_read(void *user, uint64_t off, uint64_t n, void *into);

/* Opens a file of a model's folder: *file becomes solo_read's user (NULL: there is none of that name), *n_bytes its
 * size, unless it is not 0 already: what the folder itself says, so that nobody need look yet. false: it cannot. */
typedef bool solo_open(void *user, const char *name, void **file, uint64_t *n_bytes);

typedef struct solo_model_desc { /* one of path, bytes and read */
    const char *path; /* a .gguf (of a split one the first part), or a folder of Hugging Face's or MLC's */
    const char *quant; /* a folder's matrices become that type while loading: "q4_0"; NULL: as they are */
    const uint8_t *bytes; /* a .gguf in memory, borrowed for the model's life */
    solo_read     *read;  /* a .gguf that the host reads: its head while the model opens, then each */
    void          *read_user; /* tensor while weights open, in the file's order, in small pieces */
    uint64_t       n_bytes; /* of bytes, or of read's file */
    solo_open     *open;  /* with read: a folder that the host has, its files instead of one */
    void          *open_user;
    const char    *label; /* names the file in messages; NULL: "(memory)"; copied */
} solo_model_desc;

bool solo_model_open(solo_model **out, const solo_model_desc *desc, solo_error *err);
void solo_model_close(solo_model *model);
typedef struct solo_model_info {
    const char *name;         /* general.name, or the file's name */
    const char *arch;         /* "llama", "phi3", ... */
    const char *tokenizer;    /* "gpt2/smollm", "llama" */
    const char *chat_family;  /* what its template looks like: "chatml", ..., "custom"; "none" */
    const char *file_type;    /* the weight type most tensors' bytes are in: "Q4_1" */
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx_train;
    uint64_t n_param, n_tensor, n_bytes; /* n_bytes: of all tensors */
    uint32_t attn_window, attn_global_every; /* positions attended to, 0: all; but by each so-manyth layer */
    uint32_t rope_dim;    /* dimensions of a head that RoPE turns */
    const char *rope_factors; /* of frequencies: "none", "all" (one set for all contexts), "by context", "yarn" */
    uint32_t n_ctx_orig;  /* "by context": longer contexts take the long factors, others the short */
    float    rope_base, rope_attn_factor, norm_eps;
    bool     tied; /* output shares the embedding */
    int64_t  bos, eos; /* -1: none */
} solo_model_info;

solo_model_info solo_model_get_info(const solo_model *model); /* strings borrowed from the model */

/* ---- synthetic models --------------------------------------------------------------------- */

typedef struct solo_synth_desc {
    const char *preset;      /* one of solo_synth_presets, its argument filled in */
    const char *path;        /* replaced, once all is written beside it and has been read back */
    const char *type;        /* of matrices: "q4_0" (NULL), "q8_0", "f16", ... */
    const char *output_type; /* of output.weight or a tied embedding; NULL: "q8_0" */
    uint32_t    n_layer, n_vocab; /* 0: the preset's */
    uint64_t    seed;        /* the same seed, preset and types write the same bytes */
    uint32_t    n_ctx;       /* context_length; 0: the preset's */
    solo_progress *progress;
    void          *progress_user;
} solo_synth_desc;

/* Writes a GGUF of a known model's shape with random weights and a byte-level tokenizer of its
 * vocabulary's size. *n_bytes (may be NULL): of weights written. On failure no file is left. */
bool solo_synth_write(const solo_synth_desc *desc, uint64_t *n_bytes, solo_error *err);
const char *const *solo_synth_presets(void); /* "phi-3-mini[:WINDOW]", ...; NULL-terminated */

/* ---- tokens ------------------------------------------------------------------------------- */

/* Text to ids. parse_special: text such as "<|im_end|>" becomes its token; add_bos: the
 * file's own rule for a leading token is applied. *ids is malloc'd; the caller frees it. */
bool solo_tokenize(const solo_model *model, const char *text, size_t n_text, bool add_bos, bool parse_special,
                   uint32_t **ids, uint32_t *n_ids, solo_error *err);

/* The bytes of one id, borrowed from the model. Special tokens yield their text if show_special,
 * else nothing. May be part of a UTF-8 character: see solo_utf8_stream. */
const char *solo_token_bytes(const solo_model *model, uint32_t id, bool show_special, size_t *n);

/* Ids to text, as the reference tokenizer's decode; *text is malloc'd, NUL-terminated as well. */
bool solo_detokenize(const solo_model *model, const uint32_t *ids, uint32_t n_ids,
                     bool show_special, char **text, size_t *n_text, solo_error *err);

bool solo_token_is_end(const solo_model *model, uint32_t id); /* end of text or of turn */

/* Holds back an unfinished UTF-8 character between pieces of a stream. Zero-initialise. */
typedef struct solo_utf8_stream {
    char     held[4];
    uint32_t n_held;
} solo_utf8_stream;

/* Appends bytes; writes what is now complete to out (room for n + 4 bytes), returns its length.
 * Bytes that can never become a character come out as U+FFFD (3 bytes for each maximal bad run;
 * out needs room for 3 * (n + 4)). With bytes == NULL flushes what is held. */
size_t solo_utf8_push(solo_utf8_stream *stream, const char *bytes, size_t n, char *out);

typedef struct solo_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* UTF-8 */
} solo_message;

/* A conversation by the file's own Jinja template, ready for solo_tokenize with parse_special; *text is malloc'd.
 * UNSUPPORTED: there is no template, it refuses the conversation, or it needs what Solo lacks. */
bool solo_chat_render(const solo_model *model, const solo_message *messages, uint32_t n_messages,
                      bool add_generation_prompt, char **text, solo_error *err);

typedef struct solo_chat_desc { /* the same with all that templates read, as JSON texts; NULL: none */
    const char *messages;  /* [{"role": "user", "content": "..."}, ...], "tool_calls" and others too */
    const char *tools;     /* [{"type": "function", "function": {...}}, ...] */
    const char *variables; /* {"enable_thinking": false}: whatever else the template looks at */
    bool        add_generation_prompt;
    int64_t     now; /* seconds since 1970, local time, for templates that write the date; 0: none */
} solo_chat_desc;
bool solo_chat_render_json(const solo_model *model, const solo_chat_desc *desc, char **text, solo_error *err);

/* ---- device ------------------------------------------------------------------------------- */

typedef struct solo_device solo_device;

typedef struct solo_device_desc {
    const char *name;      /* NULL or "auto": the best GPU, else a software adapter; "cpu": the reference in C;
                              "0", "1", ...: that row of solo_device_list; else a part of a name, any case */
    bool disable_robustness, skip_validation; /* benchmark options, written into every row */
    bool f16;              /* ask for shader-f16 where there is: only solo_device_probe_rates uses it */
} solo_device_desc;

typedef struct solo_device_info {
    char name[256];    /* "NVIDIA H200", "llvmpipe (LLVM 15.0.6, 256 bits)", "cpu" */
    char backend[32];  /* "Vulkan", "D3D12", "Metal", "cpu" */
    char driver[256];
    bool is_software;  /* a CPU adapter: never a measure of a GPU */
    bool is_reference; /* the C reference */
    bool has_subgroups, has_f16;
    uint32_t subgroup_min, subgroup_max;
    uint32_t max_workgroup_size, max_workgroup_bytes, max_storage_buffers;
    uint64_t max_buffer_bytes, max_binding_bytes;
} solo_device_info;

/* Up to n_max adapters, best first, the CPU reference last. Returns how many there are. */
uint32_t solo_device_list(solo_device_info *out, uint32_t n_max, solo_error *err);
bool solo_device_open(solo_device **out, const solo_device_desc *desc, solo_error *err);
void solo_device_close(solo_device *device);
solo_device_info solo_device_get_info(const solo_device *device);
uint64_t solo_device_n_dispatch(const solo_device *device); /* dispatches encoded so far */

/* Bytes a second that a plain read of a large buffer reaches; takes about two seconds. */
bool solo_device_read_bandwidth(solo_device *device, double *bytes_per_second, solo_error *err);

/* ---- probe -------------------------------------------------------------------------------- */

#define SOLO_PROBE_MAX_WORKGROUP 1024u
#define SOLO_PROBE_MAX_HAND_OFF 11u
typedef struct solo_probe_desc {
    uint32_t workgroup_size;  /* lanes; 0: 256, on software adapters 32 */
    uint32_t workgroup_bytes; /* of workgroup memory that each holds; 0: 16 KiB or what there is */
    bool     no_bandwidth;    /* leave read_bytes_s 0: saves about two seconds */
} solo_probe_desc;

typedef struct solo_probe_hand_off {
    uint32_t n_workgroup;
    double   us; /* one grid-wide hand-off inside a dispatch */
} solo_probe_hand_off;

typedef struct solo_probe_result { /* what the spectrum is made of: medians, clocks warm */
    uint32_t workgroup_size, workgroup_bytes;
    uint32_t n_resident;    /* workgroups seen running together; SOLO_PROBE_MAX_WORKGROUP: or more.
                               A kernel that needs more registers than the probe may have fewer. */
    double   read_bytes_s;  /* as solo_device_read_bandwidth */
    double   dispatch_us;   /* one more dependent dispatch in a pass */
    double   round_trip_us; /* submit of one small dispatch until the host knows it is done */
    uint32_t n_hand_off;    /* 0: fewer than two workgroups ran together, or none kept meeting */
    solo_probe_hand_off hand_off[SOLO_PROBE_MAX_HAND_OFF]; /* by rising n_workgroup */
} solo_probe_result;

/* Takes about three seconds. Every wait on the device is bounded. Not for the CPU reference. */
bool solo_device_probe(solo_device *device, const solo_probe_desc *desc, solo_probe_result *out, solo_error *err);

typedef struct solo_probe_rates {
    double submit_us;    /* one more submit of a small dispatch, not waited for */
    double copy_bytes_s; /* copied between two buffers */
    double dp4a_ops_s;   /* dot4I8Packed: four products and four sums each */
    double f32_ops_s, f16_ops_s; /* fma of vec4: two a number; f16 0: not there, or not asked for */
    uint32_t max_width;  /* by the limits: the widest llama-like 4-bit layer, feed-forward part 4 D, that can be
                            bound, */
    uint32_t max_layers; /* and how many of Phi-3-mini's: a chunk */
} solo_probe_rates;

/* The best of several passes, clocks warm; about two seconds. Not for the CPU reference. */
bool solo_device_probe_rates(solo_device *device, solo_probe_rates *out, solo_error *err);

/* ---- weights ------------------------------------------------------------------------------ */

typedef struct solo_weights solo_weights;

typedef struct solo_weights_desc {
    const solo_model *model;
    solo_device      *device;
    uint64_t          max_binding_bytes; /* 0: the device's; smaller splits sooner (tests) */
    solo_progress    *progress;
    void             *progress_user;
} solo_weights_desc;

bool solo_weights_open(solo_weights **out, const solo_weights_desc *desc, solo_error *err);
/* *n_bytes on the device; false: it cannot bind them. Reads nothing, so before a download too. */
bool solo_weights_measure(const solo_weights_desc *desc, uint64_t *n_bytes, solo_error *err);
void solo_weights_close(solo_weights *weights);

/* ---- plan --------------------------------------------------------------------------------- */

typedef struct solo_plan solo_plan;
/* INT8: inputs of matrices are rounded to int8, with a scale for 8 to 32 of them, by the model's shape. F32: exact. */
typedef enum solo_activations { SOLO_ACTIVATIONS_INT8, SOLO_ACTIVATIONS_F32 } solo_activations;
typedef enum solo_assignment {
    SOLO_ASSIGNMENT_AUTO,   /* static where all workgroups are seen resident, else ticket */
    SOLO_ASSIGNMENT_STATIC, /* workgroup r owns tiles r, r + N, ... of each stage */
    SOLO_ASSIGNMENT_TICKET, /* tiles are drawn from a counter in topological order */
} solo_assignment;
#define SOLO_QUEUE_NONE UINT32_MAX
/* What a consumer inside a dispatch relies on. COUNTER and behind rest on what WGSL does not promise. */
typedef enum solo_hand_off {
    SOLO_HAND_OFF_COUNTER_TAG, /* an arrival counter first, then each word is checked */
    SOLO_HAND_OFF_TAG,         /* each word is checked */
    SOLO_HAND_OFF_COUNTER,     /* the counter alone; words are atomic */
    SOLO_HAND_OFF_PLAIN,       /* the counter alone; words are plain loads: a data race */
    SOLO_HAND_OFF_NONE,        /* nothing is waited for: must come out wrong, so that a check shows it can see */
} solo_hand_off;
const char *const *solo_hand_off_names(void); /* "counter+tag", "tag", ..., as numbered; NULL-terminated */

typedef enum solo_submit { /* how a step's dispatches reach the queue */
    SOLO_SUBMIT_TOKEN,     /* one pass, submitted once */
    SOLO_SUBMIT_PASS,      /* a pass for each, submitted once */
    SOLO_SUBMIT_DISPATCH,  /* a submit for each */
    SOLO_SUBMIT_AWAIT,     /* a submit for each, waited for */
} solo_submit;
const char *const *solo_submit_names(void); /* "token", "pass", ...; NULL-terminated */

typedef enum solo_kv_type {
    SOLO_KV_AUTO, SOLO_KV_F16, SOLO_KV_F32,
    SOLO_KV_INT8, /* with an f32 scale for a quarter of a head, which is a multiple of 16 numbers */
} solo_kv_type;

typedef struct solo_plan_desc {
    solo_weights    *weights;     /* borrowed; must outlive the plan */
    const char      *factoring;   /* NULL: "single", on software adapters "stages" */
    solo_activations activations; /* 0: int8 */
    solo_assignment  assignment;  /* only for in-dispatch factorings */
    solo_kv_type     kv_type;     /* AUTO: f16 with int8 activations, f32 with f32 or on "cpu" */
    uint32_t n_ctx;               /* 0: min(the model's, 4096) */
    uint32_t n_workgroup;         /* 0: by the device; in-dispatch factorings */
    uint32_t workgroup_size;      /* 0: by the device */
    uint32_t n_slice;             /* tiles that a stage is cut into, about; 0: n_workgroup */
    uint32_t spin_limit;          /* polls before a wait gives up; 0: by the device */
    uint32_t max_team;            /* lanes that may share a row; 0: by the device */
    uint32_t queue;               /* vec4 of weights a lane requests ahead of inputs; 0: by the device */
    bool     queue_across;        /* and across the stages of a dispatch, where assignment is static; a GPU's own
                                     queue (0) always does */
    bool     always_split;        /* of short contexts, too, no workgroup attends to all positions */
    bool     no_subgroups;        /* reduce through workgroup memory although subgroups exist */
    bool     no_self_test;        /* trust an in-dispatch plan untested (tests, timing) */
    bool     no_prefill;          /* compile none of what reads prompts: for steps alone, no session (tests, timing) */
    /* For experiments: what a user of the engine leaves 0. */
    uint32_t tile_rows;           /* rows a tile of a layer's matrices, rounded up to what they can be cut into, at
                                     most 256; 0: by n_slice */
    uint32_t k_split;             /* lanes that share a row's inputs: a power of two up to max_team; 0: by counting */
    uint32_t rows_team;           /* rows that such lanes do at once: 1, 2 or 4; 0: by counting */
    solo_hand_off hand_off;       /* in-dispatch factorings; of a burst COUNTER_TAG or TAG */
    bool     experiment;          /* take a hand_off that is not safe; nothing picks one unasked */
    solo_submit submit;           /* AWAIT makes a step as slow as its round trips; prompts are not concerned */
} solo_plan_desc;

bool solo_plan_open(solo_plan **out, const solo_plan_desc *desc, solo_error *err);
void solo_plan_close(solo_plan *plan);
const char *const *solo_factoring_names(void); /* NULL-terminated, most dispatches first */
/* Whether a plan takes the name: one of those, "chunk:N" (N layers a dispatch) or "burst:N" (N tokens
 * a dispatch). False fills err with what is wanted. */
bool solo_factoring_check(const char *name, solo_error *err);

typedef struct solo_stage_info {
    const char *name;      /* "qkv" */
    const char *scope;     /* "token" or "layer" */
    uint32_t n_tile, tile_rows, team, rows_team; /* team: lanes that share one row, of rows_team at once */
    uint64_t weight_bytes; /* a token, all layers */
    const char *hand_off;  /* how its output reaches the next: "dispatch", "words", "none" */
} solo_stage_info;

typedef struct solo_plan_info {
    const char *factoring, *assignment, *hand_off, *activations, *kv_type, *reduce;
    uint32_t n_dispatch, n_token;     /* dispatches for so many tokens: 1, more in a burst */
    uint32_t n_workgroup, workgroup_size, workgroup_bytes;
    uint32_t n_ctx, n_hand_off;       /* hand-offs inside dispatches, a token */
    uint32_t n_ctx_whole;             /* contexts of up to so many positions are attended to without splits, which is
                                         one hand-off a layer less where splits cross inside a dispatch; or 0 */
    uint64_t weight_bytes;            /* read a token */
    uint64_t kv_bytes_per_pos;        /* read a token for each earlier position that it attends to */
    uint32_t attn_window, attn_global_every; /* the model's */
    uint64_t weights_buffer_bytes, kv_buffer_bytes, message_buffer_bytes, prefill_buffer_bytes;
    double compile_seconds;           /* of opening: all modules and pipelines, prefill's and the fallback's too */
    double self_test_seconds;         /* of opening: the same tokens both ways, compared; 0: no hand-off to test */
    uint32_t n_stage;
    solo_stage_info stage[16];
    char note[256];                   /* why a plan was demoted at open, or "" */
} solo_plan_info;

solo_plan_info solo_plan_get_info(const solo_plan *plan); /* strings borrowed from the plan */
const char *solo_plan_wgsl(const solo_plan *plan); /* the joined modules, borrowed; "" on cpu */

/* The entry point of dispatch i of a step, borrowed; NULL past the end. */
const char *solo_plan_entry(const solo_plan *plan, uint32_t i);
/* Steps encoded from here on leave out the dispatches of that entry point (NULL: none), to tell by the
 * difference what they take; the tokens are void meanwhile. ARGUMENT: no such entry point, or stages
 * hand over inside dispatches, where leaving one out would leave the others waiting. */
bool solo_plan_leave_out(solo_plan *plan, const char *entry, solo_error *err);

/* ---- tune --------------------------------------------------------------------------------- */

#define SOLO_TUNE_MAX_ROW 16u
#define SOLO_TUNE_KEY_BYTES 1024u
typedef struct solo_tune_choice { /* a way to run a token */
    char     factoring[32];
    uint32_t workgroup_size; /* 0: by the device */
} solo_tune_choice;

typedef struct solo_tune_row {
    solo_tune_choice choice;
    uint32_t n_dispatch, n_hand_off;    /* of the plan's list, which in a burst is for several tokens */
    double   predicted_ms, measured_ms; /* a token; measured_ms 0: was not, or may not be picked */
    char     note[200];                 /* why, or "" */
} solo_tune_row;

typedef struct solo_tune_result {
    solo_probe_result probe;
    uint64_t weight_bytes; /* read a token */
    uint32_t n_row, best;  /* best: the row that was picked */
    solo_tune_row row[SOLO_TUNE_MAX_ROW];
} solo_tune_result;

typedef struct solo_tune_desc {
    solo_plan_desc plan;    /* as it shall be opened; factoring is ignored, workgroup_size is kept where it is not 0 */
    double   seconds;       /* of timing, compiling and warming up left out; 0: 1 */
    uint32_t n_candidate;   /* factorings to time; 0: 4, on software adapters 2 */
    bool     all;           /* try hand-offs inside a dispatch although none met in the probe or the
                               adapter is software: whole-token kernels may take a minute to compile
                               there */
} solo_tune_desc;

/* Probes the device, predicts every candidate, times the best few on these weights and picks the
 * fastest of those that ran without falling back. *plan, where not NULL, is the winner's, open. A
 * candidate that fails to open is a row with a note; the call fails where none works. */
bool solo_tune(const solo_tune_desc *desc, solo_tune_result *out, solo_plan **plan, solo_error *err);

/* Opens what was picked before: as solo_plan_open, with the choice in place of desc's. */
bool solo_tune_open(const solo_plan_desc *desc, const solo_tune_choice *choice, solo_plan **plan, solo_error *err);

/* What a choice depends on, as one line of text: device, driver, backend, the model's shape and
 * weight types, numbers, geometry asked for, the context's order of size, Solo's version. For those
 * who remember choices: equal keys, equal choice. */
void solo_tune_key(const solo_plan_desc *desc, char key[SOLO_TUNE_KEY_BYTES]);

/* ---- session ------------------------------------------------------------------------------ */

typedef struct solo_session solo_session;

typedef struct solo_sampling {
    float    temperature;    /* 0: greedy */
    uint32_t top_k;          /* 0: off */
    float    top_p;          /* 0 or 1: off */
    float    min_p;          /* 0: off */
    float    repeat_penalty; /* 0 or 1: off */
    uint32_t repeat_last_n;  /* 0: 64 */
    uint64_t seed;           /* the same seed, ids and parameters draw the same tokens */
} solo_sampling;

typedef struct solo_session_desc {
    solo_plan    *plan;
    solo_sampling sampling;
    uint32_t      n_in_flight; /* decode steps ahead of the one read; 0: 4. Bursts, and tokens of less than
                                  3 ms (four a submit), go ahead by two submits unless 1 is asked for */
    uint32_t      n_token_submit; /* tokens a submit, rounded down to whole bursts, at most 64; 0: by their time */
} solo_session_desc;

bool solo_session_open(solo_session **out, const solo_session_desc *desc, solo_error *err);
void solo_session_close(solo_session *session);

/* Makes the context equal to ids[0..n): keeps the longest common prefix of the KV cache, prefills the rest. n >= 1. */
bool solo_session_sync(solo_session *session, const uint32_t *ids, uint32_t n, solo_error *err);

/* Draws the token after the context and appends it. Steps are submitted ahead of the read.
 * Fails with CONTEXT_FULL when n_ctx is reached. */
bool solo_session_next(solo_session *session, uint32_t *id, solo_error *err);

/* The logits [n_vocab] f32 that follow the context as it stands (before penalties); does not
 * advance it. One decode step, whose KV row stays: where the next sync only appends an id of the
 * caller's choice, it prefills nothing, and a text is scored at one decode step a position. */
bool solo_session_logits(solo_session *session, float *out, solo_error *err);

bool solo_session_set_sampling(solo_session *session, const solo_sampling *s, solo_error *err);

typedef struct solo_session_info {
    uint32_t n_ctx, n_past;     /* n_past: ids in the context */
    uint32_t n_reused;          /* of the last sync: positions kept */
    uint64_t n_step, n_step_dispatch; /* decode steps (tokens) submitted since the open, the
                                         dispatches they took, counted at the device, */
    uint64_t n_step_submit;           /* and the submits */
    const char *factoring;      /* in use now: differs from the plan's after a fallback; borrowed from the plan */
    bool     fell_back;
    char     note[256];         /* the one sentence to show a user after a fallback */
} solo_session_info;

solo_session_info solo_session_get_info(const solo_session *session);

#endif
