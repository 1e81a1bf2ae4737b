// Casts that C does by itself and Swift cannot, the base "classes" of libuv's handles; and one thing that libuv does not offer.
#ifndef TACHOGRAPH_CLIBUV_SHIM_H
#define TACHOGRAPH_CLIBUV_SHIM_H

#include <sys/epoll.h>
#include <uv.h>

static inline uv_handle_t *tg_timer_handle(uv_timer_t *timer) { return (uv_handle_t *)timer; }
static inline uv_handle_t *tg_poll_handle(uv_poll_t *poll) { return (uv_handle_t *)poll; }
static inline uv_handle_t *tg_async_handle(uv_async_t *async) { return (uv_handle_t *)async; }
static inline uv_handle_t *tg_signal_handle(uv_signal_t *signal) { return (uv_handle_t *)signal; }
static inline uv_handle_t *tg_check_handle(uv_check_t *check) { return (uv_handle_t *)check; }
static inline uv_handle_t *tg_prepare_handle(uv_prepare_t *prepare) { return (uv_handle_t *)prepare; }

// libuv polls by level: behind each event the kernel keeps the socket on its list, and looks at it once more at the next
// wait to find that there is nothing. Polled by edge, a socket is told of once for what has come (epoll(7)). libuv has no call
// for that, but passes its watcher's mask on to epoll_ctl as it stands, and masks what comes back by it (1.44 to 1.51,
// uv__io_poll). So the bit is put into that mask, a private field, behind uv_poll_start; it has to be out again before any
// other call on the handle, for libuv compares masks.
//
// The same goes for EPOLLEXCLUSIVE, by which one of the loops that wait for clients of one socket is woken, and not all. The
// kernel accepts it for a new entry only: uv_poll_stop, which uv_poll_start begins with, removes the entry (EPOLL_CTL_DEL).
static inline void tg_poll_set_mode(uv_poll_t *poll, unsigned int mode) { poll->io_watcher.pevents |= mode; }
static inline void tg_poll_clear_mode(uv_poll_t *poll) {
  poll->io_watcher.pevents &= ~((unsigned int)EPOLLET | (unsigned int)EPOLLEXCLUSIVE);
}

// glibc declares it only under _GNU_SOURCE, which a Swift module cannot promise to have been set first.
extern int pthread_setname_np(pthread_t thread, const char *name);
static inline void tg_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

#endif
