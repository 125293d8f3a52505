// expect: a weight format needs static name(): the word that errors and reports print
#include <prytany/prytany.hpp>

using namespace prytany;

struct nameless {
    using aspect = format_aspect;
};

#if defined(PRYTANY_MUST_FAIL)
using layer = moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}, nameless{}>;
#else
using layer = moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}, dense<bf16>{}>;
#endif

static_assert(sizeof(layer) > 0);
