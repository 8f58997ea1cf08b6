// SPDX-License-Identifier: GPL-3.0-or-later
//
// options: see options.h. Contract: every argument is understood or named in `mistake`.
#include "control/options.h"

#include "base/limits.h"
#include "control/config_value.h"
#include "format/ensure.h"
#include <string.h>

void options_help(FILE *out)
{
    ensure(out != NULL);
    (void)fputs(
        "usage: ringtaped --config FILE [--check] [--print-counters EVERY]\n"
        "       ringtaped --seal STORE\n"
        "       ringtaped --probe [--config FILE]\n"
        "       ringtaped --take-in STORE\n"
        "       ringtaped --help | --help-config | --version\n"
        "\n"
        "Records exchanges completely and exactly into a store.\n"
        "\n"
        "  --config FILE           the configuration (YAML); - reads standard input\n"
        "  --check                 say whether the configuration is good, and end\n"
        "  --print-counters EVERY  one JSON line of counters on standard output, e.g. every 1s\n"
        "  --probe                 what is needed here and what of it there is, for ringtape\n"
        "                          doctor; records nothing\n"
        "  --seal STORE            record nothing; bring all tapes of a store into segments\n"
        "  --take-in STORE         record nothing; take in what `ringtape backfill` handed over\n"
        "  --help-config           every key of the configuration\n"
        "  --help, --version\n"
        "\n"
        "Signals: SIGTERM and SIGINT make everything durable and end; SIGHUP reads the\n"
        "configuration again.\n"
        "Exit codes: 0 good, 64 usage, 69 the kernel lacks something, 73 the store cannot be\n"
        "used, 74 not everything became durable, 78 configuration.\n",
        out);
}

static void options_wrong(struct options *options, const char *what, const char *argument)
{
    if (options->action == OPTIONS_MISTAKE) return; // the first is enough
    options->action = OPTIONS_MISTAKE;
    (void)snprintf(options->mistake, sizeof options->mistake, "%s: %.100s", what, argument);
}

static void options_act(struct options *options, enum options_action action, const char *argument)
{
    if (options->action != OPTIONS_RUN)
        options_wrong(options, "does not go with what stands before it", argument);
    else
        options->action = action;
}

// The value of "--name VALUE" or "--name=VALUE"; NULL: `argument` is another option or lacks it.
static const char *options_value(struct options *options, const char *name, int count,
                                 char *const *arguments, int *at)
{
    const char *argument = arguments[*at];
    size_t size = strlen(name);
    if (strncmp(argument, name, size) != 0) return NULL;
    if (argument[size] == '=') return argument + size + 1;
    if (argument[size] != '\0') return NULL;
    if (*at + 1 < count) return arguments[++*at];
    options_wrong(options, "needs a value", argument);
    return NULL;
}

static bool options_plain(struct options *options, const char *argument)
{
    static const struct {
        const char *name;
        enum options_action action;
    } known[] = {{"--check", OPTIONS_CHECK},
                 {"--probe", OPTIONS_PROBE},
                 {"--version", OPTIONS_VERSION},
                 {"--help", OPTIONS_HELP},
                 {"--help-config", OPTIONS_HELP_CONFIG}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(argument, known[i].name) != 0) continue;
        options_act(options, known[i].action, argument);
        return true;
    }
    return false;
}

static bool options_valued(struct options *options, int count, char *const *arguments, int *at)
{
    const char *value = options_value(options, "--config", count, arguments, at);
    if (value != NULL) {
        if (options->config != NULL) options_wrong(options, "stands there twice", "--config");
        options->config = value;
        return true;
    }
    value = options_value(options, "--seal", count, arguments, at);
    if (value != NULL) {
        options_act(options, OPTIONS_SEAL, "--seal");
        options->seal = value;
        return true;
    }
    value = options_value(options, "--take-in", count, arguments, at);
    if (value != NULL) {
        options_act(options, OPTIONS_TAKE_IN, "--take-in");
        options->seal = value;
        return true;
    }
    value = options_value(options, "--print-counters", count, arguments, at);
    if (value == NULL) return options->action == OPTIONS_MISTAKE;
    if (!config_value_duration(value, &options->counters_every_ns) ||
        options->counters_every_ns < 100 * LIMIT_MILLISECOND_NS)
        options_wrong(options, "--print-counters: expected a duration from 100ms, found", value);
    return true;
}

void options_parse(struct options *options, int count, char *const *arguments)
{
    memset(options, 0, sizeof *options);
    for (int at = 1; at < count && options->action != OPTIONS_MISTAKE; at++) {
        if (options_plain(options, arguments[at])) continue;
        if (options_valued(options, count, arguments, &at)) continue;
        options_wrong(options, "unknown option", arguments[at]);
    }
    bool needs = options->action == OPTIONS_RUN || options->action == OPTIONS_CHECK;
    if (needs && options->config == NULL) options_wrong(options, "is missing", "--config FILE");
}
