#include "mltk_fe_vector.h"
const mltk_fe_vector_form *mltk_fe_vector_plain(void) { return NULL; }
