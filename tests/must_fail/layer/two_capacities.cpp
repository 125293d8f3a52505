// expect: moe: two capacities are given; keep one
#include <prytany/layer/option/capacity.hpp>
#include <prytany/prytany.hpp>

using namespace prytany;

constexpr shape size{.model = 8, .hidden = 4, .experts = 6, .shared = 1};

#if defined(PRYTANY_MUST_FAIL)
using layer = moe<size, top_k{.k = 2}, ffn{swiglu}, capacity{}, capacity{}>;
#else
using layer = moe<size, top_k{.k = 2}, ffn{swiglu}, capacity{}>;
#endif

static_assert(sizeof(layer) > 0);
