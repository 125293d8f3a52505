// expect: int8_blocks: a block has 32, 64 or 128 inputs
#include <prytany/format/int8_blocks.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr int8_blocks kept{.size = 16};
#else
constexpr int8_blocks kept{.size = 128};
#endif
packed<kept> weights;
