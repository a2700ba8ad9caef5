/* cli.h: the program `solo`: what its commands share. Only solo.h of the library is used here, as
 * an embedder would. One process runs one command; an exit code is what each command returns.
 *
 * Exit codes: 0 done; 1 the world failed (file, device, output); 2 the command line is wrong;
 * 130 interrupted by Ctrl-C. Errors and notes go to stderr, results to stdout. */
#ifndef SOLO_CLI_H
#define SOLO_CLI_H

#include "solo.h"

#include <jansson.h>
#include <stdio.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

/* ---- options (options.c) ------------------------------------------------------------------ */

/* Which options a command takes; one bit a group. */
enum {
    CLI_TAKES_MODEL    = 1 << 0, /* the argument MODEL */
    CLI_TAKES_PROMPT   = 1 << 1, /* -p, --prompt-file, --raw */
    CLI_TAKES_TALK     = 1 << 2, /* -n, --system */
    CLI_TAKES_SAMPLING = 1 << 3,
    CLI_TAKES_DEVICE   = 1 << 4,
    CLI_TAKES_PLAN     = 1 << 5, /* --ctx, --factoring, ... */
    CLI_TAKES_NUMBERS  = 1 << 6, /* --activations, --kv: not for commands that fix them */
    CLI_TAKES_WGSL     = 1 << 7, /* --print-wgsl */
    CLI_TAKES_SPECIAL  = 1 << 8,
    CLI_TAKES_BOS      = 1 << 9,
    CLI_TAKES_TOP      = 1 << 10, /* --top, --prompt-file, --ids */
    CLI_TAKES_SCORING  = 1 << 11, /* --file, --window, --max-ids, --kl */
    CLI_TAKES_JSON     = 1 << 12,
    CLI_TAKES_BENCH    = 1 << 13, /* -n, --factorings, --positions, --samples, --commit */
    CLI_TAKES_PROBE    = 1 << 14, /* --workgroup-size, --workgroup-bytes */
    CLI_TAKES_TUNE     = 1 << 15, /* --all */
    CLI_TAKES_SYNTH    = 1 << 16, /* PRESET OUT, --type, --output-type, --seed, --ctx */
    CLI_TAKES_CONVERT  = 1 << 17, /* IN OUT, --type */
    CLI_TAKES_PULL     = 1 << 18, /* NAME, --sha256, --endpoint, --stall */
    CLI_TAKES_SWEEP    = 1 << 19, /* SPEC..., -o, --list, --quick, --commit */
    CLI_TAKES_PLOT     = 1 << 20, /* IN, -o */
};

typedef struct cli_options {
    const char *model;
    const char *prompt, *prompt_file, *file, *system, *device;
    const char *tools, *vars; /* JSON for the chat template; NULL: none */
    bool raw, json, ids, special, bos, print_wgsl, has_n, kl;
    uint32_t n;   /* tokens to write; 0: until the end or the context's */
    uint32_t top;
    const char *factorings, *commit; /* of a benchmark */
    const char *in, *out;           /* arguments of commands that take no model; out also by -o */
    char      **arguments;          /* of a command that takes any number */
    uint32_t    n_argument;
    bool        list, quick;
    const char *spec; /* whose rows to draw; NULL: all */
    const char *type, *output_type; /* of a file to write */
    const char *quant;              /* of a folder's matrices */
    const char *sha256, *endpoint;  /* of a file to fetch */
    uint32_t    stall;              /* seconds without a byte; 0: 30 */
    const char *positions; /* "1,128,2048" */
    uint32_t samples;
    uint32_t workgroup_bytes; /* of a probe; 0: by the device */
    bool     all;             /* tune: what a software adapter is spared, too */
    uint32_t window, max_ids; /* of a text to score; max_ids 0: all */
    solo_sampling  sampling;
    solo_plan_desc plan; /* weights unset */
} cli_options;

typedef int cli_command_run(const cli_options *options);
typedef struct cli_command {
    const char *name, *summary;
    const char *doc; /* for --help: after the usage; '\v' starts what follows the options */
    unsigned    takes;
    cli_command_run *run;
} cli_command;

/* Fills *options from argv[1..]. A wrong command line is told on stderr and ends the process with
 * CLI_USAGE; --help prints and ends it with CLI_OK. */
void cli_options_parse(const cli_command *command, int argc, char **argv, cli_options *options);

/* ---- output and input (io.c) -------------------------------------------------------------- */

void cli_set_command(const char *name); /* named in messages: "solo run: ..." */
int  cli_fail(const solo_error *err);   /* says err->text; returns CLI_FAILED */
int  cli_fail_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
double cli_now(void); /* seconds, monotonic */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Flushes stdout; where it could not all be written, says so and returns CLI_FAILED. */
int cli_finish_output(void);
int cli_print_json(json_t *value); /* on one line of stdout; frees value */

/* All of a file, or of stdin where path is NULL; NUL-terminated, malloc'd. False: told. */
bool cli_read_all(const char *path, char **text, size_t *n_text);

/* A JSON array of token ids of the model's vocabulary. *ids malloc'd. False: told. */
bool cli_parse_ids(const solo_model *model, const char *text, size_t n_text, const char *where,
                   uint32_t **ids, uint32_t *n_ids);

