/* The frontend with AVX2; empty where the compiler was not told to use it. */
#include "mltk_fe_vector.h"

#if defined(__AVX2__)

/* clang-format off: the operations before the stages that are made of them. */
#include "vector_avx2.h"
#include "vector_whole.h"
/* clang-format on */

static const mltk_fe_vector_form form = {
    "avx2", LANES, plan_bytes, make_plan, scratch_bytes, make_scratch, process_clips, process_windows, fewest_windows,
};

const mltk_fe_vector_form *mltk_fe_vector_avx2(void) { return &form; }

#else

const mltk_fe_vector_form *mltk_fe_vector_avx2(void) { return NULL; }

#endif
