/* Which forms this processor runs. */
#include "mltk_fe_vector.h"

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vl");
}
static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }
#else
static int has_avx512(void) { return 0; }
static int has_avx2(void) { return 0; }
#endif

size_t mltk_fe_vector_forms(const mltk_fe_vector_form *forms[3]) {
  size_t n = 0;
  if (has_avx512() && mltk_fe_vector_avx512() != NULL) {
    forms[n++] = mltk_fe_vector_avx512();
  }
  if (has_avx2() && mltk_fe_vector_avx2() != NULL) {
    forms[n++] = mltk_fe_vector_avx2();
  }
  if (mltk_fe_vector_neon() != NULL) { /* every 64-bit ARM processor has it */
    forms[n++] = mltk_fe_vector_neon();
  }
  return n;
}
