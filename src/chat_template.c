/* chat_template.c: conversations as the text that a model was trained on. A GGUF holds a Jinja
 * template; Solo has no Jinja. It knows families of templates as rows of data: what a template must
 * contain, word for word, to be of the family, and what it then writes around each message. A
 * template that fits no row is "unknown" and is not rendered. tests/test_chat.c compares each row
 * with Jinja's rendering of the real template. */
#include "tokenizer.h"
#include "unicode.h"

/* ---- families ----------------------------------------------------------------------------- */

#define BOS "\x01" /* in the strings below: the text of the model's token */
#define EOS "\x02"

typedef enum system_rule {
    SYSTEM_TURN,       /* a turn like others, anywhere */
    SYSTEM_TURN_FIRST, /* a turn, as the first message only */
    SYSTEM_INTO_FIRST, /* written into the first user turn */
    SYSTEM_INTO_LAST,  /* written into the last message if that is the user's, else nowhere */
    SYSTEM_NONE        /* refused */
} system_rule;

typedef struct family {
    const char *name;
    const char *has[5];   /* all of these, in the canonical spelling that canonical() makes */
    const char *lacks[6]; /* none of these */
    const char *start;    /* before everything */
    const char *system_head, *system_tail, *user_head, *user_tail;
    const char *assistant_head, *assistant_tail;
    const char *prompt;   /* where the assistant is to go on */
    const char *end;      /* where it is not */
    const char *default_system; /* the system message where the first is not one; NULL: none */
    system_rule system;
    bool trims_system, trims_user, trims_assistant; /* white space around the content */
    bool trims_joined;    /* user: around system and content together */
    bool skips_empty_system;
    bool alternates;      /* refuses turns other than user, assistant, user, ... */
} family;

#define CHATML_TURN "'<|im_start|>'+message['role']+'\n'+message['content']+'<|im_end|>'+'\n'"
#define CHATML_PROMPT "{%ifadd_generation_prompt%}{{'<|im_start|>assistant\n'}}{%endif%}"
#define CHATML_WRITES                                                            \
    .system_head = "<|im_start|>system\n", .system_tail = "<|im_end|>\n",        \
    .user_head = "<|im_start|>user\n", .user_tail = "<|im_end|>\n",              \
    .assistant_head = "<|im_start|>assistant\n", .assistant_tail = "<|im_end|>\n", \
    .prompt = "<|im_start|>assistant\n"

#define SMOLLM2_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN2_SYSTEM "You are a helpful assistant."
#define QWEN25_SYSTEM "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define CHATML_DEFAULT(text) "'<|im_start|>system\n" text "<|im_end|>\n'"

#define LLAMA3_TURN                                                               \
    "'<|start_header_id|>'+message['role']+'<|end_header_id|>\n\n'+message['content']|trim" \
    "+'<|eot_id|>'"
#define LLAMA3_HEAD(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define LLAMA3_WRITES                                                             \
    .start = BOS, .system_tail = "<|eot_id|>",                                    \
    .user_head = LLAMA3_HEAD("user"), .user_tail = "<|eot_id|>",                  \
    .assistant_head = LLAMA3_HEAD("assistant"), .assistant_tail = "<|eot_id|>",   \
    .prompt = LLAMA3_HEAD("assistant"),                                           \
    .trims_system = true, .trims_user = true, .trims_assistant = true

#define PHI3_WRITES                                                    \
    .system_head = "<|system|>\n", .system_tail = "<|end|>\n",         \
    .user_head = "<|user|>\n", .user_tail = "<|end|>\n",               \
    .assistant_head = "<|assistant|>\n", .assistant_tail = "<|end|>\n", \
    .prompt = "<|assistant|>\n", .end = EOS
#define PHI3_TURNS                                                         \
    "'<|system|>\n'+message['content']+'<|end|>\n'",                       \
    "'<|user|>\n'+message['content']+'<|end|>\n'",                         \
    "'<|assistant|>\n'+message['content']+'<|end|>\n'",                    \
    "{{'<|assistant|>\n'}}{%else%}{{eos_token}}"
#define PHI3_SKIPS "message['role']=='system'andmessage['content']"

