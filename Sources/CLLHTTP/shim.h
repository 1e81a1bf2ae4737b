// llhttp's own header; nothing of ours is needed on top.
#ifndef TACHOGRAPH_CLLHTTP_SHIM_H
#define TACHOGRAPH_CLLHTTP_SHIM_H

#include <llhttp.h>

#endif
