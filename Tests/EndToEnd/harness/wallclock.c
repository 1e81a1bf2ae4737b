// Preloaded into one process: its wall clock, and if asked the kernel's receive stamps, step when a shared file says so.
// The machine's own clock is never touched.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// What the test writes: by how much the clock is off, and since which real moment; nanoseconds.
struct step {
  volatile int64_t offset;
  volatile int64_t since;
};
static struct step none;
static struct step *step = &none;
static int steps_stamps, has_no_stamps;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("WALLCLOCK_FILE");
  const char *stamps = getenv("WALLCLOCK_STAMPS");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) abort();
  step = mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, fd, 0);
  if (step == MAP_FAILED) abort();
  close(fd);
  steps_stamps = stamps && strcmp(stamps, "step") == 0;
  has_no_stamps = stamps && strcmp(stamps, "none") == 0;
}

static void move(struct timespec *time, int64_t offset) {
  int64_t total = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + offset;
  time->tv_sec = total / 1000000000;
  time->tv_nsec = total % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) move(time, step->offset);
  return result;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  static int (*real)(int, int, int, const void *, socklen_t);
  if (!real) real = (int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt");
  if (has_no_stamps && level == SOL_SOCKET && option == SO_TIMESTAMPING) {
    errno = ENOPROTOOPT;
    return -1;
  }
  return real(fd, level, option, value, length);
}

// A stamp of a packet that came before the step is as the clock was then.
static void step_stamps(struct msghdr *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_TIMESTAMPING) continue;
    struct timespec stamp;
    memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
    if (stamp.tv_sec == 0 || (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec < step->since) continue;
    move(&stamp, step->offset);
    memcpy(CMSG_DATA(part), &stamp, sizeof stamp);
  }
}

long syscall(long number, ...) {
  static long (*real)(long, ...);
  if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
  long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  long result = real(number, a, b, c, d, e, f);
  if (number == SYS_recvmsg && result >= 0 && steps_stamps && step->offset != 0) step_stamps((struct msghdr *)b);
  return result;
}