#define GEMMA_WRITES                                                              \
    .start = BOS, .user_head = "<start_of_turn>user\n", .user_tail = "<end_of_turn>\n", \
    .assistant_head = "<start_of_turn>model\n", .assistant_tail = "<end_of_turn>\n",    \
    .prompt = "<start_of_turn>model\n", .trims_user = true, .trims_assistant = true,    \
    .alternates = true

static const family families[] = {
    {.name = "smollm2", .has = {CHATML_TURN, CHATML_PROMPT, CHATML_DEFAULT(SMOLLM2_SYSTEM),
                                "loop.firstandmessages[0]['role']!='system'"},
     .lacks = {"bos_token", "eos_token"}, CHATML_WRITES, .default_system = SMOLLM2_SYSTEM},
    {.name = "qwen2", .has = {CHATML_TURN, CHATML_PROMPT, CHATML_DEFAULT(QWEN2_SYSTEM),
                              "loop.firstandmessages[0]['role']!='system'"},
     .lacks = {"bos_token", "eos_token"}, CHATML_WRITES, .default_system = QWEN2_SYSTEM},
    {.name = "qwen2.5", .has = {CHATML_TURN, "'<|im_start|>assistant\n'", "message['tool_calls']",
                                CHATML_DEFAULT(QWEN25_SYSTEM),
                                "'<|im_start|>system\n'+messages[0]['content']+'<|im_end|>\n'"},
     .lacks = {"bos_token", "eos_token", "<think>"}, CHATML_WRITES,
     .default_system = QWEN25_SYSTEM},
    {.name = "chatml", .has = {CHATML_TURN, CHATML_PROMPT},
     .lacks = {"bos_token", "eos_token", "messages[0]", "loop.first", "system", "loop.index"},
     CHATML_WRITES},
    {.name = "llama3.1", .has = {LLAMA3_TURN, "'Cutting Knowledge Date: December 2023\n'",
                                 "'Today Date: '+date_string+'\n\n'",
                                 "setdate_string='26 Jul 2024'", "{{bos_token}}"},
     LLAMA3_WRITES, .system = SYSTEM_TURN_FIRST, .default_system = "",
     /* The template's own date where its caller gives it none and there is no clock. */
     .system_head = LLAMA3_HEAD("system") "Cutting Knowledge Date: December 2023\n"
                    "Today Date: 26 Jul 2024\n\n"},
    {.name = "llama3", .has = {LLAMA3_TURN, "setcontent=bos_token+content",
                               "{%ifadd_generation_prompt%}{{'" LLAMA3_HEAD("assistant") "'}}"},
     .lacks = {"Cutting Knowledge", "'system'"}, LLAMA3_WRITES,
     .system_head = LLAMA3_HEAD("system")},
    {.name = "llama2", .has = {"'<<SYS>>\n'+system_message+'\n<</SYS>>\n\n'+message['content']",
                               "bos_token+'[INST] '+content.strip()+' [/INST]'",
                               "' '+content.strip()+' '+eos_token"},
     .lacks = {"helpful, respectful"}, /* an early version's default system message */
     .system = SYSTEM_INTO_FIRST, .system_head = "<<SYS>>\n", .system_tail = "\n<</SYS>>\n\n",
     .user_head = BOS "[INST] ", .user_tail = " [/INST]",
     .assistant_head = " ", .assistant_tail = " " EOS,
     .trims_joined = true, .trims_assistant = true, .alternates = true},
    {.name = "phi3.5", .has = {PHI3_TURNS, PHI3_SKIPS}, .lacks = {"bos_token"}, PHI3_WRITES,
     .skips_empty_system = true},
    {.name = "phi3", .has = {PHI3_TURNS}, .lacks = {"bos_token", PHI3_SKIPS}, PHI3_WRITES},
    {.name = "phi3-bos", .has = {"{{bos_token}}{%formessageinmessages%}",
                                 "'<|'+message['role']+'|>'+'\n'+message['content']+'<|end|>\n'",
                                 "{{'<|assistant|>\n'}}{%else%}{{eos_token}}"},
     PHI3_WRITES, .start = BOS},
    {.name = "phi3-v1", .has = {"{{bos_token}}{%formessageinmessages%}",
                                "'<|user|>'+'\n'+message['content']+'<|end|>'+'\n'"
                                "+'<|assistant|>'+'\n'",
                                "{{message['content']+'<|end|>'+'\n'}}"},
     .start = BOS, .system = SYSTEM_NONE,
     .user_head = "<|user|>\n", .user_tail = "<|end|>\n<|assistant|>\n",
     .assistant_tail = "<|end|>\n"},
    {.name = "gemma3", .has = {"{{bos_token}}",
                               "setfirst_user_prefix=messages[0]['content']+'\n\n'",
                               "'<start_of_turn>'+role+'\n'+(first_user_prefixifloop.firstelse'')",
                               "{{message['content']|trim}}", "{{'<end_of_turn>\n'}}"},
     GEMMA_WRITES, .system = SYSTEM_INTO_FIRST, .system_tail = "\n\n"},
    {.name = "gemma", .has = {"{{bos_token}}", "System role not supported",
                              "'<start_of_turn>'+role+'\n'+message['content']|trim"
                              "+'<end_of_turn>\n'"},
     GEMMA_WRITES, .system = SYSTEM_NONE},
    {.name = "mistral-v3", .has = {"{{bos_token}}",
                                   "'[INST] '+system_message+'\n\n'+message['content']+'[/INST]'",
                                   "'[INST] '+message['content']+'[/INST]'",
                                   "loop.lastandsystem_messageisdefined",
                                   "' '+message['content']|trim+eos_token"},
     .start = BOS, .system = SYSTEM_INTO_LAST, .system_tail = "\n\n", .user_head = "[INST] ",
     .user_tail = "[/INST]", .assistant_head = " ", .assistant_tail = EOS,
     .trims_assistant = true, .alternates = true},
    {.name = "mistral-v0.1", .has = {"{{bos_token}}", "'[INST] '+message['content']+' [/INST]'",
                                     "{{message['content']+eos_token+' '}}"},
     .lacks = {"system_message", "'system'"}, .start = BOS, .system = SYSTEM_NONE,
     .user_head = "[INST] ", .user_tail = " [/INST]", .assistant_tail = EOS " ",
     .alternates = true},
    {.name = "mistral", .has = {"{{bos_token}}", "'[INST] '+message['content']+' [/INST]'",
                                "{{message['content']+eos_token}}"},
     .lacks = {"system_message", "'system'"}, .start = BOS, .system = SYSTEM_NONE,
     .user_head = "[INST] ", .user_tail = " [/INST]", .assistant_tail = EOS, .alternates = true},
    {.name = "zephyr", .has = {"{{'<|user|>\n'+message['content']+eos_token}}\n",
                               "{{'<|system|>\n'+message['content']+eos_token}}\n",
                               "{{'<|assistant|>\n'+message['content']+eos_token}}\n",
                               "{{'<|assistant|>'}}\n{%endif%}\n{%endfor%}"},
     .lacks = {"bos_token"}, .system_head = "<|system|>\n", .system_tail = EOS "\n",
     .user_head = "<|user|>\n", .user_tail = EOS "\n", .assistant_head = "<|assistant|>\n",
     .assistant_tail = EOS "\n", .prompt = "<|assistant|>\n"},
};

