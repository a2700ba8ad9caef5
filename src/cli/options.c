/* options.c: the command line, by glibc's argp: it writes --help from the same table that it
 * parses, needs no package, and is kept up with the C library. (popt is a further package, and its
 * --help knows no groups; getopt leaves all of the help to be written by hand.) */
#include "cli.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { /* keys of options that have no letter */
    KEY_PROMPT_FILE = 256, KEY_RAW, KEY_SYSTEM, KEY_TOOLS, KEY_VARS,
    KEY_TEMP, KEY_TOP_K, KEY_TOP_P, KEY_MIN_P, KEY_SEED,
    KEY_REPEAT_PENALTY, KEY_REPEAT_LAST, KEY_DEVICE, KEY_CTX, KEY_FACTORING, KEY_ASSIGNMENT,
    KEY_WORKGROUPS, KEY_WORKGROUP_SIZE, KEY_NO_SUBGROUPS, KEY_ACTIVATIONS, KEY_KV, KEY_WGSL,
    KEY_SPECIAL, KEY_BOS, KEY_TOP, KEY_IDS, KEY_FILE, KEY_WINDOW, KEY_MAX_IDS,
    KEY_KL, KEY_JSON, KEY_FACTORINGS, KEY_POSITIONS, KEY_SAMPLES, KEY_COMMIT, KEY_QUEUE, KEY_QUEUE_ACROSS,
    KEY_TYPE, KEY_OUTPUT_TYPE, KEY_QUANT, KEY_SHA256, KEY_ENDPOINT, KEY_STALL,
    KEY_WORKGROUP_BYTES, KEY_ALL, KEY_LIST, KEY_QUICK, KEY_SPEC,
};

typedef struct option_row {
    unsigned           takes; /* any of these groups has it */
    struct argp_option option;
} option_row;

#define ROW(takes, name, key, arg, doc, group) {takes, {name, key, arg, 0, doc, group}}

