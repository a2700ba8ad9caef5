/* test_chat.c: chat templates: each family's real template is recognised, others are not, and every
 * family renders as Jinja does (tests/vectors/chat.txt, made by tools/chat_vectors.py). */
#include "tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *source_path(const char *rest, char out[600]) {
    const char *root = getenv("SOLO_SOURCE");
    snprintf(out, 600, "%s/%s", root ? root : ".", rest);
    return out;
}

static char *read_file(const char *rest, size_t *n) {
    char path[600];
    FILE *f = fopen(source_path(rest, path), "rb");
    if (!f) fail_msg("%s is missing", path);
    size_t cap = 1 << 20;
    char *at = solo_alloc(cap);
    *n = fread(at, 1, cap - 1, f);
    assert_true(feof(f));
    fclose(f);
    at[*n] = 0;
    return at;
}

static const char *const names[] = {
    "smollm2", "qwen2",    "qwen2.5", "chatml", "llama3.1",   "llama3",       "llama2",  "phi3.5",
    "phi3",    "phi3-bos", "phi3-v1", "gemma3", "gemma",      "mistral-v3",   "mistral", "zephyr",
    "mistral-v0.1",
};

static void real_templates_are_recognised(void **state) {
    (void)state;
    for (uint32_t i = 0; i < SOLO_COUNT(names); i++) {
        char rest[200];
        size_t n;
        snprintf(rest, sizeof rest, "tests/data/chat/%s.jinja", names[i]);
        char *text = read_file(rest, &n);
        assert_string_equal(solo_chat_family_of((solo_str){text, n}), names[i]);
        /* No part of a template is taken for the whole: a third of it may be another family's. */
        for (size_t cut = 0; cut < n * 2 / 3; cut += 1 + n / 60) {
            assert_string_equal(solo_chat_family_of((solo_str){text, cut}), "unknown");
        }
        free(text);
    }
}

static void spellings_that_mean_the_same(void **state) {
    (void)state;
    solo_str chatml = SOLO_STR(
        "{#- a comment '}} -#}{%- for message in messages -%}\n  {{- \"<|im_start|>\" + "
        "message.role + \"\\n\" + message.content + \"<|im_end|>\" + \"\\n\" -}}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- \"<|im_start|>assistant\\n\" -}}{%- endif -%}");
    assert_string_equal(solo_chat_family_of(chatml), "chatml");
}

#define TURN \
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
#define PROMPT "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

static void others_are_unknown(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "hello", "{{", "{%", "{#", "{{ '", "{{ messages }}", "'<|im_start|>'",
        /* ChatML with a default system message that Solo does not know */
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are Dolphin.<|im_end|>\n' }}{% endif %}" TURN "{% endfor %}"
        PROMPT,
        "{% if not messages[0].role == 'system' %}{{ 'x' }}{% endif %}"
        "{% for message in messages %}" TURN "{% endfor %}" PROMPT,
        /* a leading token of its own */
        "{{ bos_token }}{% for message in messages %}" TURN "{% endfor %}" PROMPT,
        /* Phi-4 */
        "{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|im_start|>user"
        "<|im_sep|>' + message['content'] + '<|im_end|>'}}{% endif %}{% endfor %}",
        /* Vicuna, Alpaca */
        "{% for message in messages %}{% if message['role'] == 'user' %}{{ 'USER: ' + "
        "message['content'] }}{% else %}{{ 'ASSISTANT: ' + message['content'] }}{% endif %}"
        "{% endfor %}",
        "{{ '### Instruction:\n' + messages[0]['content'] + '\n\n### Response:\n' }}",
        /* an early Llama 2 with a default system message */
        "{% set system_message = 'You are a helpful, respectful and honest assistant.' %}"
        "{{ '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] }}"
        "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{{ ' ' + content.strip() + ' ' + eos_token }}",
        /* StableLM's, like Zephyr's with another end */
        "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<|user|>\n' + "
        "message['content'] + '<|endoftext|>' }}{% endif %}{% endfor %}",
        /* spaces inside a string count */
        "{{ bos_token }}{{ '[INST]' + message['content'] + '[/INST]' }}{{ message['content'] + "
        "eos_token }}",
    };
    for (uint32_t i = 0; i < SOLO_COUNT(texts); i++) {
        const char *found = solo_chat_family_of((solo_str){texts[i], strlen(texts[i])});
        if (strcmp(found, "unknown") != 0) fail_msg("text %u: found %s", i, found);
    }
    assert_string_equal(solo_chat_family_of((solo_str){"\0<|im_start|>", 13}), "unknown");
}

/* ---- against Jinja ------------------------------------------------------------------------ */

static size_t unescape(char *text) {
    size_t n = 0;
    if (strcmp(text, "-") == 0) text[0] = 0;
    for (size_t i = 0; text[i];) {
        if (text[i] == '\\') {
            char hex[3] = {text[i + 2], text[i + 3], 0};
            text[n++] = (char)strtoul(hex, NULL, 16);
            i += 4;
        } else {
            text[n++] = text[i++];
        }
    }
    text[n] = 0;
    return n;
}

