"""System call numbers of the two machines the sandbox knows, and the lists its seccomp policy is made of.

Sources: asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64), Linux 6.x; numbers never change. A call that an
architecture does not have is simply absent from its table.
"""

from __future__ import annotations

from typing import Final

# Allowed with any arguments: they reach nothing outside the process but time, its own memory and open files.
_PLAIN: Final = """
    read write readv writev pread64 preadv close close_range fstat stat lstat newfstatat statx statfs
    fstatfs lseek mmap mprotect munmap mremap madvise brk rt_sigaction rt_sigprocmask rt_sigreturn
    rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack access faccessat faccessat2 select pselect6 poll
    ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait pipe pipe2 dup dup2 dup3 nanosleep
    clock_nanosleep clock_gettime clock_getres gettimeofday time getpid gettid getppid getuid geteuid getgid
    getegid getresuid getresgid getgroups getpgrp getpgid getsid uname getcwd chdir fchdir readlink
    readlinkat getdents getdents64 getrlimit getrusage times sysinfo sched_yield sched_getaffinity futex
    set_robust_list get_robust_list set_tid_address rseq exit exit_group getrandom arch_prctl alarm
    setitimer getitimer pause wait4 waitid recvfrom sendmsg recvmsg shutdown getsockopt eventfd eventfd2
    restart_syscall umask sched_getscheduler sched_getparam getpriority
"""

# What changes files: allowed where the only writable place is a scratch folder of the sample's own.
_WRITING: Final = """
    pwrite64 pwritev ftruncate truncate fallocate fsync fdatasync flock mkdir mkdirat rmdir unlink unlinkat
    rename renameat renameat2 link linkat symlink symlinkat chmod fchmod fchmodat utime utimes utimensat
    futimesat sendfile copy_file_range fadvise64 sync_file_range
"""
# What copies of files ask for: answered with "not supported", which is what makes their callers do without.
_ATTRIBUTES: Final = "setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr"
# What processes are started and kept with.
_PROCESSES: Final = "execve vfork setsid setpgid"

_X86_64: Final = """
    read=0 write=1 readv=19 writev=20 pread64=17 preadv=295 close=3 close_range=436 fstat=5 stat=4 lstat=6
    newfstatat=262 statx=332 statfs=137 fstatfs=138 lseek=8 mmap=9 mprotect=10 munmap=11 mremap=25
    madvise=28 brk=12 rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 rt_sigpending=127 rt_sigsuspend=130
    rt_sigtimedwait=128 sigaltstack=131 access=21 faccessat=269 faccessat2=439 select=23 pselect6=270 poll=7
    ppoll=271 epoll_create=213 epoll_create1=291 epoll_ctl=233 epoll_wait=232 epoll_pwait=281 pipe=22
    pipe2=293 dup=32 dup2=33 dup3=292 nanosleep=35 clock_nanosleep=230 clock_gettime=228 clock_getres=229
    gettimeofday=96 time=201 getpid=39 gettid=186 getppid=110 getuid=102 geteuid=107 getgid=104 getegid=108
    getresuid=118 getresgid=120 getgroups=115 getpgrp=111 getpgid=121 getsid=124 uname=63 getcwd=79 chdir=80
    fchdir=81 readlink=89 readlinkat=267 getdents=78 getdents64=217 getrlimit=97 getrusage=98 times=100
    sysinfo=99 sched_yield=24 sched_getaffinity=204 futex=202 set_robust_list=273 get_robust_list=274
    set_tid_address=218 rseq=334 exit=60 exit_group=231 getrandom=318 arch_prctl=158 alarm=37 setitimer=38
    getitimer=36 pause=34 wait4=61 waitid=247 recvfrom=45 sendmsg=46 recvmsg=47 shutdown=48 getsockopt=55
    eventfd=284 eventfd2=290 restart_syscall=219 umask=95 sched_getscheduler=145 sched_getparam=143
    getpriority=140 open=2 openat=257 fcntl=72 ioctl=16 socketpair=53 sendto=44 clone=56 fork=57 vfork=58
    clone3=435 kill=62 tgkill=234 tkill=200 prlimit64=302 seccomp=317 unshare=272 mount=165 umount2=166
    pivot_root=155 capset=126 mount_setattr=442 landlock_create_ruleset=444 landlock_add_rule=445
    landlock_restrict_self=446 pwrite64=18 pwritev=296 ftruncate=77 truncate=76 fallocate=285 fsync=74
    fdatasync=75 flock=73 mkdir=83 mkdirat=258 rmdir=84 unlink=87 unlinkat=263 rename=82 renameat=264
    renameat2=316 link=86 linkat=265 symlink=88 symlinkat=266 chmod=90 fchmod=91 fchmodat=268 utime=132
    utimes=235 utimensat=280 futimesat=261 sendfile=40 copy_file_range=326 fadvise64=221 sync_file_range=277
    execve=59 setsid=112 setpgid=109
    setxattr=188 lsetxattr=189 fsetxattr=190 getxattr=191 lgetxattr=192 fgetxattr=193 listxattr=194
    llistxattr=195 flistxattr=196
"""

