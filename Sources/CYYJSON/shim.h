// yyjson's own header; its API is static inline functions, which Swift imports as they are.
#ifndef TACHOGRAPH_CYYJSON_SHIM_H
#define TACHOGRAPH_CYYJSON_SHIM_H

#include <yyjson.h>

#endif
