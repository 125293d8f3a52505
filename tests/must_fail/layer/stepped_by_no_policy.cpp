// expect: a residual policy needs a nested carry, derived from carry_sizes
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = stepped<moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}>, linear{}>;
#else
using layer = stepped<moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}>, plain{}>;
#endif

static_assert(sizeof(layer) > 0);

int main() {}
