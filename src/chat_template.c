/* chat_template.c: conversations as the text that a model was trained on: the file's own Jinja
 * template (jinja.c) with the variables that Hugging Face's transformers gives it. */
#include "jinja.h"
#include "model.h"

/* ---- the family's name -------------------------------------------------------------------- */

/* For show only: what a template writes around turns. The first row that fits. */
static const struct {
    const char *name, *writes, *too;
} families[] = {
    {"chatml", "<|im_start|>", ""},
    {"llama3", "<|start_header_id|>", ""},
    {"llama2", "[INST]", "<<SYS>>"},
    {"mistral", "[INST]", ""},
    {"phi3", "<|end|>", "<|user|>"},
    {"phi3", "<|end|>", "'<|' + message['role']"},
    {"gemma", "<start_of_turn>", ""},
    {"zephyr", "<|user|>", "<|assistant|>"},
};

static bool contains(solo_str text, const char *part) {
    size_t n = strlen(part);
    for (size_t i = 0; n <= text.n && i <= text.n - n; i++) {
        if (memcmp(text.at + i, part, n) == 0) return true;
    }
    return false;
}

const char *solo_chat_family_of(solo_str template_text) {
    for (uint32_t i = 0; i < SOLO_COUNT(families); i++) {
        if (contains(template_text, families[i].writes) && contains(template_text, families[i].too)) {
            return families[i].name;
        }
    }
    return "custom";
}

/* ---- rendering ---------------------------------------------------------------------------- */

/* The text of a special token as JSON; "" for none. Malloc'd. */
static char *special_json(const solo_tokenizer *tok, int64_t id) {
    solo_text json = {0};
    size_t n = 0;
    const char *at = id < 0 ? "" : solo_tokenizer_bytes(tok, (uint32_t)id, true, &n);
    solo_json_add_str(&json, (solo_str){at, n}, false);
    return json.at;
}

static solo_str str_of(const char *text) { return (solo_str){text, strlen(text)}; }

bool solo_chat_template_render(solo_str template_text, const solo_tokenizer *tok, const solo_chat_desc *desc,
                               solo_text *out, solo_error *err) {
    char *bos = special_json(tok, solo_tokenizer_bos(tok)), *eos = special_json(tok, solo_tokenizer_eos(tok));
    /* What the caller names comes last: it wins. */
    solo_jinja_var var[] = {
        {"bos_token", str_of(bos)},
        {"eos_token", str_of(eos)},
        {"messages", str_of(desc->messages ? desc->messages : "[]")},
        {"tools", str_of(desc->tools ? desc->tools : "null")},
        {"documents", SOLO_STR("null")},
        {"add_generation_prompt", str_of(desc->add_generation_prompt ? "true" : "false")},
        {NULL, str_of(desc->variables ? desc->variables : "{}")},
    };
    solo_jinja_desc jinja = {.text = template_text, .label = "tokenizer.chat_template", .var = var,
                             .n_var = SOLO_COUNT(var), .now = desc->now};
    bool ok = solo_jinja_render(&jinja, out, err);
    free(bos);
    free(eos);
    return ok;
}

bool solo_chat_render_json(const solo_model *model, const solo_chat_desc *desc, char **text, solo_error *err) {
    solo_text out = {0};
    *text = NULL;
    if (!model->chat_template) {
        return solo_fail(err, SOLO_UNSUPPORTED, "tokenizer.chat_template: wanted one, the file has none; use --raw to "
                         "write the prompt yourself");
    }
    if (!solo_chat_template_render(str_of(model->chat_template), model->tokenizer, desc, &out, err)) {
        free(out.at);
        return false;
    }
    *text = out.at;
    return true;
}

bool solo_chat_render(const solo_model *model, const solo_message *messages, uint32_t n_messages,
                      bool add_generation_prompt, char **text, solo_error *err) {
    solo_text json = {0};
    solo_text_add(&json, "[");
    for (uint32_t i = 0; i < n_messages; i++) {
        solo_text_add(&json, i ? ", {\"role\": " : "{\"role\": ");
        solo_json_add_str(&json, str_of(messages[i].role), false);
        solo_text_add(&json, ", \"content\": ");
        solo_json_add_str(&json, str_of(messages[i].content), false);
        solo_text_add(&json, "}");
    }
    solo_text_add(&json, "]");
    solo_chat_desc desc = {.messages = json.at, .add_generation_prompt = add_generation_prompt};
    bool ok = solo_chat_render_json(model, &desc, text, err);
    free(json.at);
    return ok;
}
