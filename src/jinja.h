/* jinja.h: renders the Jinja templates that models bring for conversations, as Hugging Face's
 * transformers sets Jinja up: blocks trimmed and stripped, loop controls, raise_exception,
 * strftime_now, tojson without HTML escapes. What a template cannot do here is refused with the line
 * and what was found. Steps, memory and output are bounded. */
#ifndef SOLO_JINJA_H
#define SOLO_JINJA_H

#include "base.h"

typedef struct solo_jinja_var {
    const char *name; /* NULL: json is an object, and each of its members a variable */
    solo_str    json; /* borrowed for the call */
} solo_jinja_var;

typedef struct solo_jinja_desc {
    solo_str    text;  /* the template */
    const char *label; /* names it in messages */
    const solo_jinja_var *var;
    uint32_t    n_var;
    int64_t     now;   /* seconds since 1970, in local time, for strftime_now; 0: the template gets none */
} solo_jinja_desc;

/* Appends to out. Fails with UNSUPPORTED where the template itself refuses (raise_exception) or needs
 * something that is not here, with ARGUMENT where a variable is no JSON. */
bool solo_jinja_render(const solo_jinja_desc *desc, solo_text *out, solo_error *err);

/* Appends text as a JSON string. Bytes that are no UTF-8 stay as they are. */
void solo_json_add_str(solo_text *out, solo_str text, bool only_ascii);

#endif