static const option_row rows[] = {
    ROW(CLI_TAKES_PROMPT, "prompt", 'p', "TEXT", "The prompt", 1),
    ROW(CLI_TAKES_PROMPT | CLI_TAKES_TOP, "prompt-file", KEY_PROMPT_FILE, "FILE",
        "The prompt, from a file", 1),
    ROW(CLI_TAKES_PROMPT, "raw", KEY_RAW, NULL, "Apply no chat template: go on with the text", 1),
    ROW(CLI_TAKES_SCORING, "file", KEY_FILE, "FILE", "The text to predict", 1),
    ROW(CLI_TAKES_SCORING, "window", KEY_WINDOW, "N", "Tokens in a window (256)", 1),
    ROW(CLI_TAKES_SCORING, "max-ids", KEY_MAX_IDS, "N",
        "Score the text's first N tokens only; 0: all (0)", 1),
    ROW(CLI_TAKES_SCORING, "kl", KEY_KL, NULL,
        "Run the exact path beside it and tell how far the predictions are from it", 1),
    ROW(CLI_TAKES_TOP, "ids", KEY_IDS, NULL, "The prompt is a JSON array of token ids", 1),
    ROW(CLI_TAKES_TOP, "top", KEY_TOP, "K", "Logits to print (10)", 1),
    ROW(CLI_TAKES_TALK, "system", KEY_SYSTEM, "TEXT", "The system message", 1),
    ROW(CLI_TAKES_TALK, "tools", KEY_TOOLS, "JSON", "Functions for the chat template to offer: a JSON list", 1),
    ROW(CLI_TAKES_TALK, "vars", KEY_VARS, "JSON",
        "What else the chat template reads: a JSON object, as {\"enable_thinking\": false}", 1),
    ROW(CLI_TAKES_TALK, "tokens", 'n', "N",
        "Tokens to write at most (run: 256, chat: 1024); 0: until the end or the context's", 1),
    ROW(CLI_TAKES_BENCH, "tokens", 'n', "N", "Tokens a sample (64)", 1),
    ROW(CLI_TAKES_BENCH, "factorings", KEY_FACTORINGS, "LIST",
        "Rows with commas between: NAME[:static|:ticket][@KEY=VALUE,...], keys wg, n, team (workgroup "
        "size, workgroups, lanes a row at most), queue, across (vec4 ahead within a stage, across "
        "stages), activations, kv, attend=split (short contexts too): single:static@wg=256,n=128 (all)", 1),
    ROW(CLI_TAKES_BENCH, "positions", KEY_POSITIONS, "LIST",
        "Context before each sample; several with commas between (128)", 1),
    ROW(CLI_TAKES_BENCH, "samples", KEY_SAMPLES, "N", "Samples of each, taken in turn (7)", 1),
    ROW(CLI_TAKES_SWEEP, "output", 'o', "OUT.jsonl", "The result; rows that it holds are not measured again", 1),
    ROW(CLI_TAKES_PLOT, "output", 'o', "OUT", "The drawing: .svg or .png", 1),
    ROW(CLI_TAKES_PLOT, "spec", KEY_SPEC, "NAME", "Draw that spec's rows only (all)", 1),
    ROW(CLI_TAKES_SWEEP, "list", KEY_LIST, NULL, "List the specs that are built in", 1),
    ROW(CLI_TAKES_SWEEP, "quick", KEY_QUICK, NULL, "Each spec's small form: shows that it runs, not how fast", 1),
    ROW(CLI_TAKES_BENCH | CLI_TAKES_SWEEP, "commit", KEY_COMMIT, "TEXT", "Written into the result", 1),
    ROW(CLI_TAKES_SPECIAL, "special", KEY_SPECIAL, NULL,
        "Special tokens are text too: \"<|im_end|>\" is one token", 1),
    ROW(CLI_TAKES_BOS, "bos", KEY_BOS, NULL, "Begin as the file says a text begins", 1),
    ROW(CLI_TAKES_JSON, "json", KEY_JSON, NULL, "Print JSON", 1),

    ROW(CLI_TAKES_SAMPLING, NULL, 0, NULL, "Sampling:", 2),
    ROW(CLI_TAKES_SYNTH, "type", KEY_TYPE, "TYPE",
        "Of the matrices: q4_0, q4_1, q5_0, q8_0, q4_k, q6_k, f16, bf16, f32 (q4_0)", 1),
    ROW(CLI_TAKES_CONVERT, "type", KEY_TYPE, "TYPE",
        "Of the matrices: q4_0, q8_0, q4_k, f16, ... (as they are)", 1),
    ROW(CLI_TAKES_PULL, "sha256", KEY_SHA256, "HEX", "What the file's SHA-256 must be", 1),
    ROW(CLI_TAKES_PULL, "stall", KEY_STALL, "SECONDS", "Try anew when nothing came for so long (30)", 1),
    ROW(CLI_TAKES_PULL, "endpoint", KEY_ENDPOINT, "URL",
        "Where ORG/REPO:FILE is looked for ($SOLO_ENDPOINT, else https://huggingface.co)", 1),
    ROW(CLI_TAKES_MODEL, "quant", KEY_QUANT, "TYPE",
        "Make a folder's matrices q4_0, q8_0, q4_k, ... while they are loaded", 1),
    ROW(CLI_TAKES_SYNTH, "output-type", KEY_OUTPUT_TYPE, "TYPE",
        "Of the output matrix, or of an embedding that serves as one (q8_0)", 1),
    ROW(CLI_TAKES_SYNTH, "seed", KEY_SEED, "N", "The same seed writes the same bytes (0)", 1),
    ROW(CLI_TAKES_SYNTH, "ctx", KEY_CTX, "N", "Context in tokens that the file tells (the model's)",
        1),

    ROW(CLI_TAKES_SAMPLING, "temp", KEY_TEMP, "T",
        "Temperature; 0: always the likeliest token (0)", 2),
    ROW(CLI_TAKES_SAMPLING, "top-k", KEY_TOP_K, "K", "Draw from the K likeliest; 0: off (0)", 2),
    ROW(CLI_TAKES_SAMPLING, "top-p", KEY_TOP_P, "P",
        "Draw from the likeliest that make up probability P; 1: off (1)", 2),
    ROW(CLI_TAKES_SAMPLING, "min-p", KEY_MIN_P, "P",
        "Drop tokens less likely than P times the likeliest; 0: off (0)", 2),
    ROW(CLI_TAKES_SAMPLING, "seed", KEY_SEED, "N", "The same seed draws the same tokens (0)", 2),
    ROW(CLI_TAKES_SAMPLING, "repeat-penalty", KEY_REPEAT_PENALTY, "X",
        "Penalty on tokens of the recent past; 1: off (1)", 2),
    ROW(CLI_TAKES_SAMPLING, "repeat-last-n", KEY_REPEAT_LAST, "N",
        "How far the recent past reaches (64)", 2),

    ROW(CLI_TAKES_PLAN, NULL, 0, NULL, "Engine:", 3),
    ROW(CLI_TAKES_DEVICE, "device", KEY_DEVICE, "NAME",
        "auto, cpu, an index of `solo devices` or a part of an adapter's name (auto)", 3),
    ROW(CLI_TAKES_PLAN, "ctx", KEY_CTX, "N", "Context in tokens (the model's, at most 4096)", 3),
    ROW(CLI_TAKES_PLAN, "factoring", KEY_FACTORING, "NAME",
        "How stages are grouped into dispatches: unfused, roles, stages, layer, chunk[:LAYERS], single, "
        "single-wg or burst[:TOKENS]; auto: measured, then remembered (single; stages on a software adapter)", 3),
    ROW(CLI_TAKES_PLAN, "assignment", KEY_ASSIGNMENT, "NAME",
        "Inside a dispatch: static, ticket or auto (auto)", 3),
    ROW(CLI_TAKES_PLAN, "workgroups", KEY_WORKGROUPS, "N",
        "Workgroups inside a dispatch; 0: by the device (0)", 3),
    ROW(CLI_TAKES_PLAN | CLI_TAKES_PROBE, "workgroup-size", KEY_WORKGROUP_SIZE, "N",
        "Lanes of a workgroup; 0: by the device (0)", 3),
    ROW(CLI_TAKES_PLAN, "queue", KEY_QUEUE, "N",
        "Weights that a lane requests ahead of a stage's inputs, in vec4; 0: none (by the device)", 3),
    ROW(CLI_TAKES_PLAN, "queue-across", KEY_QUEUE_ACROSS, NULL,
        "Let that queue go on across the stages of a dispatch", 3),
    ROW(CLI_TAKES_PROBE, "workgroup-bytes", KEY_WORKGROUP_BYTES, "N",
        "Workgroup memory that each holds; 0: 16384 or what there is (0)", 3),
    ROW(CLI_TAKES_TUNE, "all", KEY_ALL, NULL,
        "On a software adapter too, time what hands off inside a dispatch: slow to compile there", 3),
    ROW(CLI_TAKES_PLAN, "no-subgroups", KEY_NO_SUBGROUPS, NULL,
        "Reduce through workgroup memory although there are subgroups", 3),
    ROW(CLI_TAKES_NUMBERS, "activations", KEY_ACTIVATIONS, "TYPE",
        "int8 (fast) or f32 (exact) (int8)", 3),
    ROW(CLI_TAKES_NUMBERS, "kv", KEY_KV, "TYPE",
        "KV cache: auto, int8, f16 or f32 (auto: f32 with f32 activations, else f16)", 3),
    ROW(CLI_TAKES_WGSL, "print-wgsl", KEY_WGSL, NULL,
        "Print the shader modules of the plan and end", 3),
};
enum { N_ROW = sizeof rows / sizeof rows[0] };

