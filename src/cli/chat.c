/* chat.c: `solo chat`: a conversation, line by line. Editing and history are libedit's; where
 * standard input is not a terminal, lines are read as they are and no prompt is shown. Each turn
 * renders the whole conversation again; the session keeps the KV cache up to where that differs. */
#include "cli.h"

#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    N_TOKEN_DEFAULT = 1024,
    N_ROOM = 32, /* tokens: the least place for an answer */
    N_HISTORY = 1000,
};

typedef struct chat {
    cli_engine    engine;
    const cli_options *options;
    solo_message *messages; /* [n_message], system first where there is one; contents malloc'd */
    uint32_t      n_message, cap;
    cli_answer    last;
    uint32_t      n_turn, n_written; /* answers and their tokens since the start or /reset */
    bool          has_terminal;
    EditLine     *edit; /* NULL where standard input is not a terminal */
    History      *history;
    char         *history_path; /* NULL: not kept */
    char         *line; /* of getline */
    size_t        n_line;
} chat;

/* ---- the conversation --------------------------------------------------------------------- */

static bool add_message(chat *c, const char *role, const char *content) {
    if (c->n_message == c->cap) {
        uint32_t cap = c->cap ? c->cap * 2 : 16;
        solo_message *grown = realloc(c->messages, cap * sizeof *grown);
        if (!grown) return cli_fail_text("no memory for the conversation"), false;
        c->messages = grown;
        c->cap = cap;
    }
    char *copy = strdup(content);
    if (!copy) return cli_fail_text("no memory for the conversation"), false;
    c->messages[c->n_message++] = (solo_message){role, copy};
    return true;
}

static void remove_messages(chat *c, uint32_t from, uint32_t n) {
    for (uint32_t i = from; i < from + n; i++) free((char *)(uintptr_t)c->messages[i].content);
    memmove(c->messages + from, c->messages + from + n,
            (c->n_message - from - n) * sizeof *c->messages);
    c->n_message -= n;
}

static uint32_t n_system(const chat *c) {
    return c->n_message > 0 && strcmp(c->messages[0].role, "system") == 0 ? 1 : 0;
}

/* False: told. */
static bool set_system(chat *c, const char *text) {
    remove_messages(c, 0, n_system(c));
    if (!text[0]) return true;
    if (!add_message(c, "system", text)) return false;
    solo_message system = c->messages[c->n_message - 1];
    memmove(c->messages + 1, c->messages, (c->n_message - 1) * sizeof *c->messages);
    c->messages[0] = system;
    return true;
}

/* The ids of the conversation up to where the answer begins. */
static bool conversation_ids(const chat *c, uint32_t **ids, uint32_t *n_ids, solo_error *err) {
    char *text;
    if (!cli_render(c->options, c->engine.model, c->messages, c->n_message, &text, err)) return false;
    bool ok = solo_tokenize(c->engine.model, text, strlen(text), true, true, ids, n_ids, err);
    free(text);
    return ok;
}

/* The same, without the oldest turns where all of them would leave no room for an answer. */
static bool fitting_ids(chat *c, uint32_t **ids, uint32_t *n_ids, solo_error *err) {
    uint32_t n_ctx = solo_session_get_info(c->engine.session).n_ctx;
    uint32_t n_dropped = 0;
    for (;;) {
        if (!conversation_ids(c, ids, n_ids, err)) return false;
        if (*n_ids + N_ROOM <= n_ctx) break;
        free(*ids);
        *ids = NULL;
        if (c->n_message < n_system(c) + 3) {
            snprintf(err->text, sizeof err->text,
                     "the message is %u tokens long, which leaves no room for an answer in a "
                     "context of %u; --ctx sets it",
                     *n_ids, n_ctx);
            err->status = SOLO_CONTEXT_FULL;
            return false;
        }
        remove_messages(c, n_system(c), 2);
        n_dropped++;
    }
    if (n_dropped)
        cli_note("the context is full: left out the oldest %u turn%s", n_dropped,
                 n_dropped > 1 ? "s" : "");
    return true;
}