/* ---- recognising -------------------------------------------------------------------------- */

static bool starts(solo_str text, size_t at, const char *with) {
    size_t n = strlen(with);
    return n <= text.n - at && memcmp(text.at + at, with, n) == 0;
}

/* One spelling for what templates write in several: inside {{ }} and {% %} no white space and no
 * dash that trims, 'single' quotes, "\n" as a line feed, message['x'] for message.x; comments
 * vanish. Text outside tags is kept. */
static void canonical(solo_str in, solo_text *out) {
    bool in_tag = false;
    char quote = 0;
    solo_text_add_n(out, "", 0);
    for (size_t i = 0; i < in.n;) {
        char c = in.at[i];
        if (!in_tag && starts(in, i, "{#")) {
            while (i < in.n && !starts(in, i, "#}")) i++;
            i += i < in.n ? 2 : 0;
        } else if (!in_tag && (starts(in, i, "{{") || starts(in, i, "{%"))) {
            in_tag = true;
            solo_text_add_n(out, in.at + i, 2);
            i += 2;
            if (starts(in, i, "-")) i++;
        } else if (in_tag && !quote && (starts(in, i, "-}}") || starts(in, i, "-%}"))) {
            i++;
        } else if (in_tag && !quote && (starts(in, i, "}}") || starts(in, i, "%}"))) {
            in_tag = false;
            solo_text_add_n(out, in.at + i, 2);
            i += 2;
        } else if (in_tag && starts(in, i, "\\n")) {
            solo_text_add_n(out, "\n", 1);
            i += 2;
        } else if (in_tag && (c == '\'' || c == '"') && (!quote || quote == c)) {
            quote = quote ? 0 : c;
            solo_text_add_n(out, "'", 1);
            i++;
        } else if (in_tag && !quote && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            i++;
        } else if (in_tag && !quote && starts(in, i, "message.")) {
            size_t from = i + 8, to = from;
            while (to < in.n && ((in.at[to] >= 'a' && in.at[to] <= 'z') || in.at[to] == '_')) to++;
            solo_text_add(out, "message['%.*s']", (int)(to - from), in.at + from);
            i = to;
        } else {
            solo_text_add_n(out, in.at + i, 1);
            i++;
        }
    }
}