/* The text of bytes that may not be UTF-8, as a JSON string (bad bytes become U+FFFD). */
json_t *cli_json_text(const char *bytes, size_t n);
/* A field of an object. Text from a file or a driver may be any bytes; a count fits JSON's integers (2^53 and more). */
void cli_json_add_text(json_t *object, const char *key, const char *text);
void cli_json_add_count(json_t *object, const char *key, uint64_t n);
void cli_json_add_flag(json_t *object, const char *key, bool flag);

/* The conversation as the model's chat template writes it, up to where the answer begins; *text is
 * malloc'd. (template.c) */
bool cli_render(const cli_options *options, const solo_model *model, const solo_message *messages, uint32_t n,
                char **text, solo_error *err);

/* ---- tuning: what `--factoring auto` found (tune_json.c, tune.c) ---------------------------- */

typedef struct cli_tuning {
    bool is_set, from_cache;
    solo_tune_result result;
    char path[1000]; /* of the cache file; "": there is no place for one */
} cli_tuning;

json_t *cli_probe_json(const solo_probe_result *probe);
json_t *cli_tune_json(const solo_tune_result *result);
bool    cli_tune_parse(const json_t *value, solo_tune_result *out); /* false: not one of ours */

/* The remembered result under key. False: there is none; *note then says what is wrong with the file,
 * "" where nothing is. Neither call prints. */
bool cli_tune_cache_find(const char *path, const char *key, solo_tune_result *out, char note[400]);
/* Adds or replaces it; missing folders are made. False: *note says why. */
bool cli_tune_cache_store(const char *path, const char *key, const solo_tune_result *result,
                          char note[400]);

/* ---- the engine, opened for a command (engine.c) ------------------------------------------ */

typedef struct cli_engine {
    solo_model   *model;
    solo_device  *device;
    solo_weights *weights;
    solo_plan    *plan;
    solo_session *session;
    solo_device_info device_info;
    cli_tuning    tuning; /* set where the factoring is auto */
} cli_engine;

/* Each opens what is missing before it. False: told on stderr; close all the same. */
bool cli_engine_open_model(cli_engine *engine, const cli_options *options);
bool cli_engine_open_weights(cli_engine *engine, const cli_options *options);
bool cli_engine_open_plan(cli_engine *engine, const cli_options *options);
bool cli_engine_open_session(cli_engine *engine, const cli_options *options);
void cli_engine_close(cli_engine *engine);

/* The plan for the factoring auto: as remembered for this device and model, else measured now and
 * remembered. fresh: measured in any case. What is wrong with the cache file is a note. (tune.c) */
bool cli_engine_open_auto(cli_engine *engine, const cli_options *options, bool fresh);
bool cli_wants_auto(const cli_options *options);
void cli_tuning_print(const cli_tuning *tuning);
json_t *cli_tuning_json(const cli_tuning *tuning);

/* Whether something less than the plan asked for runs; its note, on stderr, once. */
bool cli_engine_fell_back(const cli_engine *engine);
void cli_engine_tell_fallback(const cli_engine *engine);

/* ---- writing text (generate.c) ------------------------------------------------------------ */

/* Ctrl-C: inside cli_generate it ends the answer, and a further one the process, with
 * CLI_INTERRUPTED; outside it ends the process at once. keep_alive: outside it does nothing, and an
 * answer takes three. */
void cli_interrupt_install(bool keep_alive);

typedef struct cli_answer {
    uint32_t *ids; /* what was written, without the end token; malloc'd */
    uint32_t  n_ids;
    char     *text; /* the same as UTF-8, malloc'd, NUL-terminated */
    size_t    n_text;
    const char *finish_reason; /* "stop", "length", "interrupted" */
    uint32_t  n_prompt, n_reused, n_step; /* n_step: tokens drawn, the end token too */
    double    prefill_tok_s; /* prompt tokens computed, until the first token was read */
    double    decode_tok_s;  /* tokens after the first; 0 where there are none */
    double    dispatches_per_token; /* counted at the device over the steps submitted */
} cli_answer;

/* Writes up to n tokens (0: until the end token or the end of the context) after ids, to out (may
 * be NULL) as they come. False: told in *err, and *answer holds what came before it. */
bool cli_generate(cli_engine *engine, const uint32_t *ids, uint32_t n_ids, uint32_t n, FILE *out,
                  cli_answer *answer, solo_error *err);
void cli_answer_clear(cli_answer *answer);
void cli_answer_tell(const cli_answer *answer, const cli_engine *engine); /* the summary line */

/* ---- tables that several commands print (show.c, probe.c) --------------------------------- */

const char *cli_device_kind(const solo_device_info *info); /* "gpu", "software", "reference" (json.c) */
json_t *cli_device_json(const solo_device_info *info);
void    cli_probe_print(const solo_probe_result *probe);
json_t *cli_rates_json(const solo_probe_rates *rates);

/* ---- commands ----------------------------------------------------------------------------- */

cli_command_run cli_run, cli_chat, cli_info, cli_devices, cli_explain, cli_tokenize, cli_detokenize,
    cli_logits, cli_perplexity, cli_bench, cli_synth, cli_convert, cli_pull, cli_models,
    cli_load, cli_probe, cli_tune, cli_sweep, cli_plot;

#endif
