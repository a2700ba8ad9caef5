/* main.c: the table of commands, `help` and `version`. */
#include "pull.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENGINE = CLI_TAKES_MODEL | CLI_TAKES_DEVICE | CLI_TAKES_PLAN,
};

static const cli_command commands[] = {
    {"run", "write text after a prompt",
     "Writes text after a prompt: that of -p, else of --prompt-file, else of standard input. "
     "The text streams to standard output; the last line, on standard error, tells tokens, "
     "speed, dispatches a token, factoring and adapter.\v"
     "With --json one object is printed at the end instead: prompt_tokens, tokens, text, "
     "finish_reason (stop, length, interrupted), factoring, dispatches_per_token, prefill_tok_s, "
     "decode_tok_s, adapter, fell_back. tokens and text leave out the end token.\n\n"
     "The last line break of a prompt from a file or from standard input is dropped, unless --raw. "
     "Text such as \"<|im_end|>\" in a prompt becomes that token.",
     ENGINE | CLI_TAKES_PROMPT | CLI_TAKES_TALK | CLI_TAKES_SAMPLING | CLI_TAKES_NUMBERS |
         CLI_TAKES_WGSL | CLI_TAKES_JSON,
     cli_run},
    {"chat", "talk with a model",
     "A conversation, line by line. /help lists its commands; Ctrl-C stops an answer, Ctrl-D "
     "or /quit leaves.\v"
     "What was said stays in the KV cache: a further turn computes only what it adds. Lines are "
     "kept for the arrow keys in $XDG_STATE_HOME/solo/history (~/.local/state/solo/history).",
     ENGINE | CLI_TAKES_TALK | CLI_TAKES_SAMPLING | CLI_TAKES_NUMBERS, cli_chat},
    {"info", "what a model file holds", "Prints what a model file holds.",
     CLI_TAKES_MODEL | CLI_TAKES_JSON, cli_info},
    {"devices", "the adapters of this machine",
     "Lists the adapters that --device takes, by index or by a part of the name, best first.",
     CLI_TAKES_JSON, cli_devices},
    {"probe", "what a device can do, measured",
     "Measures what the choice of a factoring rests on: workgroups that run together, the cost of a "
     "dispatch, of a round trip, of a hand-off inside a dispatch by workgroups, read bandwidth; and of a submit, of "
     "copies, of arithmetic, and how wide a layer fits. Takes about five seconds.",
     CLI_TAKES_DEVICE | CLI_TAKES_PROBE | CLI_TAKES_JSON, cli_probe},
    {"explain", "how a plan runs a token: dispatches, stages, buffers",
     "Prints the plan for a model on a device: dispatches a token, the geometry of each stage, "
     "hand-offs inside dispatches, bytes read a token, buffers.",
     ENGINE | CLI_TAKES_NUMBERS | CLI_TAKES_WGSL | CLI_TAKES_JSON, cli_explain},
    {"tune", "time the factorings on a device and remember the best",
     "Probes the device, predicts what each factoring would cost, times the best few on the model's "
     "weights, and picks. `--factoring auto` of other commands then uses it without measuring.\v"
     "The answer is kept in $XDG_CACHE_HOME/solo/tune.json (~/.cache/solo/tune.json) by device, driver, "
     "model shape, numbers and context. auto measures by itself where nothing is kept.",
     ENGINE | CLI_TAKES_NUMBERS | CLI_TAKES_TUNE | CLI_TAKES_JSON, cli_tune},
    {"tokenize", "text on standard input to a JSON array of ids",
     "Prints the token ids of the text on standard input as a JSON array.",
     CLI_TAKES_MODEL | CLI_TAKES_SPECIAL | CLI_TAKES_BOS, cli_tokenize},
    {"detokenize", "a JSON array of ids on standard input to text",
     "Writes the bytes of the token ids in the JSON array on standard input.",
     CLI_TAKES_MODEL | CLI_TAKES_SPECIAL, cli_detokenize},
    {"logits", "the largest logits after a prompt, on the exact path",
     "Prints the largest logits after a prompt as JSON: {\"n_prompt\", \"top\": [{\"id\", "
     "\"text\", \"logit\"}]}. Activations and KV cache are f32. The prompt, from --prompt-file "
     "or standard input, is taken as it is: no chat template; special tokens in it become tokens.",
     ENGINE | CLI_TAKES_TOP, cli_logits},
    {"perplexity", "how well a model predicts a file",
     "Prints the perplexity of a text file: the exponential of the mean negative log likelihood of "
     "each token of a window but its first. Windows do not overlap; each starts afresh. Every "
     "position goes through the decode path, one step each.\v"
     "With --json: perplexity, n_token, n_scored, window, window_nll (sums of -ln p), activations, "
     "kv, factoring, adapter, fell_back, tok_s. --kl runs the exact path (f32 activations, f32 KV) "
     "beside the one asked for and adds exact_perplexity, kl_mean and kl_max (in nats, of the "
     "next-token distribution from the exact one), same_best (share of positions with the same "
     "likeliest token).",
     ENGINE | CLI_TAKES_SCORING | CLI_TAKES_NUMBERS | CLI_TAKES_JSON, cli_perplexity},
    {"bench", "decode speed of factorings, side by side",
     "Measures decode speed: every row open at once on one copy of the weights, each at its own "
     "geometry, clocks warm, samples in turn, medians and spread. Tokens must agree, and no row may "
     "pass the device's measured read bandwidth.\v"
     "Rows of the first row's geometry must write the same tokens; those of another geometry add in "
     "another order and must share the first 4; those of other activations are counted only. A row that "
     "does not open is printed with its error, and the command fails at the end.",
     ENGINE | CLI_TAKES_BENCH | CLI_TAKES_NUMBERS | CLI_TAKES_JSON, cli_bench},
    {"sweep", "experiments as data: specs of rows, checked and timed",
     "Measures the rows of specs (files, names of --list, or all) and writes each to the result as it comes: given "
     "again with the same result it goes on where it ended.\v"
     "Models are made as needed. A row's output is held to the C reference and, bit for bit, to the factoring "
     "stages at the same geometry: what is wrong has an error and no time. docs/sweep.md has specs and results; "
     "OUT.csv holds the rows as a table.",
     CLI_TAKES_DEVICE | CLI_TAKES_SWEEP, cli_sweep},
    {"plot", "a sweep's curve: tokens a second against dispatches a token",
     "Draws tokens a second against dispatches a token from a sweep's result, with the fitted costs of dispatches, "
     "hand-offs and stages. Needs gnuplot.",
     CLI_TAKES_PLOT | CLI_TAKES_JSON, cli_plot},
    {"synth", "a model file of a known shape with random weights",
     "Writes a model file of a known model's shape with random weights: for measuring speed where "
     "the real file is not at hand. It reads, runs and tokenizes like the real one, but writes "
     "nonsense.\v"
     "PRESET is phi-3-mini[:WINDOW] (WINDOW: how many positions a token attends to; 0: all; the "
     "real model's and the default: 2047), llama-3.2-1b, smollm2-135m, qwen2-0.5b, qwen3-0.6b, gpt2-small, "
     "gemma-3-270m, or toy:DxLxH: width, layers, heads, with a feed-forward part of 4 D and 1024 tokens.\n\n"
     "OUT is written beside its place and renamed when it is whole.",
     CLI_TAKES_SYNTH, cli_synth},
    {"convert", "a model file or folder written as a .gguf of another type",
     "Writes IN, a .gguf or a model's folder, as the .gguf OUT.\v"
     "Matrices become --type, but the embedding and the output matrix stay at 8 bits or more, and rows that "
     "blocks of 256 do not divide get the next larger type with blocks of 32. OUT is written beside its "
     "place and renamed when it is whole.",
     CLI_TAKES_CONVERT, cli_convert},
    {"pull", "fetch a model file and keep it",
     "Fetches a file and prints where it is kept. NAME is an address, or ORG/REPO:FILE of a model hub.\v"
     "A fetch that was cut goes on where it ended, also when the command is given again. The length, the SHA-256 (of "
     "--sha256, else what the hub says) and a GGUF's own directory are checked before the file gets its name. Kept in "
     "$SOLO_MODELS, else $XDG_DATA_HOME/solo/models (~/.local/share/solo/models).",
     CLI_TAKES_PULL, cli_pull},
    {"load", "how fast a model gets to a device, and what memory that takes",
     "Loads a model onto a device and tells bytes, seconds, rate, and the most memory of the program's own meanwhile "
     "(the mapped file's pages, which the system may drop, left out).",
     CLI_TAKES_MODEL | CLI_TAKES_DEVICE | CLI_TAKES_JSON, cli_load},
    {"models", "the files that pull keeps",
     "Lists the files that pull keeps: name, size, path. Their names, and parts of them that are in one name only, do "
     "where a command takes a MODEL.",
     CLI_TAKES_JSON, cli_models},
};

