// Casts that C does by itself and Swift cannot: the base "classes" of libuv's handles. Nothing else lives here.
#ifndef TACHOGRAPH_CLIBUV_SHIM_H
#define TACHOGRAPH_CLIBUV_SHIM_H

#include <uv.h>

static inline uv_handle_t *tg_timer_handle(uv_timer_t *timer) { return (uv_handle_t *)timer; }
static inline uv_handle_t *tg_poll_handle(uv_poll_t *poll) { return (uv_handle_t *)poll; }
static inline uv_handle_t *tg_async_handle(uv_async_t *async) { return (uv_handle_t *)async; }
static inline uv_handle_t *tg_signal_handle(uv_signal_t *signal) { return (uv_handle_t *)signal; }
static inline uv_handle_t *tg_check_handle(uv_check_t *check) { return (uv_handle_t *)check; }
static inline uv_handle_t *tg_prepare_handle(uv_prepare_t *prepare) { return (uv_handle_t *)prepare; }

// glibc declares it only under _GNU_SOURCE, which a Swift module cannot promise to have been set first.
extern int pthread_setname_np(pthread_t thread, const char *name);
static inline void tg_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

#endif
