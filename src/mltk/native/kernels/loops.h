/* How compilers are to treat loops. */
#ifndef MLTK_LOOPS_H_
#define MLTK_LOOPS_H_

/* For short loops that run often: unrolling costs more than it saves. */
#if defined(__clang__)
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define NO_UNROLL
#endif

#endif /* MLTK_LOOPS_H_ */