_AARCH64: Final = """
    read=63 write=64 readv=65 writev=66 pread64=67 preadv=69 close=57 close_range=436 fstat=80 newfstatat=79
    statx=291 statfs=43 fstatfs=44 lseek=62 mmap=222 mprotect=226 munmap=215 mremap=216 madvise=233 brk=214
    rt_sigaction=134 rt_sigprocmask=135 rt_sigreturn=139 rt_sigpending=136 rt_sigsuspend=133
    rt_sigtimedwait=137 sigaltstack=132 faccessat=48 faccessat2=439 pselect6=72 ppoll=73 epoll_create1=20
    epoll_ctl=21 epoll_pwait=22 pipe2=59 dup=23 dup3=24 nanosleep=101 clock_nanosleep=115 clock_gettime=113
    clock_getres=114 gettimeofday=169 getpid=172 gettid=178 getppid=173 getuid=174 geteuid=175 getgid=176
    getegid=177 getresuid=148 getresgid=150 getgroups=158 getpgid=155 getsid=156 uname=160 getcwd=17
    chdir=49 fchdir=50 readlinkat=78 getdents64=61 getrlimit=163 getrusage=165 times=153 sysinfo=179
    sched_yield=124 sched_getaffinity=123 futex=98 set_robust_list=99 get_robust_list=100 set_tid_address=96
    rseq=293 exit=93 exit_group=94 getrandom=278 setitimer=103 getitimer=102 wait4=260 waitid=95
    recvfrom=207 sendmsg=211 recvmsg=212 shutdown=210 getsockopt=209 eventfd2=19 restart_syscall=128
    umask=166 sched_getscheduler=120 sched_getparam=121 getpriority=141 openat=56 fcntl=25 ioctl=29
    socketpair=199 sendto=206 clone=220 clone3=435 kill=129 tgkill=131 tkill=130 prlimit64=261 seccomp=277
    unshare=97 mount=40 umount2=39 pivot_root=41 capset=91 mount_setattr=442 landlock_create_ruleset=444
    landlock_add_rule=445 landlock_restrict_self=446 pwrite64=68 pwritev=70 ftruncate=46 truncate=45
    fallocate=47 fsync=82 fdatasync=83 flock=32 mkdirat=34 unlinkat=35 renameat=38 renameat2=276 linkat=37
    symlinkat=36 fchmod=52 fchmodat=53 utimensat=88 sendfile=71 copy_file_range=285 fadvise64=223
    sync_file_range=84 execve=221 setsid=157 setpgid=154
    setxattr=5 lsetxattr=6 fsetxattr=7 getxattr=8 lgetxattr=9 fgetxattr=10 listxattr=11 llistxattr=12
    flistxattr=13
"""


PLAIN: Final = frozenset(_PLAIN.split())
WRITING: Final = frozenset(_WRITING.split())
ATTRIBUTES: Final = frozenset(_ATTRIBUTES.split())
PROCESSES: Final = frozenset(_PROCESSES.split())


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (entry.split("=") for entry in text.split())}


TABLES: Final[dict[str, dict[str, int]]] = {"x86_64": _table(_X86_64), "aarch64": _table(_AARCH64)}
AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
