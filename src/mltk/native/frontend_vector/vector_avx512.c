/* The frontend with AVX-512; empty where the compiler was not told to use it. */
#include "mltk_fe_vector.h"

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512CD__)

/* clang-format off: the operations before the stages that are made of them. */
#include "vector_avx512.h"
#include "vector_whole.h"
/* clang-format on */

static const mltk_fe_vector_form form = {
    "avx512", LANES, plan_bytes, make_plan, scratch_bytes, make_scratch, process_clips, process_windows, fewest_windows,
};

const mltk_fe_vector_form *mltk_fe_vector_avx512(void) { return &form; }

#else

const mltk_fe_vector_form *mltk_fe_vector_avx512(void) { return NULL; }

#endif
