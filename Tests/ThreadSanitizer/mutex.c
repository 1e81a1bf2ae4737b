// Tells the thread sanitizer what it cannot see of Swift's Mutex on Linux; scripts/tsan builds and preloads it.
// It must not lock, unlock or hide anything itself.
//
// Synchronization.Mutex is a futex word that the kernel hands over where two threads meet (FUTEX_LOCK_PI). The uncontended
// paths are inlined atomics, which the sanitizer sees; of the slow ones, which lie in a library that is not instrumented, it
// sees neither that one thread let go nor that the other got hold, and calls everything that the mutex protects a race.
// These two stand in front of the library's (seen in swift-6.3.1's Mutex/LinuxImpl.swift) and say so.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef __attribute__((swiftcall)) void (*lock_slow_t)(uint32_t, __attribute__((swift_context)) void *);
typedef __attribute__((swiftcall)) void (*unlock_slow_t)(__attribute__((swift_context)) void *);

extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

__attribute__((swiftcall)) void lock_slow(uint32_t thread, __attribute__((swift_context)) void *handle) __asm__(LOCK);
__attribute__((swiftcall)) void lock_slow(uint32_t thread, __attribute__((swift_context)) void *handle) {
  ((lock_slow_t)next(LOCK))(thread, handle);
  __tsan_acquire(handle);
}

__attribute__((swiftcall)) void unlock_slow(__attribute__((swift_context)) void *handle) __asm__(UNLOCK);
__attribute__((swiftcall)) void unlock_slow(__attribute__((swift_context)) void *handle) {
  __tsan_release(handle);
  ((unlock_slow_t)next(UNLOCK))(handle);
}
