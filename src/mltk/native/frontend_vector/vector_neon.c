/* The frontend with NEON; empty for other processors. */
#include "mltk_fe_vector.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__ARM_BIG_ENDIAN)

/* clang-format off: the operations before the stages that are made of them. */
#include "vector_neon.h"
#include "vector_whole.h"
/* clang-format on */

static const mltk_fe_vector_form form = {
    "neon", LANES, plan_bytes, make_plan, scratch_bytes, make_scratch, process_clips, process_windows, fewest_windows,
};

const mltk_fe_vector_form *mltk_fe_vector_neon(void) { return &form; }

#else

const mltk_fe_vector_form *mltk_fe_vector_neon(void) { return NULL; }

#endif