static char *cut_word(char **at) {
    char *word = *at;
    char *end = strchr(word, ' ');
    *at = end ? end + 1 : word + strlen(word);
    if (end) *end = 0;
    return word;
}

static void expect_line(char *line, int number) {
    char *at = line;
    bool renders = strcmp(cut_word(&at), "render") == 0;
    const char *family = cut_word(&at);
    bool prompt = *cut_word(&at) == '1';
    char *want = renders ? cut_word(&at) : NULL;
    if (want) unescape(want);
    solo_message messages[16];
    uint32_t n = 0;
    while (*at) {
        assert_true(n < SOLO_COUNT(messages));
        messages[n].role = cut_word(&at);
        char *content = cut_word(&at);
        unescape(content);
        messages[n++].content = content;
    }
    solo_error err = {0};
    solo_text out = {0};
    bool ok = solo_chat_family_render(family, messages, n, "<s>", "</s>", prompt, &out, &err);
    if (ok != renders) fail_msg("line %d, %s: %s", number, family, ok ? "not refused" : err.text);
    if (ok && strcmp(out.at, want) != 0) {
        fail_msg("line %d, %s: wanted \"%s\", found \"%s\"", number, family, want, out.at);
    }
    if (!ok) {
        assert_true(err.status == SOLO_ARGUMENT || err.status == SOLO_UNSUPPORTED);
        assert_true(strlen(err.text) > 20);
    }
    free(out.at);
}

static void renders_as_jinja_does(void **state) {
    (void)state;
    size_t n_file;
    char *file = read_file("tests/vectors/chat.txt", &n_file);
    int number = 0, n_render[SOLO_COUNT(names)] = {0};
    for (char *at = file, *next; *at; at = next) {
        next = strchr(at, '\n');
        *next++ = 0;
        number++;
        if (*at == '#') continue;
        for (uint32_t i = 0; i < SOLO_COUNT(names); i++) {
            size_t n = strlen(names[i]);
            if (strncmp(at, "render ", 7) == 0 && strncmp(at + 7, names[i], n) == 0 &&
                at[7 + n] == ' ') {
                n_render[i]++;
            }
        }
        expect_line(at, number);
    }
    for (uint32_t i = 0; i < SOLO_COUNT(names); i++) {
        if (n_render[i] < 12) fail_msg("%s: only %d conversations", names[i], n_render[i]);
    }
    free(file);
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void expect_refusal(const char *family, const solo_message *messages, uint32_t n,
                           solo_status status, const char *wanted) {
    solo_error err = {0};
    solo_text out = {0};
    assert_false(solo_chat_family_render(family, messages, n, "<s>", "</s>", true, &out, &err));
    if (err.status != status || !strstr(err.text, wanted)) {
        fail_msg("wanted \"%s\", found \"%s\"", wanted, err.text);
    }
    assert_null(out.at);
}

static void refusals_say_why(void **state) {
    (void)state;
    solo_message hi[] = {{"user", "hi"}, {"user", "hi"}};
    solo_message system[] = {{"system", "s"}, {"user", "hi"}};
    solo_message tool[] = {{"tool", "s"}};
    expect_refusal("unknown", hi, 1, SOLO_UNSUPPORTED, "--raw");
    expect_refusal("none", hi, 1, SOLO_UNSUPPORTED, "--raw");
    expect_refusal("vicuna", hi, 1, SOLO_UNSUPPORTED, "found \"vicuna\"");
    expect_refusal("chatml", hi, 0, SOLO_ARGUMENT, "found none");
    expect_refusal("chatml", tool, 1, SOLO_ARGUMENT, "found \"tool\"");
    expect_refusal("gemma", system, 2, SOLO_UNSUPPORTED, "no place for a system message");
    expect_refusal("llama2", hi, 2, SOLO_ARGUMENT, "messages[1].role");
    expect_refusal("gemma3", system, 1, SOLO_ARGUMENT, "wants a user message");
}

static void texts_of_tokens_may_be_missing(void **state) {
    (void)state;
    solo_message hi[] = {{"user", "hi"}};
    solo_text out = {0};
    assert_true(solo_chat_family_render("llama2", hi, 1, NULL, NULL, true, &out, NULL));
    assert_string_equal(out.at, "[INST] hi [/INST]");
    free(out.at);
    out = (solo_text){0};
    /* What a user writes is never taken for the table's marks of bos and eos. */
    hi[0].content = "\x01\x02";
    assert_true(solo_chat_family_render("chatml", hi, 1, "<s>", "</s>", false, &out, NULL));
    assert_string_equal(out.at, "<|im_start|>user\n\x01\x02<|im_end|>\n");
    free(out.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_templates_are_recognised),
        cmocka_unit_test(spellings_that_mean_the_same),
        cmocka_unit_test(others_are_unknown),
        cmocka_unit_test(renders_as_jinja_does),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(texts_of_tokens_may_be_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
