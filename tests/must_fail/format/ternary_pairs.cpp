// expect: ternary: activations are float32 or int8
#include <prytany/format/ternary.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr ternary kept{.activations = activations::int16};
#else
constexpr ternary kept{.activations = activations::int8};
#endif
packed<kept> weights;
