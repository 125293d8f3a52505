// expect: int4_blocks: activations are float32 or int8
#include <prytany/format/int4_blocks.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr int4_blocks kept{.activations = activations::int16};
#else
constexpr int4_blocks kept{.activations = activations::int8};
#endif
packed<kept> weights;
