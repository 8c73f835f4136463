#include <nanobind/nanobind.h>
NB_MODULE(_frontend, m) { (void)m; }
