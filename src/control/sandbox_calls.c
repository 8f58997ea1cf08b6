// SPDX-License-Identifier: GPL-3.0-or-later
//
// The filter of system calls; see sandbox.h. Three answers:
//
//   - what a running daemon needs, with its libraries, is allowed;
//   - what only an intruder could want ends the process by SIGSYS, which the kernel logs (audit,
//     type 1326) and the service manager answers with a restart: starting a program, looking into
//     other processes, mounting, modules, changing user, another ring;
//   - everything else, a call of a library of tomorrow among it, fails with ENOSYS, as on a kernel
//     that does not have it: years of recording must not end with an upgrade of the C library.
//
// Written as a table of its own: libseccomp would be one more library inside the static build for
// what are two hundred lines here, and knows names, not arguments by mask in one rule.
//
// seccomp(2) sees numbers and registers, never memory: a path, an address or the flags of clone3(2)
// cannot be judged. clone3 therefore fails with ENOSYS, and the C library takes clone(2).
#include "control/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format/ensure.h"

#if defined(__x86_64__)
#define CALLS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CALLS_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "name the architecture of linux/audit.h"
#endif

static const uint16_t calls_allowed[] = {
    // Rings that are there; handles.
    SYS_io_uring_enter, SYS_io_uring_register, SYS_read, SYS_write, SYS_readv, SYS_writev,
    SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_close, SYS_fcntl, SYS_dup, SYS_dup3, SYS_pipe2,
    SYS_pwritev2, // a line of the log that nobody waits for (RWF_NOWAIT)
    SYS_eventfd2, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_ppoll, SYS_pselect6,
    SYS_memfd_create, SYS_ioctl,
    // Files; what is written where is for Landlock.
    SYS_openat, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_getdents64,
    SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_mkdirat, SYS_renameat, SYS_renameat2,
    SYS_unlinkat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_flock, SYS_getcwd,
    SYS_fadvise64, SYS_msync,
    // Memory.
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_mlock, SYS_munlock, SYS_mincore,
    SYS_membarrier,
    // Threads, signals, time.
    SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_set_tid_address, SYS_gettid, SYS_getpid,
    SYS_getppid, SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_getcpu,
    SYS_sched_getparam, SYS_sched_getscheduler, SYS_exit, SYS_exit_group, SYS_wait4,
    SYS_restart_syscall, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_clock_gettime, SYS_clock_getres,
    SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom,
    // Sockets, of the kinds below.
    SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_getsockname, SYS_getpeername,
    SYS_setsockopt, SYS_getsockopt, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg,
    SYS_sendmmsg, SYS_recvmmsg, SYS_shutdown,
    // Who and where it is.
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_uname, SYS_sysinfo, SYS_getrusage,
    SYS_times, SYS_getrlimit,
#ifdef __x86_64__ // what newer architectures never had
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rename, SYS_unlink,
    SYS_rmdir, SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_pipe, SYS_dup2,
    SYS_time, SYS_arch_prctl,
#endif
};

static const uint16_t calls_fatal[] = {
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
    SYS_kcmp, SYS_pidfd_getfd, SYS_pidfd_send_signal,
    SYS_io_uring_setup, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd,
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_open_tree, SYS_move_mount, SYS_fsopen,
    SYS_fsmount, SYS_mount_setattr, SYS_unshare, SYS_setns, SYS_open_by_handle_at, SYS_mknodat,
    SYS_swapon, SYS_swapoff, SYS_quotactl,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load,
    SYS_reboot, SYS_syslog, SYS_acct, SYS_add_key, SYS_request_key, SYS_keyctl,
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid,
    SYS_setgroups, SYS_setfsuid, SYS_setfsgid, SYS_capset, SYS_personality,
    SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname,
    SYS_setdomainname, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
#ifdef __x86_64__
    SYS_fork, SYS_vfork, SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_mknod,
#endif
};

// Allowed where (argument & mask) is one of the values; else the answer.
struct calls_rule {
    uint16_t call;
    uint8_t argument;
    uint32_t mask;
    uint8_t count;
    uint32_t values[4];
    uint32_t otherwise;
};

#define FAILS(error) (SECCOMP_RET_ERRNO | (error))

