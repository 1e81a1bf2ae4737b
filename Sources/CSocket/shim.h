// Socket calls whose arguments Swift cannot spell: control messages, sockaddr casts, variadic calls. Each is one system
// call (or a macro) and answers -errno instead of -1, so that no errno is read across a language border.
#ifndef TACHOGRAPH_CSOCKET_SHIM_H
#define TACHOGRAPH_CSOCKET_SHIM_H

// Not under _GNU_SOURCE: it gives fd_set another member, and Swift holds every module's fd_set to be the same one.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// glibc declares accept4 only under _GNU_SOURCE, which a Swift module cannot promise to have been set first.
extern int accept4(int, struct sockaddr *restrict, socklen_t *restrict, int);

#define TG_NO_STAMP INT64_MIN

// The calls of the hot path go straight to the kernel: glibc's are points at which a thread can be cancelled, which
// nobody does here, and their bookkeeping was 1 % of a short exchange.

static inline ssize_t tg_result(ssize_t result) { return result < 0 ? -(ssize_t)errno : result; }

// A socket address of any family, with its length.
typedef struct {
  struct sockaddr_storage storage;
  socklen_t length;
} tg_address;

static inline int tg_family(const tg_address *address) { return address->storage.ss_family; }

// From a resolver's answer.
static inline tg_address tg_address_of(const struct addrinfo *info) {
  tg_address address;
  memset(&address, 0, sizeof address);
  memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
  address.length = info->ai_addrlen;
  return address;
}

// The bytes of a Unix socket's path: none where the socket has no name. A name that is no file begins with a NUL (unix(7)).
static inline const char *tg_unix_path(const tg_address *address, size_t *count) {
  const struct sockaddr_un *local = (const struct sockaddr_un *)&address->storage;
  const size_t start = offsetof(struct sockaddr_un, sun_path);
  const size_t room = address->length > start ? address->length - start : 0;
  *count = room > 0 && local->sun_path[0] ? strnlen(local->sun_path, room) : room;
  return local->sun_path;
}

// Of the file at `path`, which is to have no NUL within: 0, or -EINVAL where the path is empty or longer than an address holds.
static inline int tg_unix_address(const char *path, tg_address *into) {
  memset(into, 0, sizeof *into);
  struct sockaddr_un *local = (struct sockaddr_un *)&into->storage;
  const size_t count = strlen(path);
  if (count == 0 || count >= sizeof local->sun_path) return -EINVAL;
  local->sun_family = AF_UNIX;
  memcpy(local->sun_path, path, count);
  into->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + 1);
  return 0;
}

// Whether two addresses name the same host and port, or the same path.
static inline int tg_same_address(const tg_address *one, const tg_address *other) {
  if (one->storage.ss_family != other->storage.ss_family) return 0;
  if (one->storage.ss_family == AF_UNIX) {
    size_t one_count, other_count;
    const char *one_path = tg_unix_path(one, &one_count), *other_path = tg_unix_path(other, &other_count);
    return one_count == other_count && memcmp(one_path, other_path, one_count) == 0;
  }
  if (one->storage.ss_family == AF_INET) {
    const struct sockaddr_in *a = (const struct sockaddr_in *)&one->storage;
    const struct sockaddr_in *b = (const struct sockaddr_in *)&other->storage;
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
  }
  const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&one->storage;
  const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)&other->storage;
  return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id
      && memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

// From a literal "127.0.0.1" or "::1" (no brackets); 0, or -EINVAL where it is no literal.
static inline int tg_parse_address(const char *host, uint16_t port, tg_address *into) {
  memset(into, 0, sizeof *into);
  struct sockaddr_in *v4 = (struct sockaddr_in *)&into->storage;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&into->storage;
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    into->length = sizeof *v4;
    return 0;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    into->length = sizeof *v6;
    return 0;
  }
  return -EINVAL;
}

// The host of an address as text, into at least INET6_ADDRSTRLEN bytes; its port is returned.
static inline uint16_t tg_format_address(const tg_address *address, char *host, size_t capacity) {
  host[0] = 0;
  if (address->storage.ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    inet_ntop(AF_INET, &v4->sin_addr, host, (socklen_t)capacity);
    return ntohs(v4->sin_port);
  }
  if (address->storage.ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    inet_ntop(AF_INET6, &v6->sin6_addr, host, (socklen_t)capacity);
    return ntohs(v6->sin6_port);
  }
  return 0;
}

// A non-blocking, close-on-exec stream socket: TCP for IPv4 and IPv6.
static inline int tg_stream_socket(int family) {
  const int protocol = family == AF_UNIX ? 0 : IPPROTO_TCP;
  return (int)tg_result(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

static inline int tg_set_option(int fd, int level, int option, int value) {
  return (int)tg_result(setsockopt(fd, level, option, &value, sizeof value));
}

// An option's value, which none of those asked for has below 0; or -errno.
static inline int tg_get_option(int fd, int level, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, option, &value, &length) < 0 ? -errno : value;
}

// Keepalive: `idle` seconds of silence, then up to `probes` questions each `interval` seconds; idle 0 switches it off. The
// sockets that a listening one accepts have its options.
static inline int tg_set_keepalive(int fd, int idle, int interval, int probes) {
  int result = tg_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, idle > 0);
  if (result < 0 || idle == 0) return result;
  result = tg_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
  if (result == 0) result = tg_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
  return result == 0 ? tg_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probes) : result;
}

// Bytes that were sent and not acknowledged, or wait to be sent (tcp(7), SIOCOUTQ).
static inline int tg_unacknowledged(int fd) {
  int count = 0;
  return ioctl(fd, SIOCOUTQ, &count) < 0 ? 0 : count;
}