static bool fits(const family *f, const char *text) {
    for (uint32_t i = 0; i < SOLO_COUNT(f->has) && f->has[i]; i++) {
        if (!strstr(text, f->has[i])) return false;
    }
    for (uint32_t i = 0; i < SOLO_COUNT(f->lacks) && f->lacks[i]; i++) {
        if (strstr(text, f->lacks[i])) return false;
    }
    return true;
}

const char *solo_chat_family_of(solo_str template_text) {
    solo_text text = {0};
    const char *name = "unknown";
    canonical(template_text, &text);
    for (uint32_t i = 0; text.at && i < SOLO_COUNT(families); i++) {
        if (fits(&families[i], text.at)) {
            name = families[i].name;
            break;
        }
    }
    free(text.at);
    return name;
}

/* ---- rendering ---------------------------------------------------------------------------- */

/* Python's str.strip(): White_Space and the four separators U+001C to U+001F. */
static bool is_trimmed(uint32_t code) {
    return (code >= 0x1C && code <= 0x1F) || solo_unicode_class_of(code) == SOLO_UNICODE_SPACE;
}

static solo_str trim(solo_str text) {
    while (text.n > 0) {
        uint32_t code;
        size_t length = solo_utf8_decode(text.at, text.n, &code);
        if (!is_trimmed(code)) break;
        text = (solo_str){text.at + length, text.n - length};
    }
    while (text.n > 0) {
        size_t from = text.n - 1;
        while (from > 0 && text.n - from < 4 && ((uint8_t)text.at[from] & 0xC0) == 0x80) from--;
        uint32_t code;
        if (solo_utf8_decode(text.at + from, text.n - from, &code) != text.n - from) break;
        if (!is_trimmed(code)) break;
        text.n = from;
    }
    return text;
}

/* A family's string, BOS and EOS filled in. */
static void add(solo_text *out, const char *text, const char *bos, const char *eos) {
    for (; text && *text; text++) {
        if (*text == BOS[0]) solo_text_add_n(out, bos, strlen(bos));
        else if (*text == EOS[0]) solo_text_add_n(out, eos, strlen(eos));
        else solo_text_add_n(out, text, 1);
    }
}

static void add_content(solo_text *out, const char *content, bool trims) {
    solo_str text = {content, strlen(content)};
    if (trims) text = trim(text);
    solo_text_add_n(out, text.at, text.n);
}

static bool is_role(const solo_message *m, const char *role) { return strcmp(m->role, role) == 0; }

