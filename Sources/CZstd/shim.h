// zstd's own header, and its one parameter that is set.
#ifndef TACHOGRAPH_CZSTD_SHIM_H
#define TACHOGRAPH_CZSTD_SHIM_H

#include <zstd.h>
#include <zstd_errors.h>

// The largest window that a frame may ask for, as a power of two.
static inline size_t tg_zstd_limit_window(ZSTD_DStream *stream, int log) {
  return ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, log);
}

#endif