typedef struct parsing {
    const cli_command *command;
    cli_options       *options;
} parsing;

static const char *name_of(int key) {
    for (size_t i = 0; i < N_ROW; i++)
        if (rows[i].option.key == key) return rows[i].option.name;
    return "?";
}

static uint64_t whole(struct argp_state *state, int key, const char *arg, uint64_t min,
                      uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(arg, &end, 10);
    if (arg[0] < '0' || arg[0] > '9' || *end || errno || value < min || value > max)
        argp_error(state, "--%s: wanted a whole number from %llu to %llu, found '%s'", name_of(key),
                   (unsigned long long)min, (unsigned long long)max, arg);
    return value;
}

static uint32_t whole_u32(struct argp_state *state, int key, const char *arg, uint32_t min) {
    return (uint32_t)whole(state, key, arg, min, INT32_MAX);
}

static float number(struct argp_state *state, int key, const char *arg, double min, double max) {
    char *end;
    double value = strtod(arg, &end);
    if (end == arg || *end || !isfinite(value) || value < min || value > max)
        argp_error(state, "--%s: wanted a number from %g to %g, found '%s'", name_of(key), min, max,
                   arg);
    return (float)value;
}

/* The index of arg in names, which ends with NULL. */
static uint32_t choice(struct argp_state *state, int key, const char *arg,
                       const char *const *names) {
    char   list[300] = "";
    size_t n = 0;
    for (uint32_t i = 0; names[i]; i++) {
        if (strcmp(names[i], arg) == 0) return i;
        int add = snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", names[i]);
        if (add > 0 && n + (size_t)add < sizeof list) n += (size_t)add;
    }
    argp_error(state, "--%s: wanted one of %s, found '%s'", name_of(key), list, arg);
    return 0;
}