// Whether bytes wait to be sent although the peer has acknowledged all that was: it lives, and takes no more.
static inline int tg_window_is_closed(int fd) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  if (tg_unacknowledged(fd) == 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return 0;
  return info.tcpi_unacked == 0;
}

static inline int tg_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -errno : (int)tg_result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

// For a listening socket that shares its port (SO_REUSEPORT) with one of a process that takes over, and is about to be
// closed. Closing it resets every handshake that the kernel has given to it and that is not accepted yet (unless
// net.ipv4.tcp_migrate_req is set), and those that arrive between the last accept and the close would be among them. So it
// is first made to get none, by two classic BPF programs, which need no privilege:
// - sockets of a port are chosen by their index, in the order in which they began to listen: the second is the successor's.
//   An index beyond the last leaves the choice to the kernel's hash.
// - should a SYN reach ours all the same, it is dropped: the client sends it again a second later, by then to the other.
static inline int tg_yield_port(int fd) {
  struct sock_filter choose[] = {{BPF_RET | BPF_K, 0, 0, 1}};
  struct sock_fprog chooser = {.len = 1, .filter = choose};
  struct sock_filter drop[] = {
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, 13},      // TCP's flags
      {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x12},   // ACK and SYN
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x02},   // SYN alone
      {BPF_RET | BPF_K, 0, 0, 0},
      {BPF_RET | BPF_K, 0, 0, 0xffffffff},
  };
  struct sock_fprog dropper = {.len = 5, .filter = drop};
  int result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &chooser, sizeof chooser);
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &dropper, sizeof dropper) < 0) result = -1;
  return (int)tg_result(result);
}

// Gives the choice among the sockets of a shared port back to the kernel's hash.
static inline int tg_select_by_hash(int fd) { return tg_set_option(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 1); }

static inline int tg_bind(int fd, const tg_address *address) {
  return (int)tg_result(bind(fd, (const struct sockaddr *)&address->storage, address->length));
}

static inline int tg_connect(int fd, const tg_address *address) {
  return (int)tg_result(connect(fd, (const struct sockaddr *)&address->storage, address->length));
}

static inline int tg_local_address(int fd, tg_address *into) {
  memset(into, 0, sizeof *into);
  into->length = sizeof into->storage;
  return (int)tg_result(getsockname(fd, (struct sockaddr *)&into->storage, &into->length));
}

// Accepts one client, non-blocking and close-on-exec.
static inline int tg_accept(int fd, tg_address *peer) {
  memset(peer, 0, sizeof *peer);
  peer->length = sizeof peer->storage;
  return (int)tg_result(accept4(fd, (struct sockaddr *)&peer->storage, &peer->length, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

// The error pending on a socket (0 where there is none), which this call clears.
static inline int tg_take_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return errno;
  return error;
}

// Closing then sends RST instead of FIN.
static inline int tg_reset_on_close(int fd) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  return (int)tg_result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

// Asks for software receive stamps on every read that follows (Documentation/networking/timestamping.rst).
static inline int tg_enable_receive_stamps(int fd) {
  return tg_set_option(fd, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
}

// Receives, and reports the kernel's CLOCK_REALTIME stamp in nanoseconds, or TG_NO_STAMP.
static inline ssize_t tg_receive_stamped(int fd, void *into, size_t capacity, int64_t *stamp) {
  struct iovec span = {.iov_base = into, .iov_len = capacity};
  union {
    char bytes[CMSG_SPACE(3 * sizeof(struct timespec))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {
      .msg_iov = &span, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  *stamp = TG_NO_STAMP;
  ssize_t count = syscall(SYS_recvmsg, fd, &message, MSG_DONTWAIT);
  if (count < 0) return -(ssize_t)errno;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_TIMESTAMPING) continue;
    struct timespec software;
    memcpy(&software, CMSG_DATA(part), sizeof software);
    if (software.tv_sec != 0) *stamp = (int64_t)software.tv_sec * 1000000000 + software.tv_nsec;
    break;
  }
  return count;
}

static inline ssize_t tg_receive(int fd, void *into, size_t capacity) {
  return tg_result(syscall(SYS_recvfrom, fd, into, capacity, MSG_DONTWAIT, (void *)0, (void *)0));
}

// Whether a socket would bring anything, and what: a byte (1), the peer's end (0), nothing (-EAGAIN) or an error (-errno).
static inline ssize_t tg_peek(int fd) {
  char byte;
  return tg_result(syscall(SYS_recvfrom, fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, (void *)0, (void *)0));
}

// Sends without ever raising SIGPIPE.
static inline ssize_t tg_send(int fd, const void *bytes, size_t count) {
  return tg_result(syscall(SYS_sendto, fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL, (void *)0, 0));
}

// Has the kernel send `signal` to this process once the thread that started it is gone; execve keeps that (prctl(2)).
static inline int tg_signal_on_parent_death(int signal) {
  return (int)tg_result(prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0ul, 0ul, 0ul));
}

static inline int tg_shutdown_writing(int fd) { return (int)tg_result(shutdown(fd, SHUT_WR)); }

// Which file of which device stands at `path`, and whether it is a socket (1) or something else (0); or -errno.
static inline int tg_socket_file(const char *path, uint64_t *device, uint64_t *inode) {
  struct stat info;
  if (lstat(path, &info) < 0) return -errno;
  *device = info.st_dev;
  *inode = info.st_ino;
  return S_ISSOCK(info.st_mode) ? 1 : 0;
}

#endif