static const cli_command *find(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static void print_help(FILE *out) {
    fputs("Solo writes text with a language model on WebGPU.\n\n"
          "Usage: solo COMMAND [OPTION...] [MODEL]\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs("  help         this list, or a command's options: solo help run\n"
          "  version      the version\n\n"
          "MODEL is a .gguf file, a folder with a model of Hugging Face's or MLC's, or the name of a file that\n"
          "`solo pull` keeps, or a part of it. Each command takes --help.\n"
          "Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted.\n", out);
}

static int run_command(const cli_command *command, int argc, char **argv) {
    cli_options options = {0};
    cli_set_command(command->name);
    cli_options_parse(command, argc, argv, &options);
    const char **model = command->takes & CLI_TAKES_CONVERT ? &options.in : &options.model;
    char *found = *model ? cli_find_model(*model) : NULL;
    if (*model && !found) return CLI_FAILED;
    *model = found;
    int code = command->run(&options);
    free(found);
    return code;
}

int main(int argc, char **argv) {
    setlocale(LC_CTYPE, ""); /* for the line editor; numbers stay in the C locale */
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("solo " SOLO_VERSION);
        return cli_finish_output();
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "-?") == 0 ||
        (strcmp(name, "help") == 0 && argc == 2)) {
        print_help(stdout);
        return cli_finish_output();
    }
    if (strcmp(name, "help") == 0) {
        char help[] = "--help";
        const cli_command *of = find(argv[2]);
        if (of) return run_command(of, 2, (char *[]){argv[0], help, NULL});
        name = argv[2];
    }
    const cli_command *command = find(name);
    if (!command) {
        fprintf(stderr, "solo: wanted a command, found '%s'; `solo help` lists them\n", name);
        return CLI_USAGE;
    }
    return run_command(command, argc - 1, argv + 1);
}