static error_t parse_sampling(int key, char *arg, struct argp_state *state, solo_sampling *s) {
    switch (key) {
    case KEY_TEMP:           s->temperature = number(state, key, arg, 0, 100); break;
    case KEY_TOP_K:          s->top_k = whole_u32(state, key, arg, 0); break;
    case KEY_TOP_P:          s->top_p = number(state, key, arg, 0, 1); break;
    case KEY_MIN_P:          s->min_p = number(state, key, arg, 0, 1); break;
    case KEY_SEED:           s->seed = whole(state, key, arg, 0, UINT64_MAX); break;
    case KEY_REPEAT_PENALTY: s->repeat_penalty = number(state, key, arg, 0.01, 100); break;
    case KEY_REPEAT_LAST:    s->repeat_last_n = whole_u32(state, key, arg, 1); break;
    default:                 return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t parse_plan(int key, char *arg, struct argp_state *state, solo_plan_desc *plan) {
    static const char *const assignments[] = {"auto", "static", "ticket", NULL};
    static const char *const activations[] = {"int8", "f32", NULL};
    static const char *const kv_types[] = {"auto", "f16", "f32", "int8", NULL};
    solo_error err;
    switch (key) {
    case KEY_CTX:            plan->n_ctx = whole_u32(state, key, arg, 1); break;
    case KEY_FACTORING:
        if (strcmp(arg, "auto") != 0 && !solo_factoring_check(arg, &err))
            argp_error(state, "--%s: %s", name_of(key), err.text);
        plan->factoring = arg;
        break;
    case KEY_ASSIGNMENT:
        plan->assignment = (solo_assignment)choice(state, key, arg, assignments);
        break;
    case KEY_WORKGROUPS:     plan->n_workgroup = whole_u32(state, key, arg, 0); break;
    case KEY_WORKGROUP_SIZE: plan->workgroup_size = whole_u32(state, key, arg, 0); break;
    case KEY_QUEUE:          plan->queue = whole_u32(state, key, arg, 0);
                             if (!plan->queue) plan->queue = SOLO_QUEUE_NONE;
                             break;
    case KEY_QUEUE_ACROSS:   plan->queue_across = true; break;
    case KEY_NO_SUBGROUPS:   plan->no_subgroups = true; break;
    case KEY_ACTIVATIONS:
        plan->activations = (solo_activations)choice(state, key, arg, activations);
        break;
    case KEY_KV:             plan->kv_type = (solo_kv_type)choice(state, key, arg, kv_types); break;
    default:                 return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Of commands that take no MODEL; NULL: none. */
static const char *arguments_of(const cli_command *command) {
    return command->takes & CLI_TAKES_SYNTH     ? "PRESET OUT"
           : command->takes & CLI_TAKES_CONVERT ? "IN OUT"
           : command->takes & CLI_TAKES_PULL    ? "NAME"
           : command->takes & CLI_TAKES_SWEEP   ? "SPEC..."
           : command->takes & CLI_TAKES_PLOT    ? "IN.jsonl"
                                                : NULL;
}

static error_t parse_key(int key, char *arg, struct argp_state *state) {
    const parsing *p = state->input;
    cli_options   *o = p->options;
    switch (key) {
    case 'p':             o->prompt = arg; break;
    case 'n':             o->n = whole_u32(state, key, arg, 0); o->has_n = true; break;
    case KEY_PROMPT_FILE: o->prompt_file = arg; break;
    case KEY_RAW:         o->raw = true; break;
    case KEY_SYSTEM:      o->system = arg; break;
    case KEY_TOOLS:       o->tools = arg; break;
    case KEY_VARS:        o->vars = arg; break;
    case KEY_DEVICE:      o->device = arg; break;
    case KEY_WGSL:        o->print_wgsl = true; break;
    case KEY_SPECIAL:     o->special = true; break;
    case KEY_BOS:         o->bos = true; break;
    case KEY_TOP:         o->top = whole_u32(state, key, arg, 1); break;
    case KEY_IDS:         o->ids = true; break;
    case KEY_FILE:        o->file = arg; break;
    case KEY_WINDOW:      o->window = whole_u32(state, key, arg, 2); break;
    case KEY_MAX_IDS:     o->max_ids = whole_u32(state, key, arg, 0); break;
    case KEY_KL:          o->kl = true; break;
    case KEY_FACTORINGS:  o->factorings = arg; break;
    case KEY_POSITIONS:   o->positions = arg; break;
    case KEY_SAMPLES:     o->samples = (uint32_t)whole(state, key, arg, 1, 64); break;
    case KEY_COMMIT:      o->commit = arg; break;
    case KEY_JSON:        o->json = true; break;
    case KEY_TYPE:        o->type = arg; break;
    case KEY_OUTPUT_TYPE: o->output_type = arg; break;
    case KEY_QUANT:       o->quant = arg; break;
    case KEY_SHA256:      o->sha256 = arg; break;
    case KEY_ENDPOINT:    o->endpoint = arg; break;
    case KEY_STALL:       o->stall = whole_u32(state, key, arg, 1); break;
    case KEY_WORKGROUP_BYTES: o->workgroup_bytes = whole_u32(state, key, arg, 0); break;
    case KEY_ALL:         o->all = true; break;
    case KEY_LIST:        o->list = true; break;
    case KEY_QUICK:       o->quick = true; break;
    case KEY_SPEC:        o->spec = arg; break;
    case 'o':             o->out = arg; break;
    case ARGP_KEY_ARG:
        if (p->command->takes & CLI_TAKES_SWEEP) { /* this one and all behind it */
            o->arguments = &state->argv[state->next - 1];
            o->n_argument = (uint32_t)(state->argc - state->next + 1);
            state->next = state->argc;
            break;
        }
        if (p->command->takes & CLI_TAKES_PLOT) {
            if (o->in) argp_error(state, "wanted one result, found '%s' after '%s'", arg, o->in);
            o->in = arg;
            break;
        }
        if (arguments_of(p->command)) {
            bool two = !(p->command->takes & CLI_TAKES_PULL);
            if (two ? o->out : o->in)
                argp_error(state, "wanted %s, found '%s' after that", arguments_of(p->command), arg);
            *(o->in ? &o->out : &o->in) = arg;
            break;
        }
        if (!(p->command->takes & CLI_TAKES_MODEL))
            argp_error(state, "wanted no argument, found '%s'", arg);
        if (o->model) argp_error(state, "wanted one MODEL, found '%s' after '%s'", arg, o->model);
        o->model = arg;
        break;
    case ARGP_KEY_END:
        if ((p->command->takes & CLI_TAKES_MODEL) && !o->model)
            argp_error(state, "wanted a MODEL (a .gguf file, a model's folder, a name of `solo models`), found none");
        if (p->command->takes & (CLI_TAKES_SWEEP | CLI_TAKES_PLOT)) {
            if (!o->list && !o->n_argument && !o->in)
                argp_error(state, "wanted %s, found none", arguments_of(p->command));
            if (!o->list && !o->out && !(o->json && (p->command->takes & CLI_TAKES_PLOT)))
                argp_error(state, "wanted --output, found none");
        } else if (arguments_of(p->command) && !(p->command->takes & CLI_TAKES_PULL ? o->in : o->out))
            argp_error(state, "wanted %s, found %s", arguments_of(p->command), o->in ? "the first alone" : "neither");
        if (o->prompt && o->prompt_file)
            argp_error(state, "wanted one of --prompt and --prompt-file, found both");
        if (o->raw && (o->system || o->tools || o->vars))
            argp_error(state, "%s needs the chat template, which --raw leaves out",
                       o->system ? "--system" : o->tools ? "--tools" : "--vars");
        if ((p->command->takes & CLI_TAKES_SCORING) && !o->file)
            argp_error(state, "wanted --file FILE, found none");
        break;
    default:
        if (parse_sampling(key, arg, state, &o->sampling) == 0) return 0;
        return parse_plan(key, arg, state, &o->plan);
    }
    return 0;
}

void cli_options_parse(const cli_command *command, int argc, char **argv, cli_options *options) {
    struct argp_option table[N_ROW + 1];
    size_t n = 0;
    for (size_t i = 0; i < N_ROW; i++)
        if (rows[i].takes & command->takes) table[n++] = rows[i].option;
    table[n] = (struct argp_option){0};

    char name[32];
    snprintf(name, sizeof name, "solo %s", command->name);
    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    const char *arguments = command->takes & CLI_TAKES_MODEL ? "MODEL" : arguments_of(command);
    const struct argp argp = {table, parse_key, arguments, command->doc, NULL, NULL, NULL};
    options->top = 10;
    options->window = 256;
    options->positions = "128";
    options->samples = 7;
    error_t failed = argp_parse(&argp, argc, argv, 0, NULL, &(parsing){command, options});
    if (failed) exit(CLI_USAGE);
    argv[0] = NULL; /* name ends with this call */
}
