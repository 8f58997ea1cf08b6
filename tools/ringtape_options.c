// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every mistake is one line that says what was wrong, what would be right, and where help is.
#include "tools/ringtape_options.h"

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct ringtape_options_state {
    const struct ringtape_usage *usage;
    int64_t now_ns;
    bool given[RINGTAPE_OPTIONS_MAX];
    bool argument_given;
};

__attribute__((format(printf, 2, 3))) static bool
ringtape_options_wrong(const struct ringtape_options_state *state, const char *format, ...)
{
    va_list arguments;
    (void)fprintf(stderr, "ringtape %s: ", state->usage->command);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, " (see 'ringtape %s --help')\n", state->usage->command);
    return false;
}

// ---- help ----

static void ringtape_options_help_option(const struct ringtape_option *option)
{
    char left[64];
    (void)snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
                   option->value ? option->value : "");
    (void)printf("  %-22s ", left);
    for (const char *c = option->help; *c != 0; c++) {
        (void)putchar(*c);
        if (*c == '\n') (void)printf("  %-22s ", "");
    }
    (void)putchar('\n');
}

static void ringtape_options_help(const struct ringtape_usage *usage)
{
    static const struct ringtape_option help = {.name = "help", .help = "this text"};
    (void)printf("usage: ringtape %s", usage->command);
    for (uint32_t i = 0; i < usage->option_count; i++) {
        const struct ringtape_option *option = &usage->options[i];
        if (option->required) (void)printf(" --%s %s", option->name, option->value);
    }
    (void)printf(" [OPTION...]%s%s\n\n%s\n\n", usage->argument ? " " : "",
                 usage->argument ? usage->argument : "", usage->purpose);
    for (uint32_t i = 0; i < usage->option_count; i++)
        ringtape_options_help_option(&usage->options[i]);
    ringtape_options_help_option(&help);
}

// ---- values ----

static bool ringtape_options_list(const struct ringtape_options_state *state, const char *name,
                                  struct ringtape_option_list *list, char *text)
{
    char *rest = NULL;
    for (char *item = strtok_r(text, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        if (list->count == RINGTAPE_OPTIONS_LIST_MAX)
            return ringtape_options_wrong(state, "--%s: more than %d values", name,
                                          RINGTAPE_OPTIONS_LIST_MAX);
        list->text[list->count++] = item;
    }
    // An empty variable of a shell must not mean "all".
    return list->count > 0 || ringtape_options_wrong(state, "--%s is empty", name);
}

static bool ringtape_options_count(const char *text, uint64_t *count)
{
    uint64_t value = 0;
    if (*text == 0) return false;
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9') return false;
        if (__builtin_mul_overflow(value, 10u, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value)) return false;
    }
    *count = value;
    return true;
}

static bool ringtape_options_value(const struct ringtape_options_state *state,
                                   const struct ringtape_option *option, char *text)
{
    switch (option->kind) {
    case RINGTAPE_OPTION_FLAG:
        *(bool *)option->target = true;
        return true;
    case RINGTAPE_OPTION_TEXT:
        *(const char **)option->target = text;
        return *text != 0 || ringtape_options_wrong(state, "--%s is empty", option->name);
    case RINGTAPE_OPTION_LIST:
        return ringtape_options_list(state, option->name, option->target, text);
    case RINGTAPE_OPTION_TIME:
        return time_text_parse(text, state->now_ns, option->target) ||
               ringtape_options_wrong(state,
                                      "--%s: '%s' is not a time; write 2024-08-08T12:00:00Z, "
                                      "2024-08-08, now, or -1h30m",
                                      option->name, text);
    case RINGTAPE_OPTION_COUNT:
        return ringtape_options_count(text, option->target) ||
               ringtape_options_wrong(state, "--%s: '%s' is not a number", option->name, text);
    }
    ensure(false);
    return false;
}

// ---- arguments ----

static const struct ringtape_option *ringtape_options_find(const struct ringtape_usage *usage,
                                                           const char *name, size_t size)
{
    for (uint32_t i = 0; i < usage->option_count; i++) {
        const char *known = usage->options[i].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0) return &usage->options[i];
    }
    return NULL;
}

// One option at argv[*at]; moves *at to its last argument.
static bool ringtape_options_take(struct ringtape_options_state *state, int argc, char **argv,
                                  int *at)
{
    const struct ringtape_usage *usage = state->usage;
    char *name = argv[*at] + 2;
    char *equals = strchr(name, '=');
    const size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const struct ringtape_option *option = ringtape_options_find(usage, name, size);
    if (option == NULL)
        return ringtape_options_wrong(state, "unknown option '--%.*s'", (int)size, name);
    bool *given = &state->given[option - usage->options];
    if (*given && option->kind != RINGTAPE_OPTION_LIST)
        return ringtape_options_wrong(state, "--%s is given twice", option->name);
    *given = true;
    if (option->kind == RINGTAPE_OPTION_FLAG) {
        if (equals) return ringtape_options_wrong(state, "--%s takes no value", option->name);
        return ringtape_options_value(state, option, NULL);
    }
    if (equals) return ringtape_options_value(state, option, equals + 1);
    if (*at + 1 == argc)
        return ringtape_options_wrong(state, "--%s needs a value: %s", option->name, option->value);
    return ringtape_options_value(state, option, argv[++*at]);
}

static bool ringtape_options_argument(struct ringtape_options_state *state, const char *text)
{
    if (state->usage->argument == NULL)
        return ringtape_options_wrong(state, "unexpected argument '%s'", text);
    if (state->argument_given)
        return ringtape_options_wrong(state, "one %s only, not also '%s'", state->usage->argument,
                                      text);
    *state->usage->argument_target = text;
    state->argument_given = true;
    return true;
}

static bool ringtape_options_complete(const struct ringtape_options_state *state)
{
    const struct ringtape_usage *usage = state->usage;
    for (uint32_t i = 0; i < usage->option_count; i++) {
        const struct ringtape_option *option = &usage->options[i];
        if (option->required && !state->given[i])
            return ringtape_options_wrong(state, "--%s %s is missing", option->name,
                                          option->value);
    }
    if (usage->argument && !state->argument_given)
        return ringtape_options_wrong(state, "%s is missing", usage->argument);
    return true;
}

static bool ringtape_options_run(struct ringtape_options_state *state, int argc, char **argv,
                                 bool *help)
{
    bool options = true;
    for (int at = 0; at < argc; at++) {
        const char *text = argv[at];
        if (options && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)) {
            *help = true;
            return false;
        }
        if (options && strcmp(text, "--") == 0) {
            options = false;
        } else if (options && strncmp(text, "--", 2) == 0) {
            if (!ringtape_options_take(state, argc, argv, &at)) return false;
        } else if (options && text[0] == '-' && text[1] != 0) {
            return ringtape_options_wrong(state, "unknown option '%s'", text);
        } else if (!ringtape_options_argument(state, text)) {
            return false;
        }
    }
    return ringtape_options_complete(state);
}

bool ringtape_options_parse(const struct ringtape_usage *usage, int argc, char **argv,
                            int64_t now_ns, int *exit_code)
{
    ensure(usage->option_count <= RINGTAPE_OPTIONS_MAX);
    struct ringtape_options_state state = {.usage = usage, .now_ns = now_ns};
    bool help = false;
    if (ringtape_options_run(&state, argc, argv, &help)) return true;
    if (help) ringtape_options_help(usage);
    *exit_code = help ? ringtape_finish_output(RINGTAPE_EXIT_OK) : RINGTAPE_EXIT_USAGE;
    return false;
}