/* One turn. False where the device failed and the chat cannot go on. */
static bool answer(chat *c, const char *text) {
    solo_error err = {0};
    uint32_t  *ids = NULL, n_ids = 0;
    if (!add_message(c, "user", text)) return true;
    if (!fitting_ids(c, &ids, &n_ids, &err)) {
        cli_fail(&err);
        remove_messages(c, c->n_message - 1, 1);
        return true;
    }
    cli_answer_clear(&c->last);
    bool ok =
        cli_generate(&c->engine, ids, n_ids, c->options->has_n ? c->options->n : N_TOKEN_DEFAULT,
                     stdout, &c->last, &err);
    free(ids);
    const char *reason = c->last.finish_reason;
    if (ok && strcmp(reason, "length") == 0) fputs(" ...", stdout);
    if (ok && strcmp(reason, "interrupted") == 0) fputs(" ^C", stdout);
    putchar('\n');
    if (c->has_terminal) putchar('\n');
    fflush(stdout);
    cli_engine_tell_fallback(&c->engine);
    if (!ok) return cli_fail(&err), false;
    c->n_turn++;
    c->n_written += c->last.n_ids;
    if (!add_message(c, "assistant", c->last.text)) remove_messages(c, c->n_message - 1, 1);
    return true;
}

/* ---- commands ----------------------------------------------------------------------------- */

static void tell_stats(const chat *c) {
    if (c->n_turn == 0) {
        puts("no answer yet");
        return;
    }
    solo_session_info info = solo_session_get_info(c->engine.session);
    cli_answer_tell(&c->last, &c->engine);
    printf("%u answer%s, %u tokens written; context %u of %u\n", c->n_turn,
           c->n_turn == 1 ? "" : "s", c->n_written, info.n_past, info.n_ctx);
}

enum { GO_ON, LEAVE };

static int command(chat *c, const char *line) {
    size_t n = strcspn(line, " \t");
    const char *rest = line + n + strspn(line + n, " \t");
    if (strncmp(line, "/quit", n) == 0 && n == 5) return LEAVE;
    if (strncmp(line, "/exit", n) == 0 && n == 5) return LEAVE;
    if (strncmp(line, "/reset", n) == 0 && n == 6) {
        remove_messages(c, n_system(c), c->n_message - n_system(c));
        c->n_turn = c->n_written = 0;
        puts("the conversation starts anew");
    } else if (strncmp(line, "/stats", n) == 0 && n == 6) {
        tell_stats(c);
    } else if (strncmp(line, "/system", n) == 0 && n == 7) {
        if (rest[0]) set_system(c, rest);
        printf("system: %s\n", n_system(c) ? c->messages[0].content : "(the template's own)");
    } else {
        if (strcmp(line, "/help") != 0) printf("no command '%.*s'\n", (int)n, line);
        puts("/help          this list\n"
             "/reset         forget the conversation, keep the system message\n"
             "/stats         tokens, speed and context of the last answer\n"
             "/system TEXT   set the system message; without TEXT show it\n"
             "/quit          leave; so does Ctrl-D. Ctrl-C stops an answer.");
    }
    fflush(stdout);
    return GO_ON;
}

/* ---- lines -------------------------------------------------------------------------------- */

static const char *prompt_text(EditLine *edit) {
    (void)edit;
    return "> ";
}

/* $XDG_STATE_HOME or ~/.local/state, then solo/history; makes the folders. NULL: nowhere. */
static char *find_history_path(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char  *path = NULL;
    size_t n;
    FILE  *out = open_memstream(&path, &n);
    if (!out) return NULL;
    if (state && state[0] == '/') fprintf(out, "%s/solo/history", state);
    else if (home && home[0] == '/') fprintf(out, "%s/.local/state/solo/history", home);
    fclose(out);
    if (n == 0) {
        free(path);
        return NULL;
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            free(path);
            return NULL;
        }
        *slash = '/';
    }
    return path;
}

/* Ctrl-C while a line is typed is a key (open_editor turns the terminal's signal off for that
 * time): it drops the line. A signal would be swallowed, as libedit reads on after one. */
static bool is_cancelled;

static unsigned char cancel_line(EditLine *edit, int key) {
    (void)edit, (void)key;
    is_cancelled = true;
    fputs("^C\n", stdout);
    return CC_NEWLINE;
}

