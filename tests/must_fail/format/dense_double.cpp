// expect: dense: kernels compute in float; keep weights as float, bf16 or f16
#include <prytany/format/dense.hpp>

#if defined(PRYTANY_MUST_FAIL)
using kept = double;
#else
using kept = float;
#endif
prytany::packed<prytany::dense<kept>{}> weights;
