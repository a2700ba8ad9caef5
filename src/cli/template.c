/* template.c: a conversation through the model's chat template, with what --tools and --vars add. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

bool cli_render(const cli_options *options, const solo_model *model, const solo_message *messages, uint32_t n,
                char **text, solo_error *err) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) {
        json_t *content = cli_json_text(messages[i].content, strlen(messages[i].content));
        json_array_append_new(list, json_pack("{s:s, s:o}", "role", messages[i].role, "content", content));
    }
    char *dump = json_dumps(list, JSON_COMPACT);
    /* No clock: a template that writes the date keeps its own, so that a seed gives the same text tomorrow. */
    solo_chat_desc desc = {.messages = dump, .tools = options->tools, .variables = options->vars,
                           .add_generation_prompt = true};
    bool ok = solo_chat_render_json(model, &desc, text, err);
    free(dump);
    json_decref(list);
    return ok;
}
