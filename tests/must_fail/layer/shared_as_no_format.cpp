// expect: a weight format names its aspect: using aspect = format_aspect
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = moe<shape{8, 4, 6, 1}, top_k{.k = 2}, ffn{swiglu}, shared_as{7}>;
#else
using layer = moe<shape{8, 4, 6, 1}, top_k{.k = 2}, ffn{swiglu}, shared_as{dense<float>{}}>;
#endif

static_assert(sizeof(layer) > 0);
