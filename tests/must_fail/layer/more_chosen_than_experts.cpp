// expect: moe: the router keeps more experts than the shape has (k > experts)
#include <prytany/prytany.hpp>

using namespace prytany;

constexpr shape size{.model = 8, .hidden = 4, .experts = 6, .shared = 1};

#if defined(PRYTANY_MUST_FAIL)
using layer = moe<size, top_k{.k = 7}, ffn{swiglu}>;
#else
using layer = moe<size, top_k{.k = 6}, ffn{swiglu}>;
#endif

static_assert(sizeof(layer) > 0);