static bool check(const family *f, const solo_message *messages, uint32_t n, solo_error *err) {
    if (n == 0) return solo_fail(err, SOLO_ARGUMENT, "conversation: wanted a message, found none");
    uint32_t first = is_role(&messages[0], "system") ? 1 : 0;
    if (first == 1 && f->system == SYSTEM_NONE) {
        return solo_fail(err, SOLO_UNSUPPORTED, "messages[0]: the chat template \"%s\" has no "
                         "place for a system message", f->name);
    }
    for (uint32_t i = 0; i < n; i++) {
        const solo_message *m = &messages[i];
        bool user = is_role(m, "user"), assistant = is_role(m, "assistant");
        if (!user && !assistant && !is_role(m, "system")) {
            return solo_fail(err, SOLO_ARGUMENT, "messages[%u].role: wanted \"system\", \"user\" "
                             "or \"assistant\", found \"%.100s\"", i, m->role);
        }
        if (is_role(m, "system") && i > 0 && f->system != SYSTEM_TURN) {
            return solo_fail(err, SOLO_UNSUPPORTED, "messages[%u]: the chat template \"%s\" has a "
                             "place for a system message only at the start", i, f->name);
        }
        if (i >= first && f->alternates && user != ((i - first) % 2 == 0)) {
            return solo_fail(err, SOLO_ARGUMENT, "messages[%u].role: the chat template \"%s\" "
                             "wants user and assistant in turn, user first; found \"%s\"", i, f->name,
                             m->role);
        }
    }
    if (first == n && f->system == SYSTEM_INTO_FIRST) {
        return solo_fail(err, SOLO_ARGUMENT, "conversation: the chat template \"%s\" wants a user "
                         "message after the system message, found none", f->name);
    }
    return true;
}

typedef struct render {
    const family *f;
    const char   *bos, *eos;
    solo_text    *out;
} render;

static void add_system(const render *r, const char *content) {
    if (r->f->skips_empty_system && !*content) return;
    add(r->out, r->f->system_head, r->bos, r->eos);
    add_content(r->out, content, r->f->trims_system);
    add(r->out, r->f->system_tail, r->bos, r->eos);
}

/* system: what is to be written into this turn, or NULL. */
static void add_user(const render *r, const char *content, const char *system) {
    add(r->out, r->f->user_head, r->bos, r->eos);
    if (r->f->trims_joined) {
        solo_text joined = {0};
        render inner = {r->f, r->bos, r->eos, &joined};
        if (system) add_system(&inner, system);
        add_content(&joined, content, false);
        if (joined.at) add_content(r->out, joined.at, true);
        free(joined.at);
    } else {
        if (system) add_system(r, system);
        add_content(r->out, content, r->f->trims_user);
    }
    add(r->out, r->f->user_tail, r->bos, r->eos);
}

static void add_assistant(const render *r, const char *content) {
    add(r->out, r->f->assistant_head, r->bos, r->eos);
    add_content(r->out, content, r->f->trims_assistant);
    add(r->out, r->f->assistant_tail, r->bos, r->eos);
}

bool solo_chat_family_render(const char *name, const solo_message *messages, uint32_t n_messages,
                             const char *bos_text, const char *eos_text,
                             bool add_generation_prompt, solo_text *out, solo_error *err) {
    const family *f = NULL;
    for (uint32_t i = 0; i < SOLO_COUNT(families); i++) {
        if (strcmp(families[i].name, name) == 0) f = &families[i];
    }
    if (!f && strcmp(name, "none") == 0) {
        return solo_fail(err, SOLO_UNSUPPORTED, "tokenizer.chat_template: wanted one, the file has "
                         "none; use --raw to write the prompt yourself");
    }
    if (!f) {
        return solo_fail(err, SOLO_UNSUPPORTED, "tokenizer.chat_template: wanted a family that "
                         "Solo can render, found \"%.100s\"; use --raw to write the prompt yourself",
                         name);
    }
    if (!check(f, messages, n_messages, err)) return false;
    render r = {f, bos_text ? bos_text : "", eos_text ? eos_text : "", out};
    bool has_system = is_role(&messages[0], "system");
    bool own_turn = f->system == SYSTEM_TURN || f->system == SYSTEM_TURN_FIRST;
    uint32_t first = has_system && !own_turn ? 1 : 0;
    uint32_t taker = f->system == SYSTEM_INTO_FIRST ? 1 : n_messages - 1;
    add(out, f->start, r.bos, r.eos);
    if (!has_system && f->default_system) add_system(&r, f->default_system);
    for (uint32_t i = first; i < n_messages; i++) {
        const solo_message *m = &messages[i];
        if (is_role(m, "system")) {
            add_system(&r, m->content);
        } else if (is_role(m, "user")) {
            add_user(&r, m->content, first == 1 && i == taker ? messages[0].content : NULL);
        } else {
            add_assistant(&r, m->content);
        }
    }
    add(out, add_generation_prompt ? f->prompt : f->end, r.bos, r.eos);
    solo_text_add_n(out, "", 0);
    return true;
}
