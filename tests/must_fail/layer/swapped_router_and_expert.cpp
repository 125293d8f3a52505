// expect: a router needs slots(shape, params): the most slots one token may get
#include <prytany/prytany.hpp>

using namespace prytany;

constexpr shape size{.model = 8, .hidden = 4, .experts = 6, .shared = 1};

#if defined(PRYTANY_MUST_FAIL)
using layer = moe<size, ffn{swiglu}, top_k{.k = 2}>;
#else
using layer = moe<size, top_k{.k = 2}, ffn{swiglu}>;
#endif

static_assert(sizeof(layer) > 0);
