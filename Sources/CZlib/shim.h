// zlib's own header, and what of it is a macro.
#ifndef TACHOGRAPH_CZLIB_SHIM_H
#define TACHOGRAPH_CZLIB_SHIM_H

#include <string.h>
#include <zlib.h>

// Prepares an empty stream: 31 window bits for gzip, 15 for zlib's wrapping, -15 for none.
static inline int tg_inflate_init(z_stream *stream, int window_bits) {
  memset(stream, 0, sizeof *stream);
  return inflateInit2(stream, window_bits);
}

#endif
