// Brotli's own header of its decoder.
#ifndef TACHOGRAPH_CBROTLI_SHIM_H
#define TACHOGRAPH_CBROTLI_SHIM_H

#include <brotli/decode.h>
#include <malloc.h>

// The bytes that an allocated block takes.
static inline size_t tg_block_size(void *block) { return malloc_usable_size(block); }

#endif