static bool open_editor(chat *c) {
    HistEvent event;
    c->edit = el_init("solo", stdin, stdout, stderr);
    c->history = history_init();
    if (!c->edit || !c->history)
        return cli_fail_text("the line editor does not start on this terminal"), false;
    history(c->history, &event, H_SETSIZE, N_HISTORY);
    history(c->history, &event, H_SETUNIQUE, 1);
    el_set(c->edit, EL_PROMPT, prompt_text);
    el_set(c->edit, EL_EDITOR, "emacs");
    el_set(c->edit, EL_HIST, history, c->history);
    el_source(c->edit, NULL); /* ~/.editrc; having none is no error */
    el_set(c->edit, EL_SETTY, "-d", "-isig", NULL);
    el_set(c->edit, EL_ADDFN, "solo-cancel-line", "Drop the line", cancel_line);
    el_set(c->edit, EL_BIND, "^C", "solo-cancel-line", NULL);
    /* A Ctrl-D typed before the editor took the terminal over arrives as a NUL. */
    el_set(c->edit, EL_BIND, "^@", "ed-end-of-file", NULL);
    c->history_path = find_history_path();
    if (c->history_path) history(c->history, &event, H_LOAD, c->history_path);
    return true;
}

static void close_editor(chat *c) {
    HistEvent event;
    if (c->history && c->history_path) history(c->history, &event, H_SAVE, c->history_path);
    if (c->history) history_end(c->history);
    if (c->edit) el_end(c->edit);
    free(c->history_path);
    free(c->line);
}

static const char *edit_line(chat *c) {
    int n;
    const char *line;
    do {
        is_cancelled = false;
        el_set(c->edit, EL_PREP_TERM, 1); /* el_gets does so after it has shown the prompt: late */
        line = el_gets(c->edit, &n);
    } while (is_cancelled);
    return n > 0 ? line : NULL;
}

/* The next line without its end, in memory of *c; NULL at the end of the input. */
static char *next_line(chat *c) {
    HistEvent   event;
    const char *line = NULL;
    if (c->edit) {
        line = edit_line(c);
        if (!line) return NULL;
        if (line[strspn(line, " \t\n")] != '\0') history(c->history, &event, H_ENTER, line);
        free(c->line);
        c->line = strdup(line);
    } else if (getline(&c->line, &c->n_line, stdin) < 0) {
        return NULL;
    }
    if (c->line) c->line[strcspn(c->line, "\r\n")] = '\0';
    return c->line;
}

static int talk(chat *c) {
    char *line;
    while ((line = next_line(c))) {
        line += strspn(line, " \t");
        if (line[0] == '\0') continue;
        if (line[0] == '/') {
            if (command(c, line) == LEAVE) break;
        } else if (!answer(c, line)) {
            return CLI_FAILED;
        }
        if (ferror(stdout)) break;
    }
    if (c->edit && !line) putchar('\n');
    return cli_finish_output();
}

/* Whether the file has a template that Solo knows, before anyone types a message. */
static bool check_template(const chat *c) {
    solo_error   err = {0};
    char        *text;
    solo_message hello = {"user", "hello"};
    if (!cli_render(c->options, c->engine.model, &hello, 1, &text, &err))
        return cli_fail_text("%s; `solo run --raw` needs no template", err.text), false;
    free(text);
    return true;
}

int cli_chat(const cli_options *options) {
    chat c = {.options = options};
    int  code = CLI_FAILED;
    cli_interrupt_install(false);
    c.has_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!cli_engine_open_model(&c.engine, options) || !check_template(&c)) goto done;
    if (!cli_engine_open_session(&c.engine, options)) goto done;
    if (options->system && !set_system(&c, options->system)) goto done;
    if (c.has_terminal) {
        if (!open_editor(&c)) goto done;
        cli_interrupt_install(true);
        solo_model_info info = solo_model_get_info(c.engine.model);
        printf("%s on %s%s. /help lists commands, Ctrl-D leaves.\n\n", info.name,
               c.engine.device_info.name,
               c.engine.device_info.is_software ? " (software adapter)" : "");
        fflush(stdout);
    }
    code = talk(&c);
done:
    close_editor(&c);
    remove_messages(&c, 0, c.n_message);
    free(c.messages);
    cli_answer_clear(&c.last);
    cli_engine_close(&c.engine);
    return code;
}
