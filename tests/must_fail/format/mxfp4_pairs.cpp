// expect: mxfp4: activations are float32 or int8
#include <prytany/format/mxfp4.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr mxfp4 kept{.activations = activations::int16};
#else
constexpr mxfp4 kept{.activations = activations::int8};
#endif
packed<kept> weights;
