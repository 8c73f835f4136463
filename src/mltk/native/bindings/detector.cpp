#include <nanobind/nanobind.h>
NB_MODULE(_detector, m) { (void)m; }
