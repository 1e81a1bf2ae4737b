// Brotli's own header of its decoder.
#ifndef TACHOGRAPH_CBROTLI_SHIM_H
#define TACHOGRAPH_CBROTLI_SHIM_H

#include <brotli/decode.h>

#endif
