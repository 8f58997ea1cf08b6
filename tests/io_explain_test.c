// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/io_explain.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(io_explain, every_reason_names_its_remedy)
{
    static const struct {
        int error;
        int disabled;
        const char *reason;
        const char *remedy;
    } rows[] = {
        {-ENOSYS, 0, "without io_uring", "Linux 6.1"},
        {-EINVAL, 0, "5.10.0 is too old", "Linux 6.1"},
        {-EPERM, 2, "io_uring_disabled = 2", "sysctl -w kernel.io_uring_disabled=0"},
        {-EPERM, 1, "io_uring_disabled = 1", "sysctl -w kernel.io_uring_disabled=0"},
        {-EPERM, 0, "seccomp", "--security-opt"},
        {-EACCES, -1, "seccomp", "--security-opt"},
        {-ENOMEM, 0, "65536 bytes", "ulimit -l"},
        {-EMFILE, 0, "no file handle", "ulimit -n"},
        {-EFAULT, 0, "Bad address", "5.10.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct io_explain_facts facts = {
            .kernel = "5.10.0", .disabled = rows[i].disabled, .memlock_bytes = 65536};
        struct io_message message;
        io_explain(&message, &facts, "io_uring_setup", rows[i].error);
        cr_assert(strstr(message.text, rows[i].reason) != NULL, "%zu: %s", i, message.text);
        cr_assert(strstr(message.text, rows[i].remedy) != NULL, "%zu: %s", i, message.text);
        cr_assert_lt(strlen(message.text), sizeof message.text - 1, "row %zu is cut off", i);
    }
}

Test(io_explain, a_missing_operation_is_named)
{
    struct io_explain_facts facts;
    struct io_message message;
    io_explain_facts(&facts);
    cr_assert_gt(strlen(facts.kernel), 0);
    io_explain_operation(&message, &facts, "mkdirat");
    cr_assert(strstr(message.text, "mkdirat") != NULL);
    cr_assert(strstr(message.text, facts.kernel) != NULL);
    char list[16] = "";
    io_explain_list(list, sizeof list, "renameat");
    io_explain_list(list, sizeof list, "recv");
    io_explain_list(list, sizeof list, "mkdirat"); // does not fit
    cr_assert_str_eq(list, "renameat, recv");
}
