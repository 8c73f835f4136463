/* The place of a form for processors with other vectors (NEON); there is none yet, they run the one-lane C. */
#include "mltk_fe_vector.h"

const mltk_fe_vector_form *mltk_fe_vector_plain(void) { return NULL; }
