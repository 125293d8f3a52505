// expect(gcc): has no non-static data member named
// expect(clang): field designator 'expert' does not refer to any field in type
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = moe<shape{.model = 8, .hidden = 4, .expert = 6}, top_k{.k = 2}, ffn{swiglu}>;
#else
using layer = moe<shape{.model = 8, .hidden = 4, .experts = 6}, top_k{.k = 2}, ffn{swiglu}>;
#endif

static_assert(sizeof(layer) > 0);
