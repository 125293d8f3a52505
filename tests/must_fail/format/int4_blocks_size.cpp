// expect: int4_blocks: a block has 32, 64 or 128 inputs
#include <prytany/format/int4_blocks.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr int4_blocks kept{.size = 48};
#else
constexpr int4_blocks kept{.size = 64};
#endif
packed<kept> weights;