enum { CALLS_OWN = 2 }; // rules whose value is this process's number

static const struct calls_rule calls_rules[] = {
    {SYS_tgkill, 0, UINT32_MAX, 1, {0}, SECCOMP_RET_KILL_PROCESS}, // abort(3)
    {SYS_prlimit64, 0, UINT32_MAX, 2, {0, 0}, FAILS(EPERM)},
    // Threads, no processes.
    {SYS_clone, 0, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, 1,
     {CLONE_THREAD | CLONE_VM | CLONE_SIGHAND}, SECCOMP_RET_KILL_PROCESS},
    {SYS_socket, 0, UINT32_MAX, 4, {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}, FAILS(EAFNOSUPPORT)},
    {SYS_socketpair, 0, UINT32_MAX, 1, {AF_UNIX}, FAILS(EAFNOSUPPORT)},
    // Memory is written or executed: what is mapped to be executed comes from a file.
    {SYS_mmap, 2, PROT_WRITE | PROT_EXEC, 3, {0, PROT_WRITE, PROT_EXEC}, FAILS(EACCES)},
    {SYS_mprotect, 2, PROT_EXEC, 1, {0}, FAILS(EACCES)},
    {SYS_prctl, 0, UINT32_MAX, 3, {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE}, FAILS(EINVAL)},
};

// ---- the program ----

struct calls_program {
    uint16_t size;
    struct sock_filter code[1024];
};

static void emit(struct calls_program *program, struct sock_filter instruction)
{
    ensure(program->size < sizeof program->code / sizeof program->code[0]);
    program->code[program->size++] = instruction;
}

static void emit_return(struct calls_program *program, uint32_t answer)
{
    emit(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
}

static void emit_load(struct calls_program *program, size_t offset)
{
    emit(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

// Where what is loaded is `value`, that is the answer.
static void emit_case(struct calls_program *program, uint32_t value, uint32_t answer)
{
    emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    emit_return(program, answer);
}

static void emit_rule(struct calls_program *program, const struct calls_rule *rule, bool own)
{
    const uint8_t behind = (uint8_t)(2 + 2 * rule->count + 1);
    ensure(rule->count <= sizeof rule->values / sizeof rule->values[0] && rule->argument < 6);
    emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, behind));
    // The lower half: both architectures are little-endian, and the kernel takes no more of these.
    emit_load(program, offsetof(struct seccomp_data, args) + rule->argument * sizeof(uint64_t));
    emit(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask));
    for (uint8_t i = 0; i < rule->count; i++) {
        const bool last = i + 1 == rule->count;
        emit_case(program, own && last ? (uint32_t)getpid() : rule->values[i], SECCOMP_RET_ALLOW);
    }
    emit_return(program, rule->otherwise);
}

static void calls_assemble(struct calls_program *program)
{
    program->size = 0;
    emit_load(program, offsetof(struct seccomp_data, arch));
    emit(program,
         (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS_ARCHITECTURE, 1, 0));
    emit_return(program, SECCOMP_RET_KILL_PROCESS);
    emit_load(program, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < sizeof calls_allowed / sizeof calls_allowed[0]; i++)
        emit_case(program, calls_allowed[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < sizeof calls_rules / sizeof calls_rules[0]; i++)
        emit_rule(program, &calls_rules[i], i < CALLS_OWN);
    for (size_t i = 0; i < sizeof calls_fatal / sizeof calls_fatal[0]; i++)
        emit_case(program, calls_fatal[i], SECCOMP_RET_KILL_PROCESS);
    // The 32-bit calls of x86-64 have numbers of their own, which are nobody's.
    emit_return(program, FAILS(ENOSYS));
}

int sandbox_calls(void)
{
    static struct calls_program program; // too large for a stack
    // SPEC_ALLOW: older kernels would switch off speculation for every thread that has a filter.
    const unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    if (SANDBOX_SANITIZED) return 0;
    calls_assemble(&program);
    const struct sock_fprog whole = {.len = program.size, .filter = program.code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
    const long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &whole);
    return result == 0 ? 0 : result > 0 ? -EBUSY : -errno; // above 0: a thread with another filter
}
