// SPDX-License-Identifier: GPL-3.0-or-later
//
// Groups 6.5 to 6.23: texts that are UTF-8 and texts that are not. In the order of Markus Kuhn's
// decoder stress test, which the public cases follow.
#include "tests/websocket_cases.h"

#define LIST(...)                                                                                 \
    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),                                   \
        (const char *const[]) { __VA_ARGS__ }

static const struct websocket_text_case texts[] = {
    {"6.5.1", "characters of one to four bytes", true,
     LIST("68656c6c6f24776f726c64", "68656c6c6fc2a2776f726c64", "68656c6c6fe282ac776f726c64",
          "68656c6c6ff0a4ada2776f726c64", "cebae1bdb9cf83cebcceb5")},
    {"6.6.1", "a text up to any of its bytes", false,
     LIST("ce")},
    {"6.6.2", "a text up to any of its bytes", true,
     LIST("ceba")},
    {"6.6.3", "a text up to any of its bytes", false,
     LIST("cebae1")},
    {"6.6.4", "a text up to any of its bytes", false,
     LIST("cebae1bd")},
    {"6.6.5", "a text up to any of its bytes", true,
     LIST("cebae1bdb9")},
    {"6.6.6", "a text up to any of its bytes", false,
     LIST("cebae1bdb9cf")},
    {"6.6.7", "a text up to any of its bytes", true,
     LIST("cebae1bdb9cf83")},
    {"6.6.8", "a text up to any of its bytes", false,
     LIST("cebae1bdb9cf83ce")},
    {"6.6.9", "a text up to any of its bytes", true,
     LIST("cebae1bdb9cf83cebc")},
    {"6.6.10", "a text up to any of its bytes", false,
     LIST("cebae1bdb9cf83cebcce")},
    {"6.6.11", "a text up to any of its bytes", true,
     LIST("cebae1bdb9cf83cebcceb5")},
    {"6.7.1", "first of each length", true,
     LIST("00", "c280", "e0a080", "f0908080")},
    {"6.8.1", "first of five and six bytes", false,
     LIST("f888808080", "fc8480808080")},
    {"6.9.1", "last of each length", true,
     LIST("7f", "dfbf", "efbfbf", "f48fbfbf")},
    {"6.10.1", "last of four to six bytes, beyond the last character", false,
     LIST("f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf")},
    {"6.11.1", "beside the borders", true,
     LIST("ed9fbf", "ee8080", "efbfbd", "f48fbfbf")},
    {"6.11.5", "the first beyond the last", false,
     LIST("f4908080")},
    {"6.12.1", "continuation of nothing", false,
     LIST("80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf",
          "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7"
          "a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbe")},
    {"6.13.1", "beginnings without an end", false,
     LIST("c020c120c220c320c420c520c620c720c820c920ca20cb20cc20cd20ce20cf20d020d120d220d320"
          "d420d520d620d720d820d920da20db20dc20dd20de20",
          "e020e120e220e320e420e520e620e720e820e920ea20eb20ec20ed20ee20",
          "f020f120f220f320f420f520f620", "f820f920fa20", "fc20")},
    {"6.14.1", "the last byte is missing", false,
     LIST("c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf",
          "fdbfbfbfbf")},
    {"6.15.1", "all of these together", false,
     LIST("c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf")},
    {"6.16.1", "bytes that never occur", false,
     LIST("fe", "ff", "fefeffff")},
    {"6.17.1", "longer than needed, ASCII", false,
     LIST("c0af", "e080af", "f08080af", "f8808080af", "fc80808080af")},
    {"6.18.1", "longer than needed, the highest", false,
     LIST("c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf")},
    {"6.19.1", "longer than needed, NUL", false,
     LIST("c080", "e08080", "f0808080", "f880808080", "fc8080808080")},
    {"6.20.1", "one surrogate", false,
     LIST("eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf")},
    {"6.21.1", "a pair of surrogates", false,
     LIST("eda080edb080", "eda080edbfbf", "edadbfedb080", "edadbfedbfbf", "edae80edb080",
          "edae80edbfbf", "edafbfedb080", "edafbfedbfbf")},
    {"6.22.1", "code points that are no characters", true,
     LIST("efbfbe", "efbfbf", "f09fbfbe", "f09fbfbf", "f0afbfbe", "f0afbfbf", "f0bfbfbe",
          "f0bfbfbf", "f18fbfbe", "f18fbfbf", "f19fbfbe", "f19fbfbf", "f1afbfbe",
          "f1afbfbf", "f1bfbfbe", "f1bfbfbf", "f28fbfbe", "f28fbfbf", "f29fbfbe",
          "f29fbfbf", "f2afbfbe", "f2afbfbf", "f2bfbfbe", "f2bfbfbf", "f38fbfbe",
          "f38fbfbf", "f39fbfbe", "f39fbfbf", "f3afbfbe", "f3afbfbf", "f3bfbfbe",
          "f3bfbfbf", "f48fbfbe", "f48fbfbf")},
    {"6.23.1", "special characters", true,
     LIST("efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf")},
};

const struct websocket_text_case *websocket_text_cases(uint32_t *count)
{
    *count = sizeof texts / sizeof texts[0];
    return texts;
}
