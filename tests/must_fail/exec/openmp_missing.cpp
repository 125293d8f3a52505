// expect: openmp: compile and link with OpenMP (-fopenmp; in CMake OpenMP::OpenMP_CXX)
#include <prytany/exec/openmp.hpp>

using namespace prytany;

static_assert(executor<openmp>);

#if defined(PRYTANY_MUST_FAIL)
openmp pool(2);
#endif
